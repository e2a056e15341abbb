//! Jobs and pods as the agent makes them for any kind: labelled, owned, locked down (the pod security standard
//! "restricted"), with credentials and certificates as files.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, Volume, VolumeMount};

use crate::cluster::owner::Owner;

/// What a kind says of a Job.
#[derive(Debug, Clone)]
pub struct JobTemplate<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// What it is called in `app.kubernetes.io/name`, such as `imgop-copy`.
    pub app: &'static str,
    /// What it does, whole: its name is a hash of this and of its owner's UID.
    pub identity: String,
    /// Annotations by which the kind reads it again.
    pub annotations: BTreeMap<String, String>,
    /// Containers that run before the others, one after the other.
    pub init_containers: Vec<Container>,
    /// Containers that run at once.
    pub containers: Vec<Container>,
    /// Volumes besides the scratch volume.
    pub volumes: Vec<Volume>,
    /// Seconds after which it is ended.
    pub deadline_seconds: u32,
    /// Seconds that it is kept when it has ended.
    pub ttl_seconds: u32,
}

impl JobTemplate<'_> {
    /// Builds the Job.
    pub fn build(self) -> Job {
        unimplemented!()
    }
}

/// Builds a container that passes the pod security standard "restricted". It has `/tmp` for its own.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

pub fn container(
    name: &str,
    image: String,
    command: Vec<String>,
    args: Vec<String>,
    mounts: Vec<VolumeMount>,
) -> Container {
    let _ = (name, image, command, args, mounts);
    unimplemented!()
}
