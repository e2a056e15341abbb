//! What the agent remembers between two looks at an Image. All of it can be lost: a restart works
//! it out again from the status, the Jobs and the registries.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use imgop_core::plan::{Copy, FirstSeen, Observed, Outcome, Seen};
use imgop_core::reference::Digest;
use imgop_core::tags::Tag;
use jiff::Timestamp;

use super::schedule;

/// What is remembered of one Image.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The generation of the spec that the rest speaks of.
    pub generation: Option<i64>,
    /// When it is due by itself.
    pub next_look: Option<Timestamp>,
    /// What both registries said and when, while a sync is under way.
    pub observed: Option<(Timestamp, Observed)>,
    /// What the destination answered for its tags, and until when that is believed.
    pub at_destination: HashMap<Tag, (Digest, Timestamp)>,
    /// What tags that are too young showed when they were first seen.
    pub first_seen: HashMap<Tag, FirstSeen>,
    /// What became of copies after their Jobs, where that is another thing than the Jobs say, or
    /// where the Jobs are gone.
    pub outcomes: HashMap<Copy, Outcome>,
    /// Copies that this process made Jobs for and has not seen the end of.
    pub started: HashSet<Copy>,
    /// Copies whose content was looked for at the destination before a Job is made.
    pub probed: HashSet<Copy>,
    /// Contents for which blobs were mounted, or looked for in vain, before a Job was made.
    pub mounted: HashSet<Digest>,
    /// The blobs of contents, as read at the source, until their tags are set.
    pub blobs: HashMap<Digest, Vec<Digest>>,
    /// Contents whose tags were set and whose blobs are to be known.
    pub landed: Vec<Digest>,
    /// How many pulls a copy takes: the manifests of the last one; none is known at first.
    pub pulls_of_a_copy: Option<u64>,
    /// How many tags were set since the sync began.
    pub published: u32,
    /// How many times in a row something was not there or did not answer.
    pub look_agains: u32,
    /// A refusal that only another Secret, spec or request ends.
    pub blocked: Option<Blocked>,
    /// How many times in a row the API server failed us.
    pub api_failures: u32,
}

/// How long an answer of the destination is believed at most. A tag that vanishes is noticed at
/// once, in the list; one that somebody else moved is noticed after this time.
const BELIEVED: Duration = Duration::from_hours(24);

impl Remembered {
    /// Forgets what was seen of the registries: the spec is another one, or somebody wants the truth.
    pub fn doubt(&mut self) {
        self.observed = None;
        self.at_destination.clear();
        self.outcomes.clear();
        self.started.clear();
        self.probed.clear();
        self.mounted.clear();
        self.blocked = None;
        self.look_agains = 0;
    }

    /// The digests that the destination still has, as far as its answers are believed.
    pub fn believed(&self, now: Timestamp) -> HashMap<Tag, Digest> {
        let believed = self.at_destination.iter().filter(|(_, (_, until))| *until > now);
        believed.map(|(tag, (digest, _))| (tag.clone(), digest.clone())).collect()
    }

    /// Keeps what the destination answered. Answers that were believed keep their time; new ones get
    /// times spread over half a day, so that they are not all asked for again at once.
    pub fn keep(&mut self, observed: &Observed, now: Timestamp) {
        let mut kept = HashMap::with_capacity(observed.tags.len());
        for tag in &observed.tags {
            let Seen::Present(digest) = &tag.destination else { continue };
            let until = match self.at_destination.remove(&tag.destination_tag) {
                Some((known, until)) if known == *digest && until > now => until,
                _ => schedule::spread(
                    tag.destination_tag.as_str(),
                    BELIEVED / 2,
                    schedule::later(now, BELIEVED / 2),
                ),
            };
            kept.insert(tag.destination_tag.clone(), (digest.clone(), until));
        }
        self.at_destination = kept;
    }
}

/// Why a registry is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The versions of the Secrets that were refused.
    pub secrets: Vec<String>,
    /// When it is tried again with the same Secrets.
    pub until: Timestamp,
}

/// What is remembered of every Image, by UID.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Remembered>>);

impl Memory {
    /// Takes what is known of an Image, to be put back. One Image is never handled twice at once.
    pub fn take(&self, uid: &str) -> Remembered {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Puts it back.
    pub fn put(&self, uid: &str, remembered: Remembered) {
        self.lock().insert(uid.to_owned(), remembered);
    }

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    // A panic elsewhere leaves the map whole: each of the calls above is one operation on it.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
