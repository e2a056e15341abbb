//! Events, for people: few, on transitions only.

use imgop_core::api::conditions::{self, READY, STALLED};
use imgop_core::api::{Image, ImageStatus};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};

/// The longest note; Kubernetes takes 1 kB.
const NOTE: usize = 900;

/// Writes events about Images.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// One for the process, so that repeats are counted and not written again.
    pub fn new(client: Client) -> Self {
        let reporter = Reporter { controller: "imgop-agent".to_owned(), instance: None };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// A Job was made.
    pub async fn scheduled(&self, image: &Image, job: &str, tags: usize) {
        let noun = if tags == 1 { "tag" } else { "tags" };
        let secondary = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: Some(job.to_owned()),
            namespace: image.metadata.namespace.clone(),
            ..Default::default()
        };
        let note = format!("Job {job} copies {tags} {noun}");
        self.publish(image, EventType::Normal, "CopyScheduled", "Copy", note, Some(secondary)).await;
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
        let failed = conditions::is_true(&new.conditions, STALLED)
            || new.counts.is_some_and(|counts| counts.failed > 0 && counts.copying == 0);
        let type_ = match ready.status.as_str() {
            "True" => EventType::Normal,
            _ if failed => EventType::Warning,
            // On its way: the event of the Job has said so.
            _ => return,
        };
        self.publish(image, type_, &ready.reason, "Sync", ready.message.clone(), None).await;
    }

    /// An event that cannot be written is no reason to stop.
    async fn publish(
        &self,
        image: &Image,
        type_: EventType,
        reason: &str,
        action: &str,
        note: String,
        secondary: Option<k8s_openapi::api::core::v1::ObjectReference>,
    ) {
        let note = Some(note.chars().take(NOTE).collect());
        let event = Event { type_, reason: reason.to_owned(), note, action: action.to_owned(), secondary };
        if let Err(error) = self.recorder.publish(&event, &image.object_ref(&())).await {
            tracing::warn!(%error, reason, "cannot write an event");
        }
    }
}
