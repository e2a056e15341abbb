//! Tags that would be copied and are too young for `select.minAge`.

use std::collections::HashMap;

use futures::StreamExt as _;

use super::{Limits, Look};
use crate::api::{MinAge, Overwrite};
use crate::plan::{Evidence, Observed, ObservedTag, TagState, Waiting, is_plausible};
use crate::reference::{Digest, ManifestRef};
use crate::registry::BulkDigest;
use crate::tags::{Excluded, Exclusion, Tag};

/// Takes the tags that are too young out of those that are meant. Only what would be copied is judged:
/// what the destination has already stays there. A digest is not held back; whoever writes one has
/// seen it.
pub(super) async fn hold_back(
    look: &Look<'_>,
    bulk: &HashMap<Tag, BulkDigest>,
    min_age: MinAge,
    limits: Limits,
    observed: &mut Observed,
) {
    let judged: Vec<(ObservedTag, Option<Waiting>)> =
        futures::stream::iter(std::mem::take(&mut observed.tags))
            .map(|tag| async move {
                let waiting = look.judge(&tag, bulk, min_age).await;
                (tag, waiting)
            })
            .buffered(limits.concurrency.max(1))
            .collect()
            .await;
    for (tag, waiting) in judged {
        match waiting {
            None => observed.tags.push(tag),
            Some(waiting) => observed.waiting.push(waiting),
        }
    }
    // Before the near misses: these are meant.
    let young = observed.waiting.iter().map(|waiting| Excluded {
        tag: waiting.tag.clone(),
        reason: Exclusion::TooYoung { min_age, until: waiting.until },
    });
    observed.excluded = young.chain(std::mem::take(&mut observed.excluded)).collect();
}

impl Look<'_> {
    async fn judge(
        &self,
        observed: &ObservedTag,
        bulk: &HashMap<Tag, BulkDigest>,
        min_age: MinAge,
    ) -> Option<Waiting> {
        let (ManifestRef::Tag(tag), Some(digest)) = (&observed.source_ref, observed.source.digest()) else {
            return None;
        };
        let is_copied = match observed.state() {
            TagState::Missing => true,
            TagState::Differs => self.request.overwrite != Overwrite::IfMissing,
            _ => false,
        };
        if !is_copied {
            return None;
        }
        let now = self.known.now;
        let mut evidence = Evidence {
            pushed: bulk.get(tag).filter(|told| told.digest == *digest).and_then(|told| told.pushed),
            created: None,
            seen: self
                .known
                .first_seen
                .get(tag)
                .filter(|first| first.digest == *digest)
                .map(|first| first.at),
        };
        if !evidence.pushed.is_some_and(|pushed| is_plausible(pushed, now)) {
            evidence.created = self.created(digest).await;
        }
        Waiting::judge(tag, digest, min_age, evidence, now)
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
