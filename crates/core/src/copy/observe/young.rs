//! Tags that would be copied and are too young for `select.minAge`.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;

use super::Limits;
use super::observation::Observation;
use crate::api::{MinAge, Overwrite};
use crate::copy::{Evidence, FirstSeen, Observed, ObservedTag, TagState, Waiting};
use crate::selection::{Excluded, Exclusion};
use imgop_registry::BulkDigest;
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;

/// Finds the tags that are too young, and takes those that the destination does not have out of those
/// that are selected. Only what would be copied is judged: what the destination has already stays there. A
/// digest is not held back: whoever wrote it into a spec has seen it.
pub(super) async fn hold_back(
    observation: &Observation<'_>,
    bulk: &HashMap<Tag, BulkDigest>,
    min_age: MinAge,
    limits: Limits,
    observed: &mut Observed,
) {
    let judged: Vec<(ObservedTag, Option<Waiting>)> =
        futures::stream::iter(std::mem::take(&mut observed.tags))
            .map(|tag| async move {
                let waiting = observation.judge(&tag, bulk, min_age).await;
                (tag, waiting)
            })
            .buffered(limits.concurrency.max(1))
            .collect()
            .await;
    let mut young = Vec::new();
    for (tag, waiting) in judged {
        let Some(waiting) = waiting else {
            observed.remembered.extend(observation.remembered(&tag, min_age));
            observed.tags.push(tag);
            continue;
        };
        if tag.state() == TagState::Missing {
            let reason = Exclusion::TooYoung { min_age, until: waiting.until };
            young.push(Excluded { tag: waiting.tag.clone(), reason });
        } else {
            // The destination has something for it, and that is as it should be for now.
            observed.tags.push(tag);
        }
        observed.waiting.push(waiting);
    }
    // Before the near misses: these are selected.
    observed.excluded.splice(..0, young);
}

impl Observation<'_> {
    /// Asks when the tags that would be copied were pushed, where that was not asked because HEADs were
    /// cheaper. Else their age would be what the image states of itself, and whoever makes a bad release
    /// writes that. What is known of a tag from before is enough.
    pub(super) async fn learn_pushes(&mut self, tags: &[ObservedTag], among: &[Tag]) {
        let unknown = |observed: &ObservedTag| {
            let tag = observed.source_ref.tag()?;
            let is_known =
                self.bulk.contains_key(tag) || self.first_seen(tag, observed.source.digest()).is_some();
            (!is_known && self.is_copied(observed)).then(|| tag.clone())
        };
        let wanted: HashSet<Tag> = tags.iter().filter_map(unknown).collect();
        if !wanted.is_empty() {
            self.bulk.extend(self.sides.source.pushes_in_bulk(&wanted, among).await);
        }
    }

    /// Returns what is known from before of a tag, if it still shows that.
    fn first_seen(&self, tag: &Tag, digest: Option<&Digest>) -> Option<&FirstSeen> {
        self.known.first_seen.get(tag).filter(|first| Some(&first.digest) == digest)
    }

    /// Whether a tag would be copied now, were it not for its age.
    fn is_copied(&self, observed: &ObservedTag) -> bool {
        match observed.state() {
            TagState::Missing => true,
            TagState::Differs => self.request.overwrite != Overwrite::IfMissing,
            _ => false,
        }
    }

    async fn judge(
        &self,
        observed: &ObservedTag,
        bulk: &HashMap<Tag, BulkDigest>,
        min_age: MinAge,
    ) -> Option<Waiting> {
        let (Some(tag), Some(digest)) = (observed.source_ref.tag(), observed.source.digest()) else {
            return None;
        };
        if !self.is_copied(observed) {
            return None;
        }
        let seen = self.first_seen(tag, Some(digest));
        let reported = bulk.get(tag);
        let mut evidence = Evidence {
            pushed: reported.filter(|r| r.digest == *digest).and_then(|r| r.pushed),
            created: None,
            seen: seen.map(|first| first.at),
        };
        // Where the API still reports what the tag showed before, it was pushed just now, whatever the image
        // states of itself.
        let lags = reported.is_some_and(|reported| reported.digest != *digest);
        if evidence.needs_created() && !lags {
            evidence.created = self.created(digest).await;
        }
        let waiting = Waiting::judge(tag, digest, min_age, evidence, self.known.now)?;
        Some(Waiting { content: observed.content.clone(), ..waiting })
    }

    /// Returns what is known from before of a tag that does not wait, or that may or may not wait. It is of
    /// no use once the destination has what the tag shows, or the tag shows something else.
    fn remembered(&self, observed: &ObservedTag, min_age: MinAge) -> Option<Waiting> {
        let tag = observed.source_ref.tag()?;
        let FirstSeen { digest, at } = self.known.first_seen.get(tag)?;
        let is_open = self.is_copied(observed)
            || matches!(observed.state(), TagState::NotChecked | TagState::NotFound | TagState::AtSource);
        let has_moved = observed.source.digest().is_some_and(|shown| shown != digest);
        (is_open && !has_moved).then(|| Waiting::since(tag, digest, min_age, *at))
    }

    async fn created(&self, digest: &Digest) -> Option<jiff::Timestamp> {
        match self.sides.source.created(digest).await {
            Ok(created) => created,
            Err(error) => {
                tracing::debug!(%error, "when the image was made is not known; it counts when it was first seen");
                None
            }
        }
    }
}
