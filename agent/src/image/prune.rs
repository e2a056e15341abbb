//! Tags that the Image has put at its destination and no longer selects: which are deleted is the plan of
//! [`imgop_core::copy::due`]; here registries are asked, tags are deleted, and both is reported.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use imgop_core::api::conditions::reasons;
use imgop_core::api::{PrunePolicy, PruneStatus};
use imgop_core::copy::{CopyRequest, MAX_DELETIONS, MadeTags, Plan, PruneInputs, PruneRequest, due, proven};
use imgop_core::selection::SourceRef;
use imgop_registry::RegistryError;
use imgop_registry::reference::{Digest, ManifestRef, Tag};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::findings::Findings;
use super::pass_state::PassState;
use super::used_images::NotKnown;
use super::{Access, Pass};

/// Tags that are to be deleted and that a status names.
const MAX_NAMED: usize = 20;
/// Why nothing is deleted where a registry deletes no tags.
const NO_DELETION: &str = "the registry deletes no tags, and no content is deleted in their stead";

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

impl Pass<'_> {
    /// Records what this sync has put, once it has ended, and deletes tags as the spec asks for. Adds to the findings what
    /// is reported of it; nothing where the spec asks for nothing.
    pub(super) async fn prune(
        &self,
        access: &Access,
        state: &PassState<'_>,
        plan: &Plan,
        findings: &mut Findings,
    ) {
        let request = state.request;
        let (Some(copied), Some(prune)) = (findings.ended.as_deref(), request.prune.as_ref()) else { return };
        let selected = selected(request, state, plan);
        let mut made = self.made_tags(request);
        let put = state.observed.tags.iter().filter(|tag| copied.contains(&tag.destination_tag));
        let put = put.filter_map(|tag| Some((&tag.destination_tag, tag.destination.digest()?)));
        made.update(put, |tag| selected.contains(tag), self.now);
        let mut status = PruneStatus { destination: request.destination.to_string(), ..Default::default() };
        // A sync that failed, or that selects nothing, says nothing about what is no longer selected.
        let is_settled = plan.failures().next().is_none() && !plan.is_busy() && !plan.tags.is_empty();
        let may_delete = is_settled && !self.image.spec.suspend && self.images.conflicts.is_known();
        if may_delete && made.is_any_old_enough(prune, self.now) {
            let deleted = self.delete_due(access, state, prune, &selected, &mut made, &mut status).await;
            if let Err(PruneError::NotKnown(error)) = &deleted {
                findings.readiness.add(Some(format!("no tag is deleted (spec.destination.prune): {error}")));
            }
            status.message = deleted.err().map(|error| error.to_string()).or(status.message);
        }
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

    /// Works out which tags are due, from complete lists of both registries, and deletes the first of them.
    async fn delete_due(
        &self,
        access: &Access,
        state: &PassState<'_>,
        prune: &PruneRequest,
        selected: &HashSet<Tag>,
        made: &mut MadeTags,
        status: &mut PruneStatus,
    ) -> Result<(), PruneError> {
        let request = state.request;
        let name = |tag: &Tag| request.naming.apply(&SourceRef::Tag(tag.clone())).ok();
        let at_source: HashSet<Tag> =
            access.source.listed_tags().await?.tags.iter().filter_map(name).collect();
        let at_destination: HashSet<Tag> =
            access.destination.listed_tags().await?.tags.iter().cloned().collect();
        made.forget(|tag| !at_destination.contains(tag));
        let mut in_use = self.claimed(request, made.unselected.keys());
        let due_of = |made: &MadeTags, in_use: &BTreeSet<Tag>| {
            due(PruneInputs {
                request: prune,
                made,
                selected,
                at_source: &at_source,
                at_destination: &at_destination,
                in_use,
                now: self.now,
            })
        };
        let mut due = due_of(made, &in_use);
        if !due.is_empty() {
            let used = self.images.in_use.all(self.agent()).await?;
            in_use.extend(made.used(request, &self.agent().policies.latest(), used.iter()));
            due = due_of(made, &in_use);
        }
        let deleted = match prune.policy {
            PrunePolicy::DryRun => Vec::new(),
            PrunePolicy::Delete => self.delete(access, state, &due, made, status).await?,
        };
        made.forget(|tag| deleted.contains(tag));
        let left: Vec<&Tag> = due.iter().filter(|tag| !deleted.contains(tag)).collect();
        status.due = u32::try_from(left.len()).unwrap_or(u32::MAX);
        status.next = left.into_iter().take(MAX_NAMED).map(ToString::to_string).collect();
        Ok(())
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

    /// Deletes those of these tags that still show what was put. Returns which.
    async fn delete(
        &self,
        access: &Access,
        state: &PassState<'_>,
        due: &[Tag],
        made: &MadeTags,
        status: &mut PruneStatus,
    ) -> Result<Vec<Tag>, RegistryError> {
        let mut shown: BTreeMap<Tag, Digest> = BTreeMap::new();
        for tag in due.iter().take(2 * MAX_DELETIONS) {
            let there = access.destination.head(&ManifestRef::Tag(tag.clone())).await?;
            shown.extend(there.map(|descriptor| (tag.clone(), descriptor.digest)));
        }
        let kept = state.observed.tags.iter().filter_map(|tag| tag.destination.digest()).collect();
        let mut deleted = Vec::new();
        for tag in proven(due, made, &shown, &kept) {
            match access.destination.delete_tag(tag).await {
                Ok(true) => {}
                Ok(false) => {
                    status.message = Some(NO_DELETION.to_owned());
                    break;
                }
                Err(error) => {
                    status.message = Some(error.to_string());
                    break;
                }
            }
            let note = format!(
                "tag {}:{tag} is deleted: it showed {} as this Image has put it, and is no longer selected",
                state.request.destination, shown[tag]
            );
            self.agent().events.change(&self.owner, reasons::TAG_DELETED, "Prune", note).await;
            deleted.push(tag.clone());
        }
        Ok(deleted)
    }
}

/// Returns the tags of the destination that the Image selects now, those included whose content is too young.
fn selected(request: &CopyRequest, state: &PassState<'_>, plan: &Plan) -> HashSet<Tag> {
    let young = state
        .observed
        .since()
        .filter_map(|waiting| request.naming.apply(&SourceRef::Tag(waiting.tag.clone())).ok());
    plan.tags.iter().map(|tag| tag.destination_tag.clone()).chain(young).collect()
}
