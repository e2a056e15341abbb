//! What a registry answered, for as long as it is taken for true.

use std::collections::HashMap;
use std::time::Duration;

use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use super::Known;
use crate::copy::{Observed, ObservedTag};
use crate::time::{jitter, saturating_add};

/// How long an answer of the destination is fresh at most. A tag that vanishes is noticed at once, in the
/// list; one that another program moved is noticed after this time.
const MAX_ANSWER_TTL: Duration = Duration::from_hours(24);

/// What tags of a registry showed, and until when that is fresh.
#[derive(Debug, Default, PartialEq)]
struct Answers(HashMap<Tag, (Digest, Timestamp)>);

impl Answers {
    /// Returns the answers that are still fresh.
    fn fresh(&self, now: Timestamp) -> HashMap<Tag, Digest> {
        let fresh = self.0.iter().filter(|(_, (_, until))| *until > now);
        fresh.map(|(tag, (digest, _))| (tag.clone(), digest.clone())).collect()
    }

    /// Keeps these answers and no others. Those that were fresh keep their time; new ones get times spread over half a
    /// day, so that they are not all asked for again at once.
    fn keep(&mut self, answers: impl Iterator<Item = (Tag, Digest)>, now: Timestamp) {
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

/// What both registries answered for the tags of a request.
#[derive(Debug, Default, PartialEq)]
pub struct AnswersOfBoth {
    /// The destination, for its own tags.
    destination: Answers,
    /// The source, for signatures and the like, which hardly ever change, and for tags whose source need not be asked but
    /// for them.
    source: Answers,
}

impl AnswersOfBoth {
    /// Keeps what both answered for the tags that were asked for and no others.
    pub fn keep(&mut self, observed: &Observed, now: Timestamp) {
        let at_destination = observed.tags.iter().filter_map(|tag| {
            let digest = tag.destination.digest()?;
            Some((tag.destination_tag.clone(), digest.clone()))
        });
        self.destination.keep(at_destination, now);
        let at_source = observed.tags.iter().filter_map(ObservedTag::at_source);
        let at_source = at_source.map(|(tag, digest)| (tag.clone(), digest.clone()));
        self.source.keep(at_source, now);
    }

    /// Returns what the next observation need not ask for.
    pub fn known(&self, now: Timestamp) -> Known {
        let (at_destination, at_source) = (self.destination.fresh(now), self.source.fresh(now));
        Known { at_destination, now, at_source, ..Known::default() }
    }
}
