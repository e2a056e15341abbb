//! What Jobs made of earlier plans: the memory that a plan is worked out from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::FailureReason;
use crate::selection::SourceRef;
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;

/// One copy of one content to one tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Copy {
    /// The tag, or the digest, at the source.
    pub source_ref: SourceRef,
    /// The tag at the destination.
    pub destination_tag: Tag,
    /// The content: the source is named by it, so a tag that moves meanwhile can't mix two images.
    pub digest: Digest,
    /// Set if the content is an index that is made on the way; nothing at the source has the digest then.
    pub made_of: Option<MadeOf>,
    /// Which try this is of this content, from 1.
    pub attempt: u32,
}

/// What an index is made of that is not at the source as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeOf {
    /// From what.
    pub origin: Origin,
    /// Its entries, each once: what is copied.
    pub parts: Vec<Digest>,
}

/// What of the source an index is made from. One of all parts is put with the bytes that it has there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// The wanted platforms of this index.
    PlatformsOf(Digest),
    /// Whatever refers to this content.
    ReferrersOf(Digest),
    /// All of this index, which Skopeo cannot copy as it is: its parts are what it can copy of it.
    AllOf(Digest),
}

impl Copy {
    /// Returns what a Job copies, each as it is: the content, or the parts of an index that is made later.
    pub fn parts(&self) -> &[Digest] {
        self.made_of.as_ref().map_or(std::slice::from_ref(&self.digest), |made| &made.parts)
    }
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
    /// What the content is made of, if it is an index that is made on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<MadeOf>,
    /// Which try, from 1.
    pub attempt: u32,
}

impl From<&Copy> for CopyRecord {
    fn from(copy: &Copy) -> Self {
        Self {
            source: copy.source_ref.recorded(),
            destination: copy.destination_tag.clone(),
            digest: copy.digest.clone(),
            made_of: copy.made_of.clone(),
            attempt: copy.attempt,
        }
    }
}

impl CopyRecord {
    /// Returns the copy again; none when the text is neither tag nor digest, or nothing is copied, as on a Job
    /// that is not ours.
    pub fn read(&self) -> Option<Copy> {
        if self.made_of.as_ref().is_some_and(|made| made.parts.is_empty()) {
            return None;
        }
        Some(Copy {
            source_ref: self.source.parse().ok()?,
            destination_tag: self.destination.clone(),
            digest: self.digest.clone(),
            made_of: self.made_of.clone(),
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
    /// Its container never ran, or was ended from outside: another one of its Job failed, or the node did not keep the pod.
    Interrupted {
        /// When its Job ended.
        at: Timestamp,
    },
    /// The time of its Job was over before its turn came: others of the same Job had all of it.
    NotBegun {
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
    /// The tag exists with other content, and the registry does not let it show anything else.
    Immutable {
        /// What the tag shows; none where only the Job was told.
        shows: Option<Digest>,
        /// When that was answered.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_back_and_old_records_still_are() {
        let digest = Digest::of(b"x");
        let old = format!(r#"{{"source":"v1","destination":"v1","digest":"{digest}","attempt":2}}"#);
        let read = serde_json::from_str::<CopyRecord>(&old).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), old, "nothing new where nothing is made");
        let mut copy = read.read().unwrap();
        assert_eq!((copy.attempt, copy.parts()), (2, [digest.clone()].as_slice()));
        let (origin, parts) = (Origin::PlatformsOf(digest), vec![Digest::of(b"a"), Digest::of(b"b")]);
        copy.made_of = Some(MadeOf { origin, parts: parts.clone() });
        let text = serde_json::to_string(&CopyRecord::from(&copy)).unwrap();
        let read = serde_json::from_str::<CopyRecord>(&text).unwrap().read().unwrap();
        assert_eq!((read.parts(), &read), (parts.as_slice(), &copy));
    }

    #[test]
    fn a_record_that_copies_nothing_is_none_of_ours() {
        let digest = Digest::of(b"x");
        let forged = format!(
            r#"{{"source":"v1","destination":"v1","digest":"{digest}","attempt":1,
                "madeOf":{{"origin":{{"platformsOf":"{digest}"}},"parts":[]}}}}"#
        );
        assert_eq!(serde_json::from_str::<CopyRecord>(&forged).unwrap().read(), None);
    }
}
