//! What the agent remembers between two looks at an Image. All of it can be lost: a restart works
//! it out again from the status, the Jobs and the registries.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use imgop_core::api::ImageStatus;
use imgop_core::copy::{Content, Copy, FirstSeen, Observed, ObservedTag, Outcome};
use imgop_core::copy::{ContentCache, Known};
use imgop_registry::Manifest;
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;
use jiff::Timestamp;

use super::schedule;
use super::status::Findings;

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
    /// The same of the source, for signatures and the like, which hardly ever change, and for tags
    /// whose source need not be asked but for them.
    pub at_source: HashMap<Tag, (Digest, Timestamp)>,
    /// What becomes of contents of which only some platforms are wanted.
    pub contents: ContentCache,
    /// Whether the source is to be read for those, because the spec is another one. An index at the
    /// destination says itself what it was made from, and whoever may write there may have it lie.
    pub reads_source: bool,
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
    /// Contents whose tags were set and whose blobs are to be known, with their manifests where those
    /// are at hand.
    pub landed: Vec<(Digest, Option<Manifest>)>,
    /// How many pulls a copy takes: the manifests of the last one; none is known at first.
    pub pulls_of_a_copy: Option<u64>,
    /// How many tags were set since the sync began.
    pub published: u32,
    /// How many times in a row something was not there or did not answer.
    pub look_agains: u32,
    /// A refusal that only another Secret, spec or request ends.
    pub blocked: Option<Blocked>,
    /// What was found out and could not be written.
    pub unsaid: Option<Unsaid>,
    /// Jobs that have no pod, by name, and since when they were seen so.
    pub podless: HashMap<String, Timestamp>,
    /// How many times in a row the API server failed us.
    pub api_failures: u32,
}

/// A status that could not be written, or was written and the answer got lost.
#[derive(Debug, Clone)]
pub struct Unsaid {
    /// What it was made of. It always says of which generation it speaks.
    pub findings: Findings,
    /// The status.
    pub status: ImageStatus,
}

/// How long an answer of the destination is believed at most. A tag that vanishes is noticed at
/// once, in the list; one that somebody else moved is noticed after this time.
const BELIEVED: Duration = Duration::from_hours(24);

impl Remembered {
    /// Forgets what was seen of the registries: the spec is another one, or somebody wants the truth.
    pub fn doubt(&mut self) {
        self.observed = None;
        self.at_destination.clear();
        self.at_source.clear();
        self.outcomes.clear();
        self.started.clear();
        self.probed.clear();
        self.mounted.clear();
        self.blocked = None;
        self.look_agains = 0;
    }

    /// Forgets what becomes of contents, and reads the source for it, which are pulls: a sync that somebody
    /// asks for costs none, another spec may.
    pub fn doubt_contents(&mut self) {
        self.contents = ContentCache::default();
        self.reads_source = true;
    }

    /// What is known before the registries are asked.
    pub fn known(&self, now: Timestamp) -> Known {
        Known {
            at_destination: believed(&self.at_destination, now),
            at_source: believed(&self.at_source, now),
            contents: self.contents.clone(),
            reads_source: self.reads_source,
            now,
            ..Known::default()
        }
    }

    /// Keeps what the registries answered, for the tags that were looked at and no others.
    pub fn keep(&mut self, observed: &Observed, now: Timestamp) {
        // What could not be read is still doubted.
        self.reads_source &= observed.tags.iter().any(|tag| matches!(tag.content, Content::Unknown(_)));
        let at_destination = observed.tags.iter().filter_map(|tag| {
            let digest = tag.destination.digest()?;
            Some((tag.destination_tag.clone(), digest.clone()))
        });
        keep(&mut self.at_destination, at_destination, now);
        let at_source = observed.tags.iter().filter_map(ObservedTag::at_source);
        let at_source = at_source.map(|(tag, digest)| (tag.clone(), digest.clone()));
        keep(&mut self.at_source, at_source, now);
    }
}

/// The answers that are still believed.
fn believed(answers: &HashMap<Tag, (Digest, Timestamp)>, now: Timestamp) -> HashMap<Tag, Digest> {
    let believed = answers.iter().filter(|(_, (_, until))| *until > now);
    believed.map(|(tag, (digest, _))| (tag.clone(), digest.clone())).collect()
}

/// Keeps answers. Those that were believed keep their time; new ones get times spread over half a day,
/// so that they are not all asked for again at once.
fn keep(
    known: &mut HashMap<Tag, (Digest, Timestamp)>,
    answers: impl Iterator<Item = (Tag, Digest)>,
    now: Timestamp,
) {
    let mut before = std::mem::take(known);
    for (tag, digest) in answers {
        let until = match before.remove(&tag) {
            Some((known, until)) if known == digest && until > now => until,
            _ => schedule::spread(tag.as_str(), BELIEVED / 2, schedule::later(now, BELIEVED / 2)),
        };
        known.insert(tag, (digest, until));
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

#[cfg(test)]
mod tests {
    use imgop_core::copy::{MadeIndex, MadeOf, Origin, Seen};
    use imgop_registry::reference::ManifestRef;

    use super::*;
    use crate::image::tests::fixtures::now;

    fn tag(name: &str, content: &str) -> ObservedTag {
        let seen = || Seen::Present(Digest::of(content.as_bytes()));
        ObservedTag::whole(ManifestRef::Tag(name.parse().unwrap()), name.parse().unwrap(), seen(), seen())
    }

    #[test]
    fn an_index_that_the_api_told_is_not_kept_as_what_stands_under_its_tag() {
        let subject = Digest::of(b"image");
        let made = Content::Made(MadeIndex {
            digest: Digest::of(b"made"),
            of: MadeOf { origin: Origin::ReferrersOf(subject.clone()), parts: Vec::new() },
            platforms: Vec::new(),
        });
        let referrer =
            |name, content| ObservedTag { content, referrer_of: Some(subject.clone()), ..tag(name, "image") };
        let signature = ObservedTag { referrer_of: Some(subject.clone()), ..tag("named.sig", "signature") };
        let tags = vec![
            ObservedTag { subject: Some(subject.clone()), ..tag("1.0", "image") },
            referrer("made", made),
            referrer("unknown", Content::Unknown("503".into())),
            signature,
        ];
        let mut memory = Remembered::default();
        memory.keep(&Observed { tags, ..Observed::default() }, now());
        let mut kept: Vec<String> = memory.known(now()).at_source.keys().map(ToString::to_string).collect();
        kept.sort();
        assert_eq!(kept, ["1.0", "named.sig"]);
    }

    #[test]
    fn another_spec_gets_no_content_from_before_and_a_sync_costs_no_pull() {
        let image = crate::image::tests::fixtures::image(imgop_core::api::Mode::Recurrent);
        let mut request = crate::image::tests::fixtures::request(&image);
        request.platforms = imgop_registry::oci::Platforms::parse(&["linux/amd64".into()]).unwrap();
        let observed = Observed { tags: vec![tag("1.0", "a")], ..Observed::default() };
        let contents = ContentCache::of(&request, &observed);
        let mut memory = Remembered { contents, ..Remembered::default() };
        memory.doubt();
        assert_ne!(memory.known(now()).contents, ContentCache::default());
        assert!(!memory.known(now()).reads_source);
        memory.doubt_contents();
        assert_eq!(memory.known(now()).contents, ContentCache::default());
        assert!(memory.known(now()).reads_source);
        memory.keep(&observed, now());
        assert!(!memory.known(now()).reads_source, "once it was read there is no doubt left");
    }
}
