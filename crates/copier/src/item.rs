//! What is copied, and what became of it.

use imgop_registry::Manifest;
use imgop_registry::reference::{Digest, Tag};

use crate::destination::DestinationId;

/// A source repository of a copier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(pub(crate) usize);

/// One content, and where it goes to.
#[derive(Debug, Clone)]
pub struct Item {
    /// From where its parts are read.
    pub source: SourceId,
    /// The content.
    pub root: Root,
    /// Where it goes to.
    pub targets: Vec<Target>,
}

/// A content that is copied with all that it names.
#[derive(Debug, Clone)]
pub enum Root {
    /// What the source has under this digest.
    Digest(Digest),
    /// This manifest: one that was read before, or an index that is made of parts that the source has.
    Manifest(Manifest),
}

/// Where a content goes to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The repository.
    pub destination: DestinationId,
    /// The tag that then shows it; by digest alone without one.
    pub tag: Option<Tag>,
    /// Whether a tag that is there stays as it is. It is asked for right before it would be put.
    pub keeps_existing: bool,
}

/// How a copy to one target ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// The destination has answered that it has this content.
    Done(Digest),
    /// The tag shows this content, and stays so.
    Kept(Digest),
}

impl Root {
    /// Returns its digest.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Digest(digest) => digest,
            Self::Manifest(manifest) => &manifest.digest,
        }
    }
}
