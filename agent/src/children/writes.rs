//! Writes Images, a few a second: those of a large inventory must not keep others from the API server.

use std::collections::HashMap;
use std::time::Duration;

use imgop_core::api::{
    ADOPT_ANNOTATION, Image, MIRRORED_SPEC_ANNOTATION, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION,
};
use imgop_core::inventory::mirror_label as owner_label;
use imgop_core::time::saturating_add;
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions, PropagationPolicy, Request};
use kube::{Api, Resource as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::changes::{Changes, Desired, Occupant, Written};
use super::mirrored::{Mirrored, OwnerPart};
use super::{CORRECTION_INTERVAL, ChildMemory, Children};
use crate::cluster::api_error::{ApiCause, ApiError};

/// Between two writes, of all owners together: 20 a second.
const WRITE_PAUSE: Duration = Duration::from_millis(50);
/// Writes of one pass, which holds one of few turns.
pub(super) const MAX_WRITES: usize = 40;
/// How long the watch may take to show what was written.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// Spreads the writes of all owners.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Waits until the next write may be sent.
    pub(super) async fn next(&self) {
        let mut next = self.0.lock().await;
        if let Some(at) = *next {
            sleep_until(at).await;
        }
        *next = Some(Instant::now() + WRITE_PAUSE);
    }
}

/// An Image that the API server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What was to be written.
    what: String,
    /// Why it was not.
    pub message: String,
}

/// What was sent to the API server for an Image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    what: String,
    /// Until when the watch is expected to show it.
    until: Timestamp,
}

const DELETED: &str = "deleted";
pub(super) const SUSPENDED: &str = "suspended";
pub(super) const RESUMED: &str = "resumed";

/// What tells whether an Image may be taken over.
#[derive(Deserialize)]
struct OccupantPart {
    metadata: OccupantMetadata,
    #[serde(default)]
    spec: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OccupantMetadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
    #[serde(default)]
    owner_references: Vec<OwnerPart>,
}

impl Refusal {
    /// Returns whether it was not suspended, or not resumed, with its owner.
    pub(super) fn is_of_suspension(&self) -> bool {
        matches!(self.what.as_str(), SUSPENDED | RESUMED)
    }

    /// Returns whether this is what was refused.
    pub(super) fn is_of(&self, what: &str) -> bool {
        self.what == what
    }
}

impl ChildMemory {
    /// Remembers that the API server refused this for an Image, which is tried again a little later.
    pub(super) fn refuse(&mut self, name: &str, what: &str, error: &ApiError, now: Timestamp) {
        let refusal = Refusal { what: what.to_owned(), message: error.to_string() };
        self.refused.insert(name.to_owned(), refusal);
        let until = saturating_add(now, CORRECTION_INTERVAL);
        self.sent.insert(name.to_owned(), Sent { what: what.to_owned(), until });
    }

    /// Returns when the watch has shown, or should have, all that was sent.
    pub(super) fn shown_by(&self) -> Option<Timestamp> {
        self.sent.values().map(|sent| sent.until).max()
    }

    /// Returns whether this was sent for an Image a moment ago.
    pub(super) fn has_sent(&self, name: &str, what: &str) -> bool {
        self.sent.get(name).is_some_and(|sent| sent.what == what)
    }
}

impl Children<'_> {
    /// Returns the Images of others that have names of these. Only the controller is kept of an Image's owners.
    pub(crate) fn occupants(&self, desired: &[Desired], mirrored: &[Mirrored]) -> HashMap<String, Occupant> {
        let is_ours = |name: &str| mirrored.binary_search_by(|one| one.name.as_str().cmp(name)).is_ok();
        let occupant = |desired: &Desired| {
            let images = &self.all.images;
            if let Some(why) = images.not_kept(&self.owner.namespace, &desired.name) {
                return Some(Occupant::NotKept(why));
            }
            let part: OccupantPart = images.part(&self.owner.namespace, &desired.name)?;
            let OccupantPart { metadata, spec } = part;
            let OccupantMetadata { uid, annotations, owner_references } = metadata;
            // The watch has shown it since these were looked for.
            if owner_references.iter().any(|owner| owner.controls(&self.owner.uid)) {
                return None;
            }
            let may_be_adopted = owner_references.is_empty()
                && annotations.get(ADOPT_ANNOTATION).is_some_and(|mirror| *mirror == self.owner.name);
            Some(if may_be_adopted { Occupant::Adoptable { uid, spec } } else { Occupant::Foreign })
        };
        let others = desired.iter().filter(|desired| !is_ours(&desired.name));
        others.filter_map(|desired| Some((desired.name.clone(), occupant(desired)?))).collect()
    }

    /// Writes and deletes Images, up to as many as a pass may. Returns whether there was any.
    pub(crate) async fn write(
        &self,
        changes: &Changes<'_>,
        memory: &mut ChildMemory,
    ) -> Result<bool, ApiError> {
        let is_open = |written: &&Written<'_>| {
            let key = self.key(written.desired);
            let is_sent = memory.sent.get(&written.desired.name).is_some_and(|sent| sent.what == key);
            !is_sent && !self.is_refused(written.desired, memory)
        };
        let open: Vec<&Written<'_>> = changes.writes.iter().filter(is_open).collect();
        let is_sent = |name: &str| memory.sent.get(name).is_some_and(|sent| sent.what == DELETED);
        let prune: Vec<_> = changes.prune.iter().filter(|(name, _)| !is_sent(name)).collect();
        for written in open.iter().take(MAX_WRITES) {
            self.write_one(written, memory).await?;
        }
        for (name, uid) in prune.iter().take(MAX_WRITES.saturating_sub(open.len())) {
            self.delete(name, uid, memory).await?;
        }
        // What was written now is looked at in a moment.
        Ok(!open.is_empty() || !prune.is_empty())
    }

    /// Returns whether the API server refused an Image as it is to be written now.
    pub(crate) fn is_refused(&self, desired: &Desired, memory: &ChildMemory) -> bool {
        memory.refused.get(&desired.name).is_some_and(|refusal| refusal.what == self.key(desired))
    }

    /// Forgets what was sent and is shown by the watch, or should have been by now.
    pub(crate) fn forget_shown(&self, mirrored: &[Mirrored], memory: &mut ChildMemory) {
        let there: HashMap<&str, &Mirrored> = mirrored.iter().map(|one| (one.name.as_str(), one)).collect();
        memory.sent.retain(|name, sent| {
            let is_shown = match (sent.what.as_str(), there.get(name.as_str())) {
                (DELETED, there) => there.is_none(),
                (SUSPENDED, there) => there.is_none_or(|one| one.is_suspended_with(&self.owner.name)),
                (RESUMED, there) => there.is_none_or(|one| one.suspended_with.is_none()),
                // Where others set a field back at once, it is not written again in the same moment.
                _ => false,
            };
            sent.until > self.now && !is_shown
        });
        let is_marked =
            |name: &String| there.get(name.as_str()).is_some_and(|one| one.suspended_with.is_some());
        memory.marked_by_others.retain(is_marked);
    }

    /// Returns what tells one write from another one.
    fn key(&self, desired: &Desired) -> String {
        let (sync, reset) = (self.requests.sync.as_deref(), self.requests.reset.as_deref());
        format!("{} {} {}", desired.hash, sync.unwrap_or_default(), reset.unwrap_or_default())
    }

    /// Remembers what was sent until the watch shows it.
    pub(super) fn sent(&self, name: &str, what: impl Into<String>, memory: &mut ChildMemory) {
        memory.has_written = true;
        self.expect_shown(name, what, memory);
    }

    fn expect_shown(&self, name: &str, what: impl Into<String>, memory: &mut ChildMemory) {
        let until = saturating_add(self.now, SHOWN_WITHIN);
        memory.sent.insert(name.to_owned(), Sent { what: what.into(), until });
    }

    async fn write_one(&self, written: &Written<'_>, memory: &mut ChildMemory) -> Result<(), ApiError> {
        let desired = written.desired;
        // Applying would take over an Image of a user that the watch has not shown yet.
        if written.uid.is_none() && self.exists(&desired.name).await? {
            self.expect_shown(&desired.name, self.key(desired), memory);
            return Ok(());
        }
        let image = self.image(desired, written.uid.as_deref());
        self.all.pace.next().await;
        // Applying alone would leave what a user has set beside it, such as a version beside tags.
        let replaced = match &written.replaced {
            Some(spec) => self.replace(&desired.name, written.uid.as_deref(), spec).await,
            None => Ok(()),
        };
        let applied = match replaced {
            Ok(()) => self.apply(self.keeper.manager, &desired.name, &image).await.map(drop),
            failed => failed,
        };
        match applied {
            Ok(()) => {
                memory.refused.remove(&desired.name);
                self.sent(&desired.name, self.key(desired), memory);
                Ok(())
            }
            Err(error) => match error.cause {
                // The watch shows soon what is there.
                ApiCause::NotFound | ApiCause::Conflict(_) => Ok(()),
                ApiCause::Invalid(_) | ApiCause::Forbidden(_) => {
                    let refusal = Refusal { what: self.key(desired), message: error.to_string() };
                    memory.refused.insert(desired.name.clone(), refusal);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// Returns whether there is an Image of this name, whoever's it is.
    async fn exists(&self, name: &str) -> Result<bool, ApiError> {
        let images: Api<Image> = Api::namespaced(self.agent.client.clone(), &self.owner.namespace);
        let named = ListParams::default().fields(&format!("metadata.name={name}")).limit(1);
        let found = images.list_metadata(&named).await;
        let found = found.map_err(|error| ApiError::new("list", self.image_name(name), &error))?;
        Ok(!found.items.is_empty())
    }

    /// Returns an Image with all that its owner says of it.
    fn image(&self, desired: &Desired, uid: Option<&str>) -> Value {
        let mut annotations = json!({ MIRRORED_SPEC_ANNOTATION: desired.hash });
        for (name, value) in &desired.annotations {
            annotations[*name] = value.as_str().into();
        }
        let mut labels = json!({ self.keeper.label: owner_label(&self.owner.name) });
        for (name, value) in &desired.labels {
            labels[*name] = value.as_str().into();
        }
        for (name, token) in
            [(REQUESTED_AT_ANNOTATION, &self.requests.sync), (RESET_ANNOTATION, &self.requests.reset)]
        {
            if let Some(token) = token {
                annotations[name] = token.as_str().into();
            }
        }
        let mut image = json!({
            "apiVersion": Image::api_version(&()),
            "kind": Image::kind(&()),
            "metadata": {
                "name": desired.name,
                "namespace": &self.owner.namespace,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [self.owner.controller_reference()],
            },
            "spec": desired.spec,
        });
        if let Some(uid) = uid {
            // No other one that has got the name meanwhile.
            image["metadata"]["uid"] = uid.into();
        }
        image
    }

    /// Applies an Image as this manager, whose fields it takes from others, and returns it as it is then.
    pub(super) async fn apply(&self, manager: &str, name: &str, image: &Value) -> Result<String, ApiError> {
        let parameters = PatchParams::apply(manager).force();
        let request = Request::new(Image::url_path(&(), Some(&self.owner.namespace)));
        let sent = match request.patch(name, &parameters, &Patch::Apply(image)) {
            Ok(request) => self.agent.client.request_text(request).await,
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        sent.map_err(|error| ApiError::new("write", self.image_name(name), &error))
    }

    /// Sets one annotation of an Image, whoever's it is in this namespace.
    pub(crate) async fn annotate(&self, image: &Image, name: &str, value: &str) -> Result<(), ApiError> {
        let image_name = image.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({ "metadata": { "uid": image.metadata.uid, "annotations": { name: value } } });
        self.all.pace.next().await;
        match self.merge(image_name, &patch).await {
            Err(error) if !matches!(error.cause, ApiCause::NotFound | ApiCause::Conflict(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the spec of an Image that is taken over the owner's, by this merge patch of it.
    async fn replace(&self, name: &str, uid: Option<&str>, spec: &Value) -> Result<(), ApiError> {
        self.merge(name, &json!({ "metadata": { "uid": uid }, "spec": spec })).await
    }

    async fn merge(&self, name: &str, patch: &Value) -> Result<(), ApiError> {
        let parameters =
            PatchParams { field_manager: Some(self.keeper.manager.to_owned()), ..PatchParams::default() };
        let request = Request::new(Image::url_path(&(), Some(&self.owner.namespace)));
        let sent = match request.patch(name, &parameters, &Patch::Merge(patch)) {
            Ok(request) => self.agent.client.request_text(request).await.map(drop),
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        sent.map_err(|error| ApiError::new("write", self.image_name(name), &error))
    }

    async fn delete(&self, name: &str, uid: &str, memory: &mut ChildMemory) -> Result<(), ApiError> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        self.all.pace.next().await;
        let request = Request::new(Image::url_path(&(), Some(&self.owner.namespace)));
        let sent = match request.delete(name, &parameters) {
            Ok(request) => self.agent.client.request_text(request).await.map(drop),
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        let deleted = sent.map_err(|error| ApiError::new("delete", self.image_name(name), &error));
        match deleted {
            Err(error) if !matches!(error.cause, ApiCause::NotFound | ApiCause::Conflict(_)) => Err(error),
            _ => {
                self.sent(name, DELETED, memory);
                Ok(())
            }
        }
    }

    fn image_name(&self, name: &str) -> String {
        format!("Image \"{}/{name}\"", &self.owner.namespace)
    }
}
