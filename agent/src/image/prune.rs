//! Tags that the Image has put at its destination and no longer selects: which are deleted is the plan of
//! [`imgop_core::copy::due`]; here registries are asked, tags are deleted, and both is reported.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{PrunePolicy, PruneStatus};
use imgop_core::copy::{CopyRequest, MadeTags, Plan, PruneInputs, PruneRequest, due};
use imgop_core::selection::SourceRef;
use imgop_core::time::saturating_add;
use imgop_registry::reference::{Digest, ManifestRef, Tag};
use imgop_registry::{Reason, RegistryError};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::findings::Findings;
use super::memory::Memory;
use super::pass_state::PassState;
use super::used_images::NotKnown;
use super::{Access, Pass};
use crate::cluster::Freshness;

/// Tags that are to be deleted and that a status names.
const MAX_NAMED: usize = 20;
/// Tags that are deleted in one pass.
const MAX_DELETIONS: usize = 10;
/// Tags about which a registry may refuse something in one pass: the next one goes on with others.
const MAX_REFUSALS: usize = 3;
/// When a tag is tried again that was refused.
const REFUSAL_TTL: Duration = Duration::from_hours(24);
/// Why a tag is not deleted where its registry does not do that.
const NO_DELETION: &str =
    "the registry deletes no tags, or not this one, and no content is deleted in its stead";

/// Why no tag is deleted.
#[derive(Debug, thiserror::Error)]
enum PruneError {
    /// A registry did not say what it has.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The API server did not say what is used.
    #[error("no tag is deleted: {0}")]
    NotKnown(#[from] NotKnown),
}

/// What a registry has refused about a tag that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    at: Timestamp,
    message: String,
}

/// The refusals of a registry, by tag. They may be lost: then it is asked once more.
pub(super) type Refusals = HashMap<Tag, Refusal>;

/// What is done for one Image.
struct Pruning<'a> {
    access: &'a Access,
    state: &'a PassState<'a>,
    request: &'a PruneRequest,
    refusals: &'a mut Refusals,
    /// How many of them are of this pass.
    new_refusals: usize,
    made: MadeTags,
    status: PruneStatus,
}

impl Pass<'_> {
    /// Records what this sync has put, once it has ended, and deletes tags as the spec asks for. Adds to the findings what
    /// is reported of it; nothing where the spec asks for nothing.
    pub(super) async fn prune(
        &self,
        access: &Access,
        state: &PassState<'_>,
        plan: &Plan,
        findings: &mut Findings,
        memory: &mut Memory,
    ) {
        let asked = state.request;
        let (Some(copied), Some(request)) = (findings.ended.as_deref(), asked.prune.as_ref()) else { return };
        let selected = selected(asked, state, plan);
        let mut made = self.made_tags(asked);
        let put = state.observed.tags.iter().filter(|tag| copied.contains(&tag.destination_tag));
        let put = put.filter_map(|tag| Some((&tag.destination_tag, tag.destination.digest()?)));
        made.update(put, |tag| selected.contains(tag), self.now);
        let status = PruneStatus { destination: asked.destination.to_string(), ..Default::default() };
        let refusals = &mut memory.cache().refused_deletions;
        let mut pruning = Pruning { access, state, request, refusals, new_refusals: 0, made, status };
        // A sync that failed, or that selects nothing, says nothing about what is no longer selected.
        let is_settled = plan.failures().next().is_none() && !plan.is_busy() && !plan.tags.is_empty();
        let are_others_known = self.images.conflicts.is_known() && self.images.claims.are_known();
        let may_delete = is_settled && !self.image.spec.suspend && are_others_known;
        if may_delete && pruning.made.is_any_old_enough(request, self.now) {
            let ended = self.delete_due(&mut pruning, &selected).await;
            if let Err(PruneError::NotKnown(error)) = &ended {
                findings.readiness.add(Some(format!("no tag is deleted (spec.destination.prune): {error}")));
            }
            let status = &mut pruning.status;
            status.message = ended.err().map(|error| error.to_string()).or_else(|| status.message.take());
        }
        let Pruning { made, mut status, .. } = pruning;
        status.made = made.digits.into_iter().map(|(tag, digits)| (tag.to_string(), digits)).collect();
        status.unselected =
            made.unselected.into_iter().map(|(tag, since)| (tag.to_string(), Time(since))).collect();
        findings.prune = Some(Box::new(status));
    }

    /// Returns what the Image has put at this destination, as its status has it.
    fn made_tags(&self, request: &CopyRequest) -> MadeTags {
        let recorded = self.image.status.as_ref().and_then(|status| status.prune.as_deref());
        let Some(recorded) = recorded.filter(|prune| prune.destination == request.destination.to_string())
        else {
            return MadeTags::default();
        };
        let digits =
            recorded.made.iter().filter_map(|(tag, digits)| Some((tag.parse().ok()?, digits.clone())));
        let since = recorded.unselected.iter().filter_map(|(tag, since)| Some((tag.parse().ok()?, since.0)));
        MadeTags { digits: digits.collect(), unselected: since.collect() }
    }

    /// Deletes the first tags that are due, or finds out which these are where nothing is to be deleted.
    async fn delete_due(&self, pruning: &mut Pruning<'_>, selected: &HashSet<Tag>) -> Result<(), PruneError> {
        let due = self.due(pruning, selected).await?;
        pruning.refusals.retain(|tag, _| due.contains(tag));
        let proven = pruning.proven(&due, self.now).await?;
        if pruning.request.policy == PrunePolicy::Delete {
            self.delete(pruning, proven).await?;
        }
        let left: Vec<&Tag> = due.iter().filter(|tag| pruning.made.digits.contains_key(tag)).collect();
        let status = &mut pruning.status;
        status.due = u32::try_from(left.len()).unwrap_or(u32::MAX);
        let refusal = left.iter().find_map(|tag| pruning.refusals.get(*tag));
        status.message = refusal.map(|refusal| refusal.message.clone());
        status.next = left.into_iter().take(MAX_NAMED).map(ToString::to_string).collect();
        Ok(())
    }

    /// Works out which tags are due, from complete lists of both registries and of what the cluster uses.
    async fn due(&self, pruning: &mut Pruning<'_>, selected: &HashSet<Tag>) -> Result<Vec<Tag>, PruneError> {
        let (access, prune, request) = (pruning.access, pruning.request, pruning.state.request);
        let name = |tag: &Tag| request.naming.apply(&SourceRef::Tag(tag.clone())).ok();
        let at_source: HashSet<Tag> =
            access.source.listed_tags().await?.tags.iter().filter_map(name).collect();
        let at_destination: HashSet<Tag> =
            access.destination.listed_tags().await?.tags.iter().cloned().collect();
        pruning.made.forget(|tag| !at_destination.contains(tag));
        let (made, state) = (&pruning.made, pruning.state);
        let kept: BTreeSet<&Digest> =
            state.observed.tags.iter().filter_map(|tag| tag.destination.digest()).collect();
        let mut in_use = self.claimed(request, made.unselected.keys());
        let due_of = |in_use: &BTreeSet<Tag>| {
            due(PruneInputs {
                request: prune,
                made,
                selected,
                at_source: &at_source,
                at_destination: &at_destination,
                in_use,
                kept: &kept,
                now: self.now,
            })
        };
        let due = due_of(&in_use);
        if due.is_empty() {
            return Ok(due);
        }
        // What came since the last list must keep its tag.
        let freshness = match prune.policy {
            PrunePolicy::DryRun => Freshness::Cached,
            PrunePolicy::Delete => Freshness::Now,
        };
        let used = self.images.in_use.all(self.agent(), freshness).await?;
        in_use.extend(made.used(request, &self.agent().policies.latest(), used.iter()));
        Ok(due_of(&in_use))
    }

    /// Returns which of these tags other objects may put, whatever their namespaces, or all where one of them cannot be
    /// read.
    fn claimed<'t>(&self, request: &CopyRequest, tags: impl Iterator<Item = &'t Tag>) -> BTreeSet<Tag> {
        let policy = self.agent().policies.latest();
        let tags: Vec<&Tag> = tags.collect();
        let mut claimed = self.images.conflicts.claimed(self.uid(), request, &tags, &policy);
        claimed.extend(self.images.claims.claimed(request, &tags, &policy));
        claimed
    }

    /// Deletes the first of these tags, which show these contents, and forgets them.
    async fn delete(
        &self,
        pruning: &mut Pruning<'_>,
        proven: Vec<(Tag, Digest)>,
    ) -> Result<(), RegistryError> {
        for (tag, digest) in proven.into_iter().take(MAX_DELETIONS) {
            if pruning.new_refusals == MAX_REFUSALS {
                break;
            }
            let refusal = match pruning.access.destination.delete_tag(&tag).await {
                Ok(true) => None,
                Ok(false) => Some(format!("{tag}: {NO_DELETION}")),
                Err(error) if is_about_one_tag(&error) => Some(error.to_string()),
                Err(error) => return Err(error),
            };
            if let Some(message) = refusal {
                pruning.refused(&tag, message, self.now);
                continue;
            }
            let destination = &pruning.state.request.destination;
            let note = format!(
                "tag {destination}:{tag} is deleted: it showed {digest} as this Image has put it, and is no longer selected"
            );
            self.agent().events.change(&self.owner, reasons::TAG_DELETED, "Prune", note).await;
            pruning.made.forget(|deleted| *deleted == tag);
            pruning.refusals.remove(&tag);
        }
        Ok(())
    }
}

impl Pruning<'_> {
    /// Returns the first of these tags that show what was put, each with that; those that were refused something come
    /// last, and once a day. Those that others have overwritten are forgotten: they are not the Image's any more.
    async fn proven(&mut self, due: &[Tag], now: Timestamp) -> Result<Vec<(Tag, Digest)>, RegistryError> {
        let refused_at = |tag: &&Tag| self.refusals.get(*tag).map(|refusal| refusal.at);
        let is_tried = |tag: &&Tag| refused_at(tag).is_none_or(|at| saturating_add(at, REFUSAL_TTL) <= now);
        let mut tried: Vec<Tag> = due.iter().filter(is_tried).cloned().collect();
        tried.sort_by_key(|tag| refused_at(&tag));
        let mut proven = Vec::new();
        for tag in tried {
            if proven.len() == MAX_NAMED || self.new_refusals == MAX_REFUSALS {
                break;
            }
            match self.access.destination.head(&ManifestRef::Tag(tag.clone())).await {
                Ok(Some(there)) if self.made.shows(&tag, &there.digest) => proven.push((tag, there.digest)),
                Ok(_) => self.made.forget(|foreign| *foreign == tag),
                Err(error) if is_about_one_tag(&error) => self.refused(&tag, error.to_string(), now),
                Err(error) => return Err(error),
            }
        }
        Ok(proven)
    }

    fn refused(&mut self, tag: &Tag, message: String, at: Timestamp) {
        self.refusals.insert(tag.clone(), Refusal { at, message });
        self.new_refusals += 1;
    }
}

/// Whether a registry that refuses this may still do it for another tag.
fn is_about_one_tag(error: &RegistryError) -> bool {
    matches!(
        error.reason(),
        Reason::Forbidden | Reason::Rejected | Reason::Protocol | Reason::Unavailable | Reason::Schema1
    )
}

/// Returns the tags of the destination that the Image selects now, those included whose content is too young.
fn selected(request: &CopyRequest, state: &PassState<'_>, plan: &Plan) -> HashSet<Tag> {
    let young = state
        .observed
        .since()
        .filter_map(|waiting| request.naming.apply(&SourceRef::Tag(waiting.tag.clone())).ok());
    plan.tags.iter().map(|tag| tag.destination_tag.clone()).chain(young).collect()
}
