//! The objects of a kind as metrics show them: read from the store when they are asked for, so that nothing of them is kept
//! a second time.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use imgop_core::api::conditions::{READY, RECONCILING, STALLED, reasons};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource as _;
use serde::Deserialize;

use super::stored::{NamespacedName, Stored};
use super::{Object, Reconcile, Runner};
use crate::metrics::objects::{KnownObject, ObjectSource, ObjectState, ObjectView};

/// Returns the objects of a controller, for as long as it runs.
pub(super) fn of<R: Reconcile>(runner: &Arc<Runner<R>>) -> Box<dyn ObjectSource> {
    Box::new(Source(Arc::downgrade(runner)))
}

struct Source<R: Reconcile>(Weak<Runner<R>>);

impl<R: Reconcile> ObjectSource for Source<R> {
    fn kind(&self) -> Cow<'static, str> {
        R::Kind::kind(&())
    }

    fn objects(&self) -> Vec<Arc<dyn KnownObject>> {
        let Some(runner) = self.0.upgrade() else { return Vec::new() };
        runner.objects.stored_all().map(|object| object as Arc<dyn KnownObject>).collect()
    }

    fn last_look(&self, uid: &str) -> Option<i64> {
        let last = self.0.upgrade()?.memories.find(uid)?.last_look.load(Ordering::Relaxed);
        (last != 0).then_some(last)
    }
}

impl<K: Object> KnownObject for Stored<K> {
    fn name(&self) -> &NamespacedName {
        self.namespaced_name()
    }

    fn view(&self) -> ObjectView {
        match self.part::<Part>() {
            Some(part) => part.view(),
            // It cannot be decoded, or there is no room for it, of which its status tells.
            None => ObjectView::new(ObjectState::Stalled, reasons::INVALID_SPEC),
        }
    }
}

/// What the objects of all kinds have.
#[derive(Deserialize)]
struct Part {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    uid: Option<String>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    suspend: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    conditions: Vec<ConditionPart>,
    #[serde(alias = "lastBuildTime")]
    last_sync_time: Option<Time>,
    #[serde(alias = "lastSuccessfulBuildTime")]
    last_successful_sync_time: Option<Time>,
}

/// A condition, without what it says to people.
#[derive(Deserialize)]
struct ConditionPart {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
}

impl Part {
    fn view(self) -> ObjectView {
        let Status { conditions, last_sync_time, last_successful_sync_time } = self.status;
        let find = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_);
        let is_true = |type_: &str| find(type_).filter(|condition| condition.status == "True");
        let state = match find(READY) {
            _ if self.spec.suspend => ObjectState::Suspended,
            None => ObjectState::Pending,
            Some(ready) if ready.status == "True" => ObjectState::Ready,
            Some(_) if is_true(STALLED).is_some() => ObjectState::Stalled,
            Some(_) => match is_true(RECONCILING) {
                Some(reconciling) if reconciling.reason == reasons::PROGRESSING => ObjectState::Reconciling,
                _ => ObjectState::Failing,
            },
        };
        let reason = find(READY).map(|ready| ready.reason.as_str()).unwrap_or_default();
        let second = |time: Option<Time>| time.map(|time| time.0.as_second());
        ObjectView {
            uid: self.metadata.uid.unwrap_or_default(),
            last_look: second(last_sync_time),
            last_success: second(last_successful_sync_time),
            ..ObjectView::new(state, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(object: serde_json::Value) -> ObjectView {
        serde_json::from_value::<Part>(object).unwrap().view()
    }

    fn condition(type_: &str, status: &str, reason: &str) -> serde_json::Value {
        json!({"type": type_, "status": status, "reason": reason, "message": "m"})
    }

    fn state(conditions: &[serde_json::Value]) -> (ObjectState, String) {
        let view = view(json!({"metadata": {"uid": "u"}, "status": {"conditions": conditions}}));
        (view.state, view.reason)
    }

    #[test]
    fn the_state_of_an_object_is_what_its_conditions_say() {
        let pending = view(json!({"metadata": {"uid": "u"}, "spec": {"suspend": false}}));
        assert_eq!((pending.state, pending.last_success), (ObjectState::Pending, None));
        let suspended = view(json!({"metadata": {}, "spec": {"suspend": true}}));
        assert_eq!(suspended.state, ObjectState::Suspended);
        let ready = state(&[condition("Ready", "True", "Succeeded")]);
        assert_eq!(ready, (ObjectState::Ready, "Succeeded".to_owned()));
        let of =
            |second: serde_json::Value, reason: &str| state(&[condition("Ready", "False", reason), second]).0;
        let running = condition("Reconciling", "True", "Progressing");
        assert_eq!(of(running, "Progressing"), ObjectState::Reconciling);
        let retried = condition("Reconciling", "True", "ProgressingWithRetry");
        assert_eq!(of(retried, "CopyFailed"), ObjectState::Failing);
        assert_eq!(of(condition("Stalled", "True", "InvalidSpec"), "InvalidSpec"), ObjectState::Stalled);
    }

    #[test]
    fn syncs_and_builds_have_their_times_under_one_name() {
        let at = |field: &str| {
            let status = json!({ field: "1970-01-01T00:01:00Z" });
            let view = view(json!({"metadata": {}, "status": status}));
            (view.last_look, view.last_success)
        };
        assert_eq!(at("lastSyncTime"), (Some(60), None));
        assert_eq!(at("lastBuildTime"), (Some(60), None));
        assert_eq!(at("lastSuccessfulSyncTime"), (None, Some(60)));
        assert_eq!(at("lastSuccessfulBuildTime"), (None, Some(60)));
    }
}
