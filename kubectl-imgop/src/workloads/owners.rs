//! What is at the top of the owners of pods.

use std::collections::HashMap;

use imgop_core::workloads::{ObservedMetadata, ObservedPod, POD};

/// What made what is between pods and the workloads that users write: the controller of each ReplicaSet and Job.
#[derive(Debug, Default)]
pub struct Owners(HashMap<String, (String, String)>);

impl Owners {
    /// Notes what made an object.
    pub fn add(&mut self, object: &ObservedMetadata) {
        if let Some(owner) = object.controller() {
            self.0.insert(object.uid.clone(), (owner.kind.clone(), owner.name.clone()));
        }
    }

    /// Returns kind and name of what is at the top of a pod's owners; the pod where nothing made it. An owner that is not
    /// known is the top.
    pub fn top<'a>(&'a self, pod: &'a ObservedPod) -> (&'a str, &'a str) {
        let Some(owner) = pod.metadata.controller() else { return (POD, &pod.metadata.name) };
        match self.0.get(&owner.uid) {
            Some((kind, name)) => (kind, name),
            None => (&owner.kind, &owner.name),
        }
    }
}
