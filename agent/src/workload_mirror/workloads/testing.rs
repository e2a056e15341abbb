//! What runs, for tests of whole passes.

use imgop_core::api::WorkloadKind;
use k8s_openapi::api::apps::v1::Deployment;

use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Workloads;
use super::store::{Scope, Store};
use super::watches::rights;
use crate::cluster::view::View;
use crate::cluster::watch::Guarded;

impl Workloads {
    /// Watches of all kinds have begun, and shown nothing.
    pub fn listed() -> Self {
        let workloads = Self::default();
        for kind in [
            WorkloadKind::Deployment,
            WorkloadKind::StatefulSet,
            WorkloadKind::DaemonSet,
            WorkloadKind::Job,
            WorkloadKind::CronJob,
        ] {
            workloads.lists_workloads(kind, &[]);
        }
        workloads.lists_pods(&[]);
        workloads
    }

    /// These are all pods.
    pub fn lists_pods(&self, pods: &[Value]) {
        self.list(&scope(WorkloadKind::Pod), pods, Store::apply_pod);
    }

    /// These are all workloads of a kind.
    pub fn lists_workloads(&self, kind: WorkloadKind, workloads: &[Value]) {
        self.list(&scope(kind), workloads, Store::apply_workload::<Deployment>);
    }

    /// These pods are all that there is in a namespace, which has watches of its own.
    pub fn lists_namespace(&self, namespace: &str, pods: &[Value]) {
        for kind in WorkloadKind::ALL {
            let scope = Scope { kind, namespace: Some(namespace.to_owned()) };
            match kind {
                WorkloadKind::Pod => self.list(&scope, pods, Store::apply_pod),
                _ => self.list(&scope, &[], Store::apply_workload::<Deployment>),
            }
        }
    }

    /// The agent may not list pods.
    pub fn lacking_pods() -> Self {
        let workloads = Self::default();
        workloads.lose_right();
        workloads
    }

    /// The right to list pods is withdrawn.
    pub fn lose_right(&self) {
        self.lacks(&scope(WorkloadKind::Pod), Some(rights(WorkloadKind::Pod)[0]));
    }

    /// The agent may list no pods in a namespace.
    pub fn lose_right_in(&self, namespace: &str) {
        let scope = Scope { namespace: Some(namespace.to_owned()), ..scope(WorkloadKind::Pod) };
        self.lacks(&scope, Some(rights(WorkloadKind::Pod)[0]));
    }

    /// All pods are listed anew, and nothing of them has come yet.
    pub fn begins_to_list_pods(&self) {
        self.0.store.lock().apply_pod(&scope(WorkloadKind::Pod), Event::Init);
    }

    /// There is a pod of which it cannot be read what it uses.
    ///
    /// # Panics
    /// If a pod of tests has no metadata.
    pub fn shows_an_unreadable_pod(&self) {
        let metadata = serde_json::from_value(pod("team-a", "huge", "huge:1", "")["metadata"].clone());
        let unreadable = InvalidObject { error: "it is too large".into(), metadata: metadata.unwrap() };
        let event = Event::Apply(DeserializeGuard(Err(unreadable)));
        self.0.store.lock().apply_pod(&scope(WorkloadKind::Pod), event);
    }

    /// The watch of pods has failed just now.
    pub fn pods_have_failed(&self) {
        self.0.store.lock().has_failed(&scope(WorkloadKind::Pod));
    }

    fn list<K, T: DeserializeOwned>(
        &self,
        scope: &Scope,
        objects: &[Value],
        apply: impl Fn(&mut Store, &Scope, Event<Guarded<View<K, T>>>),
    ) {
        let mut store = self.0.store.lock();
        store.begin(scope);
        apply(&mut store, scope, Event::Init);
        for object in objects {
            let view = serde_json::from_str(&object.to_string()).unwrap();
            apply(&mut store, scope, Event::InitApply(DeserializeGuard(Ok(view))));
        }
        apply(&mut store, scope, Event::InitDone);
    }
}

fn scope(kind: WorkloadKind) -> Scope {
    Scope { kind, namespace: None }
}

/// A pod that runs an image with this content.
pub fn pod(namespace: &str, name: &str, image: &str, digest: &str) -> Value {
    let repository = image.rsplit_once(':').map_or(image, |(repository, _)| repository);
    let image_id = if digest.is_empty() { String::new() } else { format!("{repository}@{digest}") };
    json!({
        "metadata": { "name": name, "namespace": namespace, "uid": format!("uid of {namespace}/{name}") },
        "spec": { "nodeName": "one", "containers": [{ "name": "app", "image": image }] },
        "status": { "phase": "Running", "startTime": "2026-11-21T11:00:00Z",
            "containerStatuses": [{ "name": "app", "imageID": image_id, "state": { "running": {} } }] },
    })
}

/// The same pod as one whose node cannot pull its image.
pub fn waiting(mut pod: Value) -> Value {
    pod["status"]["phase"] = "Pending".into();
    pod["status"]["containerStatuses"][0] = json!({ "name": "app", "imageID": "",
        "state": { "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } } });
    pod
}

/// The same pod as one that this made.
pub fn made_by(mut pod: Value, kind: &str, name: &str) -> Value {
    let (api_version, uid) = ("apps/v1", format!("uid of {name}"));
    pod["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true }]);
    pod
}
