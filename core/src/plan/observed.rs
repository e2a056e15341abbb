//! What both registries say of the tags that a request means.

use std::fmt;

use serde::Serialize;

use super::Waiting;
use crate::reference::{Digest, ManifestRef};
use crate::tags::{Excluded, Tag};

/// What both registries say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// How many tags the source repository has; none when it was not listed, because one tag or a
    /// digest is meant.
    pub listed: Option<usize>,
    /// The tags that are meant, newest version first.
    pub tags: Vec<ObservedTag>,
    /// The tags that are nearly meant.
    pub excluded: Vec<Excluded>,
    /// The tags that would be copied if they were older, newest version first. They are among the
    /// excluded ones, and not among `tags`.
    pub waiting: Vec<Waiting>,
}

/// One tag on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedTag {
    /// The tag, or the digest, at the source.
    pub source_ref: ManifestRef,
    /// The tag at the destination.
    pub destination_tag: Tag,
    /// What the source has.
    pub source: Seen,
    /// What the destination has.
    pub destination: Seen,
}

/// What a registry answered for one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there, with this content.
    Present(Digest),
    /// It is not there.
    Absent,
    /// The registry could not be asked; why.
    Unknown(String),
    /// It was not asked, because the answer is not needed.
    NotAsked,
}

impl Seen {
    /// The digest, if it is known.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Present(digest) => Some(digest),
            _ => None,
        }
    }
}

/// How a tag at the destination stands to its source: what a preview shows and a plan acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagState {
    /// It is not at the destination.
    Missing,
    /// The destination has the same content.
    UpToDate,
    /// The destination has other content.
    Differs,
    /// The source does not have it.
    NotFound,
    /// The destination has it, and its content does not matter: mode `OnceByTag` has copied it, or
    /// it never moves.
    AlreadySynced,
    /// A registry could not be asked.
    NotChecked,
}

impl fmt::Display for TagState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::UpToDate => "up-to-date",
            Self::Differs => "differs",
            Self::NotFound => "not-found",
            Self::AlreadySynced => "already-synced",
            Self::NotChecked => "not-checked",
        })
    }
}

impl ObservedTag {
    /// Compares the two sides.
    pub fn state(&self) -> TagState {
        match (&self.source, &self.destination) {
            // The source is not asked where it is enough that the destination has the tag.
            (Seen::NotAsked, Seen::Present(_) | Seen::NotAsked) => TagState::AlreadySynced,
            (Seen::NotAsked, Seen::Unknown(_) | Seen::Absent)
            | (Seen::Unknown(_), _)
            | (Seen::Present(_), Seen::Unknown(_) | Seen::NotAsked) => TagState::NotChecked,
            (Seen::Absent, _) => TagState::NotFound,
            (Seen::Present(_), Seen::Absent) => TagState::Missing,
            (Seen::Present(source), Seen::Present(destination)) if source == destination => {
                TagState::UpToDate
            }
            (Seen::Present(_), Seen::Present(_)) => TagState::Differs,
        }
    }

    /// Why the state is [`TagState::NotChecked`].
    pub fn unknown_because(&self) -> Option<&str> {
        match (&self.source, &self.destination) {
            (Seen::Unknown(why), _) | (_, Seen::Unknown(why)) => Some(why),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_from_both_sides() {
        let (a, b) = (Seen::Present(Digest::of(b"a")), Seen::Present(Digest::of(b"b")));
        let unknown = Seen::Unknown("429".into());
        for (source, destination, state) in [
            (&a, &a, TagState::UpToDate),
            (&a, &b, TagState::Differs),
            (&a, &Seen::Absent, TagState::Missing),
            (&a, &unknown, TagState::NotChecked),
            (&a, &Seen::NotAsked, TagState::NotChecked),
            (&Seen::Absent, &a, TagState::NotFound),
            (&Seen::Absent, &unknown, TagState::NotFound),
            (&unknown, &a, TagState::NotChecked),
            (&Seen::NotAsked, &Seen::NotAsked, TagState::AlreadySynced),
            (&Seen::NotAsked, &a, TagState::AlreadySynced),
            (&Seen::NotAsked, &unknown, TagState::NotChecked),
            (&Seen::NotAsked, &Seen::Absent, TagState::NotChecked),
        ] {
            let tag = ObservedTag {
                source_ref: ManifestRef::Tag("1".parse().unwrap()),
                destination_tag: "1".parse().unwrap(),
                source: source.clone(),
                destination: destination.clone(),
            };
            assert_eq!(tag.state(), state, "{source:?} {destination:?}");
        }
    }
}
