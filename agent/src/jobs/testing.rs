//! What tests of kinds show of Jobs, in place of the watches.
#![expect(clippy::missing_panics_doc, reason = "what panics here fails its test")]

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::Jobs;
use super::report::{ContainerState, JobReport, Pods};
use super::view::{JobView, PodView};

/// Returns the report of a Job and its pods. If there are none, there have been none for an hour.
pub fn report_of(job: &Value, pods: &[Value], now: Timestamp) -> JobReport {
    let job: JobView = serde_json::from_value(job.clone()).unwrap();
    let pods: Vec<PodView> = pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
    let pods: Vec<&PodView> = pods.iter().collect();
    let missing_since = pods.is_empty().then(|| now - std::time::Duration::from_hours(1));
    JobReport::of(&job, Pods::Known(&pods, missing_since), std::time::Duration::from_mins(10), now)
}

/// Returns the report of a Job that ended well at this time, as long as its pods are not known.
pub fn without_known_pods(job: JobReport, at: Timestamp) -> JobReport {
    job.with_containers(&ContainerState::Completed { at, are_pods_known: false })
}

impl Jobs {
    /// Makes the Jobs of all namespaces known: there are no others.
    pub fn are_listed(&self) {
        self.list(&[], &[]);
    }

    /// Shows these Jobs and their pods as the lists of a start would: there are no others.
    pub fn list(&self, jobs: &[Job], pods: &[Value]) {
        self.0.store.apply_job(&None, Event::Init);
        for job in jobs {
            self.0.store.apply_job(&None, Event::InitApply(DeserializeGuard(Ok(view_of(job)))));
        }
        self.0.store.apply_job(&None, Event::InitDone);
        for job in jobs {
            self.know_pods(&namespace_of(job));
        }
        for pod in pods {
            self.show_pod(pod);
        }
    }

    /// Shows a Job as the watch would. The pods of its namespace are known; what was shown of them stays.
    pub fn show(&self, job: &Job) {
        self.0.store.apply_job(&None, Event::Apply(DeserializeGuard(Ok(view_of(job)))));
        self.know_pods(&namespace_of(job));
    }

    fn know_pods(&self, namespace: &str) {
        if !self.0.store.knows_pods(namespace) {
            self.0.store.apply_pod(namespace, Event::Init);
            self.0.store.apply_pod(namespace, Event::InitDone);
        }
    }

    /// Shows a pod as the watch would.
    pub fn show_pod(&self, pod: &Value) {
        let view: PodView = serde_json::from_value(pod.clone()).unwrap();
        let namespace = view.metadata.namespace.clone().unwrap_or_default();
        self.0.store.apply_pod(&namespace, Event::Apply(DeserializeGuard(Ok(view))));
    }

    /// Shows that a Job is gone as the watch would.
    pub fn is_gone(&self, job: &Job) {
        self.0.store.apply_job(&None, Event::Delete(DeserializeGuard(Ok(view_of(job)))));
    }
}

fn namespace_of(job: &Job) -> String {
    job.metadata.namespace.clone().unwrap_or_default()
}

fn view_of(job: &Job) -> JobView {
    serde_json::from_value(serde_json::to_value(job).unwrap()).unwrap()
}
