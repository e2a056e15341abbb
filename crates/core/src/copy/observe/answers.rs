//! What a registry answered, for as long as it is taken for true.

use std::collections::HashMap;
use std::time::Duration;

use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use crate::time::{jitter, saturating_add};

/// How long an answer of the destination is fresh at most. A tag that vanishes is noticed at once, in the
/// list; one that another program moved is noticed after this time.
const MAX_ANSWER_TTL: Duration = Duration::from_hours(24);

/// What tags of a registry showed, and until when that is fresh.
#[derive(Debug, Default, PartialEq)]
pub struct Answers(HashMap<Tag, (Digest, Timestamp)>);

impl Answers {
    /// Returns the answers that are still fresh.
    pub fn fresh(&self, now: Timestamp) -> HashMap<Tag, Digest> {
        let fresh = self.0.iter().filter(|(_, (_, until))| *until > now);
        fresh.map(|(tag, (digest, _))| (tag.clone(), digest.clone())).collect()
    }

    /// Keeps these answers and no others. Those that were fresh keep their time; new ones get times spread over half a
    /// day, so that they are not all asked for again at once.
    pub fn keep(&mut self, answers: impl Iterator<Item = (Tag, Digest)>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        for (tag, digest) in answers {
            let until = match before.remove(&tag) {
                Some((known, until)) if known == digest && until > now => until,
                _ => {
                    let half = MAX_ANSWER_TTL / 2;
                    saturating_add(now, half + jitter(tag.as_str(), half))
                }
            };
            self.0.insert(tag, (digest, until));
        }
    }
}
