//! Events, for people: few, on transitions only.

use imgop_core::api::conditions::{self, READY, reasons};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::api_error::ApiCause;
use super::owner::Owner;
use crate::notifications::Completed;

/// Who reports the events.
const REPORTER: &str = "imgop-agent";
const NORMAL: &str = "Normal";
const WARNING: &str = "Warning";
/// How many tags a note names.
const NAMED: usize = 5;
/// The longest note in characters; Kubernetes takes 1 kB.
const MAX_NOTE: usize = 900;

/// Writes events about objects of any kind.
#[derive(Clone)]
pub struct Events {
    client: Client,
}

impl Events {
    /// Writes through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reports a Job that was created. `note` says what it does.
    pub async fn job_created(&self, owner: &Owner, job: &str, reason: &str, action: &str, note: String) {
        let secondary = ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: Some(job.to_owned()),
            namespace: Some(owner.namespace.clone()),
            ..ObjectReference::default()
        };
        self.publish(owner, NORMAL, reason, action, note, Some(secondary)).await;
    }

    /// Reports something that no condition says.
    pub async fn warn(&self, owner: &Owner, reason: &str, action: &str, note: String) {
        self.publish(owner, WARNING, reason, action, note, None).await;
    }

    /// Reports what was changed for an object elsewhere, or was not: a repository that is made, a tag that is deleted.
    pub async fn change(&self, owner: &Owner, reason: &str, action: &str, note: String) {
        let type_ = if reason == reasons::REPOSITORY_NOT_ADOPTED { WARNING } else { NORMAL };
        self.publish(owner, type_, reason, action, note, None).await;
    }

    /// Reports a change of status: that the object became ready, with what is new, or a failure that is new.
    pub async fn transition(
        &self,
        owner: &Owner,
        (old, new): (&[Condition], &[Condition]),
        completed: Completed<'_>,
    ) {
        let Some(ready) = conditions::find(new, READY) else { return };
        let before = conditions::find(old, READY);
        if before.is_some_and(|b| b.status == ready.status && b.reason == ready.reason) {
            return;
        }
        let Some(type_) = type_of(ready) else { return };
        let message = &ready.message;
        let note = match named(completed.tags, completed.count) {
            names if ready.status == "True" && !names.is_empty() => format!("{message}; new: {names}"),
            _ => message.clone(),
        };
        self.publish(owner, type_, &ready.reason, "Sync", note, None).await;
    }

    /// An event that cannot be written is no reason to stop. Each is one of its own: kube's recorder would
    /// repeat the first note of a kind for as long as it counts it as the same.
    async fn publish(
        &self,
        owner: &Owner,
        type_: &str,
        reason: &str,
        action: &str,
        note: String,
        related: Option<ObjectReference>,
    ) {
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}-", owner.name)),
                namespace: Some(owner.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            regarding: Some(owner.object_reference()),
            related,
            reason: Some(reason.to_owned()),
            action: Some(action.to_owned()),
            note: Some(note.chars().take(MAX_NOTE).collect()),
            type_: Some(type_.to_owned()),
            reporting_controller: Some(REPORTER.to_owned()),
            reporting_instance: Some(REPORTER.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &owner.namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            let error = ApiCause::of(&error);
            tracing::warn!(%error, reason, "cannot write an event");
        }
    }
}

/// Returns the first few of these names for people, and how many more there are of `count` in all.
pub fn named(names: &[impl AsRef<str>], count: u32) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(shown.len());
    let shown = shown.join(", ");
    if more == 0 || shown.is_empty() { shown } else { format!("{shown} and {more} more") }
}

/// Returns the type of the event for this condition; none for what needs no event.
fn type_of(ready: &Condition) -> Option<&'static str> {
    match (ready.status.as_str(), ready.reason.as_str()) {
        ("True", _) | (_, reasons::NO_MATCHING_TAGS | reasons::TAGS_TOO_YOUNG) => Some(NORMAL),
        // In progress, for which the Job has an event; or suspended on purpose.
        (_, reasons::PROGRESSING | reasons::SUSPENDED) => None,
        _ => Some(WARNING),
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::conditions::{NewCondition, merge};

    use super::*;

    #[test]
    fn an_event_names_the_first_few_tags() {
        let tags = |count: u32| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>();
        assert_eq!((named(&tags(0), 0), named(&tags(0), 3)), (String::new(), String::new()));
        assert_eq!(named(&tags(1), 1), "v0");
        assert_eq!(named(&tags(5), 5), "v0, v1, v2, v3, v4");
        assert_eq!(named(&tags(6), 10), "v0, v1, v2, v3, v4 and 5 more");
    }

    #[test]
    fn whatever_keeps_an_object_from_being_ready_is_an_event() {
        let of = |status, reason| {
            let new = NewCondition { type_: READY, status: Some(status), reason, message: String::new() };
            type_of(&merge(&[], vec![new], None, Timestamp::UNIX_EPOCH)[0])
        };
        assert_eq!(of(true, reasons::SUCCEEDED), Some(NORMAL));
        assert_eq!(of(false, reasons::PROGRESSING), None);
        assert_eq!(of(false, reasons::TAGS_TOO_YOUNG), Some(NORMAL));
        for reason in [
            reasons::REGISTRY_UNREACHABLE,
            reasons::SECRET_UNUSABLE,
            reasons::TAG_NOT_FOUND,
            reasons::JOB_REFUSED,
        ] {
            assert_eq!(of(false, reason), Some(WARNING), "{reason}");
        }
    }
}
