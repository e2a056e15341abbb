//! What the agent remembers of an Image between two passes. All of it can be lost: a restart works it out
//! again from the status, the Jobs and the registries.

use std::collections::{HashMap, HashSet};

use imgop_core::copy::{
    AnswersOfBoth, Content, ContentCache, Copy, EngineFields, FirstSeen, Known, MadeOf, Observed,
    ObservedTag, Outcome,
};
use imgop_core::schedule::Schedule;
use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use super::prune::Refusals;

/// What is remembered of one Image.
#[derive(Debug, Default)]
pub struct Memory {
    /// The generation of the spec that the rest is of.
    pub generation: Option<i64>,
    /// The sync under way.
    pub sync: Option<Box<SyncInProgress>>,
    /// What the registries answered, for later syncs; none where that is nothing, as of most Images that wait for
    /// their first copy.
    pub cache: Option<Box<Cache>>,
    /// Whether the source is to be read for contents of which only some platforms are wanted, because the spec is
    /// another one. An index at the destination names what it was made from, which whoever may write there can forge.
    pub reads_source: bool,
    /// Whether the registries have answered since this process began; the status is the memory of an earlier one.
    pub has_answers: bool,
    /// How many pulls a copy takes: the manifests of the last one; none is known at first.
    pub pulls_per_copy: Option<u64>,
    /// When the next sync is due.
    pub schedule: Schedule,
    /// A registry that refuses the credentials.
    pub blocked: Option<Blocked>,
    /// What became of copies after their Jobs, where that differs from what the Jobs report, or where the
    /// Jobs are gone.
    pub outcomes: HashMap<Copy, Outcome>,
}

/// What belongs to one sync and goes with it.
#[derive(Debug, Default, PartialEq)]
pub struct SyncInProgress {
    /// What both registries answered and when.
    pub observed: Option<(Timestamp, Observed)>,
    /// Copies that this process created Jobs for and has not seen the end of.
    pub started: HashSet<Copy>,
    /// Tags whose content such Jobs have pushed, and which are yet to be counted as set.
    pub pushed: HashSet<Tag>,
    /// Copies whose content was sought at the destination before a Job is created.
    pub probed: HashSet<Copy>,
    /// Contents that are copied in parts: they were probed, and are not a second time.
    pub in_parts: HashMap<Digest, MadeOf>,
    /// Contents that the engine cannot copy, by the same probe.
    pub not_copied: HashSet<Digest>,
    /// Contents that Skopeo cannot copy and Native copies in its place.
    pub by_native: HashSet<Digest>,
    /// Contents for which blobs were mounted, or sought in vain, before a Job was created.
    pub mounted: HashSet<Digest>,
    /// The tags that were set.
    pub published: Vec<Tag>,
    /// When all that failed was reset: the status has no room for each of many failures.
    pub reset_at: Option<Timestamp>,
}

/// Why a registry is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The versions of the Secrets that were refused.
    pub secrets: Vec<String>,
    /// When it is asked again with the same Secrets.
    pub until: Timestamp,
}

/// Answers of the registries.
#[derive(Debug, Default, PartialEq)]
pub struct Cache {
    /// What both answered, for as long as that is fresh.
    answers: AnswersOfBoth,
    /// What tags that are too young showed when they were first seen.
    pub first_seen: HashMap<Tag, FirstSeen>,
    /// What becomes of contents of which only some platforms are wanted.
    pub contents: ContentCache,
    /// The newest tag that was selected for a fixed tag of the destination.
    newest: Option<Tag>,
    /// The tags that mode `OnceByTag` need not compare again, and what they were copied from: a status has no room for
    /// the names of very many.
    pub already_synced: (Option<String>, HashSet<Tag>),
    /// Tags that Jobs may put to what is not asked for any more: they are looked up at each sync.
    pub contested: HashSet<Tag>,
    /// Tags that pods on nodes that do not answer may put, and until when: likewise.
    pub lost: HashMap<Tag, Timestamp>,
    /// What the destination has refused about tags that are to be deleted.
    pub(super) refused_deletions: Refusals,
}

impl Memory {
    /// Invalidates what the registries answered and what failed: the spec is another one, or a sync was
    /// requested. The sync under way begins anew; what it set stays counted.
    pub fn invalidate(&mut self) {
        if let Some(sync) = self.sync.take() {
            let published = sync.published;
            self.sync = Some(Box::new(SyncInProgress { published, ..SyncInProgress::default() }));
        }
        self.drop_answers();
        if let Some(cache) = &mut self.cache {
            cache.newest = None;
            cache.refused_deletions.clear();
        }
        self.outcomes.clear();
        self.blocked = None;
        self.schedule.retries = 0;
    }

    /// Returns the answers of the registries, to change them.
    pub fn cache(&mut self) -> &mut Cache {
        self.cache.get_or_insert_default()
    }

    /// Frees what is empty by now. Ten thousand Images may be remembered.
    pub fn shrink(&mut self) {
        self.cache = self.cache.take().filter(|cache| **cache != Cache::default());
    }

    /// Invalidates what becomes of contents, and reads the source for it, which are pulls: a sync that is
    /// requested costs none, another spec may.
    pub fn invalidate_contents(&mut self) {
        self.cache().contents = ContentCache::default();
        self.reads_source = true;
    }

    /// Drops what the registries answered, of an Image whose next sync will not trust it.
    pub fn drop_answers(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.answers = AnswersOfBoth::default();
        }
    }

    /// Returns what is known before the registries are asked.
    pub fn known(&self, now: Timestamp) -> Known {
        let known = self.cache.as_ref().map(|cache| cache.known(now)).unwrap_or_default();
        Known { reads_source: self.reads_source, now, ..known }
    }

    /// Keeps what the registries answered, for the tags that were asked for and no others.
    pub fn keep_answers(&mut self, observed: &Observed, now: Timestamp) {
        self.has_answers = true;
        // What could not be read is to be read yet.
        self.reads_source &= observed.tags.iter().any(|tag| matches!(tag.content, Content::Unknown(_)));
        self.cache().keep(observed, now);
    }

    /// Returns the tags that mode `OnceByTag` need not compare again, where they were copied from this source.
    pub fn already_synced(&self, from: &str) -> impl Iterator<Item = &Tag> {
        let known = self.cache.as_ref().map(|cache| &cache.already_synced);
        known.filter(|(of, _)| of.as_deref() == Some(from)).into_iter().flat_map(|(_, tags)| tags)
    }

    /// Returns the sync under way, or begins one.
    pub fn sync(&mut self) -> &mut SyncInProgress {
        self.sync.get_or_insert_default()
    }

    /// Keeps what was observed for the next pass, if that needs it. Thousands of Images may wait for places, and what
    /// they observed is too old when they get one.
    pub fn keep_observed(&mut self, observed: Option<(Timestamp, Observed)>) {
        self.sync().observed = observed;
        self.sync = self.sync.take().filter(|sync| **sync != SyncInProgress::default());
    }

    /// Ends the sync under way. Jobs of it that run are still followed: one that does not start holds a place.
    pub fn end_sync(&mut self) {
        let started = self.sync.take().map(|sync| sync.started).filter(|started| !started.is_empty());
        self.sync = started.map(|started| Box::new(SyncInProgress { started, ..SyncInProgress::default() }));
    }

    /// Returns whether this process created Jobs that it has not seen the end of.
    pub fn has_started(&self) -> bool {
        self.sync.as_ref().is_some_and(|sync| !sync.started.is_empty())
    }
}

impl SyncInProgress {
    /// Returns whether the content of a copy was sought at the destination. One that is copied in parts was sought before
    /// that was known.
    pub fn is_probed(&self, copy: &Copy) -> bool {
        let is_in_parts = copy.made_of.is_some() && self.in_parts.get(&copy.digest) == copy.made_of.as_ref();
        self.probed.contains(copy)
            || is_in_parts && self.probed.contains(&Copy { made_of: None, ..copy.clone() })
    }

    /// Notes how what was observed is copied, also if it was observed anew after the probe: in parts, or not at all. `fields`
    /// let Native copy it.
    pub fn note_how(&self, observed: &mut Observed, fields: EngineFields) {
        let parts = |tag: &ObservedTag| {
            let made_of = self.in_parts.get(tag.source.digest()?)?;
            Some((tag.destination_tag.clone(), made_of))
        };
        let in_parts: Vec<(Tag, &MadeOf)> = observed.tags.iter().filter_map(parts).collect();
        for (tag, made_of) in in_parts {
            observed.copy_in_parts(&tag, made_of);
        }
        let is_not_copied =
            |tag: &&ObservedTag| tag.source.digest().is_some_and(|content| self.not_copied.contains(content));
        let not_copied: Vec<Tag> =
            observed.tags.iter().filter(is_not_copied).map(|tag| tag.destination_tag.clone()).collect();
        for tag in not_copied {
            observed.not_copied_by_skopeo(&tag, fields);
        }
    }
}

impl Cache {
    fn known(&self, now: Timestamp) -> Known {
        let mut known = self.answers.known(now);
        known.at_destination.retain(|tag, _| !self.contested.contains(tag) && !self.lost.contains_key(tag));
        Known {
            contents: self.contents.clone(),
            first_seen: self.first_seen.clone(),
            newest: self.newest.clone(),
            ..known
        }
    }

    fn keep(&mut self, observed: &Observed, now: Timestamp) {
        self.newest.clone_from(&observed.newest);
        self.answers.keep(observed, now);
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::copy::{MadeIndex, Origin, Seen, TagState};
    use imgop_registry::reference::ManifestRef;

    use super::*;
    use crate::image::tests::fixtures::now;

    fn tags(count: u32) -> Vec<Tag> {
        (0..count).map(|n| n.to_string().parse().unwrap()).collect()
    }

    fn tag(name: &str, content: &str) -> ObservedTag {
        let seen = || Seen::Present(Digest::of(content.as_bytes()));
        ObservedTag::whole(ManifestRef::Tag(name.parse().unwrap()), name.parse().unwrap(), seen(), seen())
    }

    #[test]
    fn the_newest_tag_is_known_to_the_next_observation_unless_a_sync_is_requested() {
        let newest: Option<Tag> = Some("2.0".parse().unwrap());
        let mut memory = Memory::default();
        memory.keep_answers(&Observed { newest: newest.clone(), ..Observed::default() }, now());
        assert_eq!(memory.known(now()).newest, newest);
        memory.invalidate();
        assert_eq!(memory.known(now()).newest, None);
    }

    #[test]
    fn an_index_that_the_referrers_api_lists_is_not_kept_as_what_stands_under_its_tag() {
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
        let mut cache = Cache::default();
        cache.keep(&Observed { tags, ..Observed::default() }, now());
        let mut kept: Vec<String> = cache.known(now()).at_source.keys().map(ToString::to_string).collect();
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
        let mut memory = Memory::default();
        memory.cache().contents = contents;
        memory.invalidate();
        assert_ne!(memory.known(now()).contents, ContentCache::default());
        assert!(!memory.known(now()).reads_source);
        memory.invalidate_contents();
        assert_eq!(memory.known(now()).contents, ContentCache::default());
        assert!(memory.known(now()).reads_source);
        memory.keep_answers(&observed, now());
        assert!(!memory.known(now()).reads_source, "once it was read it is known");
    }

    #[test]
    fn what_is_empty_takes_no_memory_and_an_answer_stays() {
        let mut memory = Memory::default();
        memory.cache().contested = tags(1).into_iter().collect();
        memory.cache().contested.clear();
        memory.shrink();
        assert!(memory.cache.is_none());
        memory.keep_answers(&Observed { tags: vec![tag("1.0", "a")], ..Observed::default() }, now());
        memory.shrink();
        assert_eq!(memory.known(now()).at_destination.len(), 1);
    }

    #[test]
    fn what_was_found_to_be_copied_in_parts_is_so_also_when_it_is_observed_anew() {
        let content = Digest::of(b"index");
        let made_of = MadeOf { origin: Origin::AllOf(content.clone()), parts: vec![Digest::of(b"part")] };
        let in_parts = HashMap::from([(content, made_of.clone())]);
        let sync = SyncInProgress { in_parts, ..SyncInProgress::default() };
        let tags = vec![tag("1.0", "index"), tag("1.1", "another")];
        let mut observed = Observed { tags, ..Observed::default() };
        sync.note_how(&mut observed, EngineFields::default());
        assert!(matches!(&observed.tags[0].content, Content::Made(made) if made.of == made_of));
        assert!(matches!(observed.tags[1].content, Content::Whole(_)));
    }

    #[test]
    fn a_try_that_was_probed_is_so_also_once_it_is_known_to_be_copied_in_parts_and_the_next_one_is_not() {
        let copy = crate::image::tests::fixtures::copy("1.0", 1);
        let made_of = MadeOf { origin: Origin::AllOf(copy.digest.clone()), parts: vec![Digest::of(b"part")] };
        let in_parts = HashMap::from([(copy.digest.clone(), made_of.clone())]);
        let probed = HashSet::from([copy.clone()]);
        let sync = SyncInProgress { probed, in_parts, ..SyncInProgress::default() };
        let by_parts = Copy { made_of: Some(made_of), ..copy.clone() };
        assert!(sync.is_probed(&copy) && sync.is_probed(&by_parts));
        assert!(!sync.is_probed(&Copy { attempt: 2, ..by_parts }));
        assert!(
            !sync.is_probed(&crate::image::tests::fixtures::subset("1.0")),
            "other parts were not sought"
        );
    }

    #[test]
    fn what_the_engine_cannot_copy_is_said_to_be_so_also_when_it_is_observed_anew() {
        let not_copied = HashSet::from([Digest::of(b"cache")]);
        let sync = SyncInProgress { not_copied, ..SyncInProgress::default() };
        let missing = |name, content| ObservedTag { destination: Seen::Absent, ..tag(name, content) };
        let tags = vec![missing("1.0", "cache"), missing("1.1", "image"), tag("1.2", "cache")];
        let mut observed = Observed { tags, ..Observed::default() };
        sync.note_how(&mut observed, EngineFields::default());
        let states: Vec<TagState> = observed.tags.iter().map(ObservedTag::state).collect();
        assert_eq!(states, [TagState::FormatUnsupported, TagState::Missing, TagState::UpToDate]);
    }

    #[test]
    fn a_sync_that_ends_still_follows_jobs_that_run_and_nothing_else_of_it_stays() {
        let copy = crate::image::tests::fixtures::copy("1.0", 1);
        let sync = SyncInProgress { published: tags(3), started: [copy].into(), ..SyncInProgress::default() };
        let mut memory = Memory { sync: Some(Box::new(sync)), ..Memory::default() };
        memory.end_sync();
        assert!(memory.has_started());
        assert!(memory.sync().published.is_empty());
        memory.sync().started.clear();
        memory.end_sync();
        assert!(memory.sync.is_none());
    }

    #[test]
    fn a_sync_that_begins_anew_forgets_its_jobs_and_counts_what_it_set() {
        let copy = crate::image::tests::fixtures::copy("1.0", 1);
        let sync = SyncInProgress { published: tags(3), started: [copy].into(), ..SyncInProgress::default() };
        let mut memory = Memory { sync: Some(Box::new(sync)), ..Memory::default() };
        assert!(memory.has_started());
        memory.invalidate();
        assert!(!memory.has_started());
        assert_eq!(memory.sync().published, tags(3));
    }
}
