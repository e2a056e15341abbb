//! What Jobs made of earlier plans: the memory that a plan is worked out from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::FailureReason;
use crate::reference::{Digest, ManifestRef};
use crate::tags::Tag;

/// One copy of one content to one tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Copy {
    /// The tag, or the digest, at the source.
    pub source_ref: ManifestRef,
    /// The tag at the destination.
    pub destination_tag: Tag,
    /// The content: the source is named by it, so a tag that moves meanwhile can't mix two images.
    pub digest: Digest,
    /// Which try this is of this content, from 1.
    pub attempt: u32,
}

/// A [`Copy`] as it is written down on its Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyRecord {
    /// The tag, or the digest, at the source.
    pub source: String,
    /// The tag at the destination.
    pub destination: Tag,
    /// The content.
    pub digest: Digest,
    /// Which try, from 1.
    pub attempt: u32,
}

impl From<&Copy> for CopyRecord {
    fn from(copy: &Copy) -> Self {
        Self {
            source: copy.source_ref.to_string(),
            destination: copy.destination_tag.clone(),
            digest: copy.digest.clone(),
            attempt: copy.attempt,
        }
    }
}

impl CopyRecord {
    /// The copy again; none when the text is neither tag nor digest, as on a Job that is not ours.
    pub fn read(&self) -> Option<Copy> {
        let source_ref = match self.source.parse::<Digest>() {
            Ok(digest) => ManifestRef::Digest(digest),
            Err(_) => ManifestRef::Tag(self.source.parse().ok()?),
        };
        Some(Copy {
            source_ref,
            destination_tag: self.destination.clone(),
            digest: self.digest.clone(),
            attempt: self.attempt,
        })
    }
}

/// A copy that a Job was made for, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is copied.
    pub copy: Copy,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It runs, or waits to run.
    Running,
    /// The content is at the destination; the tag may not point at it yet.
    Succeeded,
    /// The content was pushed and is not there, such as by the registry's clean-up.
    ContentGone {
        /// When that was seen.
        at: Timestamp,
    },
    /// Its container never ran: another one of its Job failed, or the node did not take the pod.
    Interrupted {
        /// When its Job ended.
        at: Timestamp,
    },
    /// The content is at the destination, but the tag could not be set.
    Unpublished {
        /// How many times it was tried.
        tries: u32,
        /// Why, for people.
        message: String,
        /// When it was tried last.
        at: Timestamp,
    },
    /// It failed.
    Failed {
        /// Why, in one word.
        reason: FailureReason,
        /// Why, for people.
        message: String,
        /// When it ended.
        at: Timestamp,
    },
}
