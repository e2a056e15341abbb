//! Pods and templates, as they count for what is used.

use imgop_registry::oci::PlatformSelector;

use super::observed::{ObservedImage, ObservedPod, ObservedWorkload};
use super::request::WorkloadRequest;
use super::usage::{ImageUser, Newest, RunningPods, Usage};
use crate::api::WorkloadKind;

/// The kind of a pod that nothing made.
pub const POD: &str = "Pod";

/// A workload: what is at the top of the owners of a pod, or what has a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload<'a> {
    /// Its kind, as its objects name it.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether it says that it is not to be mirrored.
    pub is_opted_out: bool,
}

impl Usage {
    /// Adds the images of a pod, which counts for a workload. Returns those whose names cannot be read: no pod runs them.
    pub fn add_pod<'p>(
        &mut self,
        pod: &'p ObservedPod,
        workload: Workload<'_>,
        platform: Option<&PlatformSelector>,
    ) -> Vec<&'p str> {
        let newest = pod.status.start_time.map(|started| Newest { started, pod: pod.metadata.name.clone() });
        let is_opted_out = workload.is_opted_out || pod.metadata.is_opted_out();
        let workload = Workload { is_opted_out, ..workload };
        let pods = RunningPods::one(newest, platform.cloned());
        self.add_images(pod.images(), workload, &pods)
    }

    /// Adds the images that the template of a workload names. Returns those whose names cannot be read.
    pub fn add_workload<'w>(&mut self, kind: &str, workload: &'w ObservedWorkload) -> Vec<&'w str> {
        let (namespace, name) = (workload.metadata.namespace.as_str(), workload.metadata.name.as_str());
        let is_opted_out = workload.is_opted_out();
        let of = Workload { kind, namespace, name, is_opted_out };
        self.add_images(workload.images(), of, &RunningPods::default())
    }

    fn add_images<'o>(
        &mut self,
        images: impl Iterator<Item = ObservedImage<'o>>,
        workload: Workload<'_>,
        pods: &RunningPods,
    ) -> Vec<&'o str> {
        let mut unreadable = Vec::new();
        for ObservedImage { container, image, digest, .. } in images {
            let Ok(reference) = image.parse() else {
                unreadable.push(image);
                continue;
            };
            let user = ImageUser {
                kind: workload.kind.to_owned(),
                namespace: workload.namespace.to_owned(),
                name: workload.name.to_owned(),
                container: container.to_owned(),
                is_opted_out: workload.is_opted_out,
            };
            self.add(reference, digest, user, pods.clone());
        }
        unreadable
    }
}

impl WorkloadRequest {
    /// Whether pods count whose topmost owner is of this kind; [`POD`] of those that nothing made.
    pub fn counts_pods_of(&self, kind: &str) -> bool {
        const OWNERS: [WorkloadKind; 5] = [
            WorkloadKind::Deployment,
            WorkloadKind::StatefulSet,
            WorkloadKind::DaemonSet,
            WorkloadKind::Job,
            WorkloadKind::CronJob,
        ];
        self.looks_at(WorkloadKind::Pod)
            || OWNERS.into_iter().any(|owner| owner.name() == kind && self.looks_at(owner))
    }
}
