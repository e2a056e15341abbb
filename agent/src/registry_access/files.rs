//! An endpoint's credentials and certificates as the files of a pod.

use imgop_core::commands::Endpoint;
use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use super::EndpointRef;
use crate::cluster::owner::Owner;

/// An endpoint as a pod sees it: where its credentials and certificates are mounted.
#[derive(Debug, Clone)]
pub struct EndpointFiles {
    /// For the tools' command lines.
    pub endpoint: Endpoint,
    /// The volumes of the pod.
    pub volumes: Vec<Volume>,
    /// The mounts of each container.
    pub mounts: Vec<VolumeMount>,
}

impl EndpointFiles {
    /// Returns the files of an endpoint of this owner's Jobs.
    pub fn of(owner: &Owner, endpoint: EndpointRef<'_>) -> Self {
        let _ = (owner, endpoint);
        unimplemented!()
    }
}
