//! Events, for people: few, on transitions only.

use imgop_core::api::conditions::{self, READY, reasons};
use imgop_core::api::{Image, ImageStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource as _};

/// Who says it.
const REPORTER: &str = "imgop-agent";
const NORMAL: &str = "Normal";
const WARNING: &str = "Warning";
/// The longest note; Kubernetes takes 1 kB.
const NOTE: usize = 900;

/// Writes events about Images.
pub struct Events {
    client: Client,
}

impl Events {
    /// Writes through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A Job was made.
    pub async fn scheduled(&self, image: &Image, job: &str, tags: usize) {
        let noun = if tags == 1 { "tag" } else { "tags" };
        let secondary = ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: Some(job.to_owned()),
            namespace: image.metadata.namespace.clone(),
            ..Default::default()
        };
        let note = format!("Job {job} copies {tags} {noun}");
        self.publish(image, NORMAL, "CopyScheduled", "Copy", note, Some(secondary)).await;
    }

    /// The status changed: says so when the Image became ready, or when what is wrong is new.
    pub async fn transition(&self, image: &Image, new: &ImageStatus) {
        let empty = ImageStatus::default();
        let old = image.status.as_ref().unwrap_or(&empty);
        let Some(ready) = conditions::find(&new.conditions, READY) else { return };
        let before = conditions::find(&old.conditions, READY);
        if before.is_some_and(|b| b.status == ready.status && b.reason == ready.reason) {
            return;
        }
        let Some(type_) = type_of(ready) else { return };
        self.publish(image, type_, &ready.reason, "Sync", ready.message.clone(), None).await;
    }

    /// An event that cannot be written is no reason to stop. Each is one of its own: kube's recorder
    /// would repeat the first note of a kind for as long as it counts it as the same.
    async fn publish(
        &self,
        image: &Image,
        type_: &str,
        reason: &str,
        action: &str,
        note: String,
        related: Option<ObjectReference>,
    ) {
        let namespace = image.metadata.namespace.clone().unwrap_or_default();
        let name = image.metadata.name.as_deref().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{name}-")),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            regarding: Some(image.object_ref(&())),
            related,
            reason: Some(reason.to_owned()),
            action: Some(action.to_owned()),
            note: Some(note.chars().take(NOTE).collect()),
            type_: Some(type_.to_owned()),
            reporting_controller: Some(REPORTER.to_owned()),
            reporting_instance: Some(REPORTER.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::warn!(%error, reason, "cannot write an event");
        }
    }
}

/// Of what kind the event of this condition is; none for what needs no event.
fn type_of(ready: &Condition) -> Option<&'static str> {
    match (ready.status.as_str(), ready.reason.as_str()) {
        ("True", _) | (_, reasons::NO_MATCHING_TAGS | reasons::TAGS_TOO_YOUNG) => Some(NORMAL),
        // On its way, of which the event of the Job has said so; or somebody wanted it so.
        (_, reasons::PROGRESSING | reasons::SUSPENDED) => None,
        _ => Some(WARNING),
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::conditions::{NewCondition, merge};

    use super::*;
    use crate::image::tests::fixtures::now;

    #[test]
    fn whatever_keeps_an_image_from_being_ready_is_an_event() {
        let of = |status, reason| {
            let new = NewCondition { type_: READY, status: Some(status), reason, message: String::new() };
            type_of(&merge(&[], vec![new], None, now())[0])
        };
        assert_eq!(of(true, reasons::SUCCEEDED), Some(NORMAL));
        assert_eq!(of(false, reasons::PROGRESSING), None);
        assert_eq!(of(false, reasons::TAGS_TOO_YOUNG), Some(NORMAL));
        for reason in [reasons::REGISTRY_UNREACHABLE, reasons::SECRET_UNUSABLE, reasons::TAG_NOT_FOUND] {
            assert_eq!(of(false, reason), Some(WARNING), "{reason}");
        }
    }
}
