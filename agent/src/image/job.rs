//! The Job that copies a batch of tags: one pod. With the engine Skopeo it has one container for each thing that is copied
//! as it is: a tag, or a part of an index that is made afterwards. With the engine Native it has one for all of them
//! (`native_job.rs`).
//!
//! Each container's exit code, and the digest or the error text it ended with, stand in the pod's
//! status; no shell is needed and no log is read.

use std::collections::BTreeMap;
use std::time::Duration;

use imgop_core::api::{
    COPIES_ANNOTATION, Engine, ImageSpec, Publish, ROUTE_ANNOTATION, Side, container_name,
};
use imgop_core::commands::SkopeoCopy;
use imgop_core::copy::{Copy, CopyRecord, CopyRequest, MaxParts, Order};
use imgop_registry::reference::Digest;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::job_batches::{Batch, JobEngine};
use super::native_job::{Reach, Resumed, native_container, native_pod};
use crate::cluster::owner::Owner;
use crate::config::Config;
use crate::jobs::template::{JobOptions, JobTemplate, PodNeeds, TERMINATION_LOG, container, job_seconds};
use crate::registry_access::files::EndpointFiles;
use crate::registry_access::lent::{LentAccess, secret_name};

/// What a Job is made from.
#[derive(Clone, Copy)]
pub struct JobOf<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// Its spec.
    pub spec: &'a ImageSpec,
    /// What the spec asks for.
    pub request: &'a CopyRequest,
    /// What is copied, and by which program.
    pub batch: &'a Batch,
    /// The agent's settings.
    pub config: &'a Config,
    /// How both sides are reached, where something of it is lent.
    pub lent: Option<&'a LentAccess>,
    /// What administrators say of source and destination besides.
    pub reach: &'a [Reach; 2],
    /// What is known of earlier tries.
    pub resumed: &'a Resumed,
}

/// Returns the Job for a batch, in the namespace of its owner; where something is lent, its files are in a Secret of its
/// own. Its name is a hash of what it does and for whom, so that creating it twice makes it once, and no two Images, tags
/// or namespaces meet: image-operator shortened names until they were equal.
pub fn job(of: &JobOf<'_>) -> Job {
    let JobOf { owner, spec, request, batch, config, lent, .. } = *of;
    let options = options(spec, config, batch.engine, lent.is_some());
    let deadline_seconds = options.deadline_seconds.unwrap_or(config.job_deadline_seconds);
    let files = [(Side::Source, &request.source), (Side::Destination, &request.destination)];
    let files = files.map(|(side, place)| match lent {
        None => EndpointFiles::of(owner, side, place, spec.endpoint(side)),
        Some(lent) => {
            let secret = secret_name(owner, &identity(request, &batch.copies));
            EndpointFiles::lent(&secret, side, place, lent.side(side))
        }
    });
    let (init_containers, containers, pod, job_deadline) = match batch.engine.engine() {
        Engine::Skopeo => {
            let (first, others) = skopeo_containers(of, &files, &options, deadline_seconds);
            (first, others, PodNeeds::default(), deadline_seconds)
        }
        Engine::Native => {
            let container = native_container(of, &files, &options, deadline_seconds);
            let job_deadline = job_seconds(deadline_seconds, config.job_pending_seconds);
            (Vec::new(), vec![container], native_pod(deadline_seconds), job_deadline)
        }
    };
    JobTemplate {
        owner,
        app: "imgop-copy",
        identity: identity(request, &batch.copies),
        annotations: BTreeMap::from([
            (COPIES_ANNOTATION.to_owned(), records(&batch.copies)),
            (ROUTE_ANNOTATION.to_owned(), request.route()),
        ]),
        init_containers,
        containers,
        volumes: files.into_iter().flat_map(|files| files.volumes).collect(),
        deadline_seconds: job_deadline,
        ttl_seconds: Some(config.job_deletion_delay_seconds),
        pod,
        options,
    }
    .build()
}

/// Returns the containers of Skopeo: those that run before the others, and the others.
fn skopeo_containers(
    of: &JobOf<'_>,
    files: &[EndpointFiles; 2],
    options: &JobOptions,
    deadline_seconds: u32,
) -> (Vec<Container>, Vec<Container>) {
    let mounts: Vec<VolumeMount> = files.iter().flat_map(|files| files.mounts.clone()).collect();
    let container_of = |name: String, command: &SkopeoCopy| {
        container(name, of.config.job_image(), "skopeo", command.arguments(), &mounts, &options.resources)
    };
    let timeout = Duration::from_secs(deadline_seconds.into());
    let mut containers: Vec<Container> = of
        .batch
        .copies
        .iter()
        .enumerate()
        .flat_map(|(index, copy)| commands(index, copy, of.request, files, timeout))
        .map(|(name, command)| container_of(name, &command))
        .collect();
    let first = match of.batch.order {
        Order::FirstAlone if containers.len() > 1 => containers.drain(..1).collect(),
        _ => Vec::new(),
    };
    (first, containers)
}

/// Returns the program that the spec or the setting names.
pub fn engine(spec: &ImageSpec, config: &Config) -> Engine {
    spec.engine.unwrap_or(config.copies.copy_engine)
}

/// Returns whether Native copies what Skopeo cannot.
pub fn falls_back(spec: &ImageSpec, config: &Config) -> bool {
    config.copies.copy_engine_fallback && spec.engine.is_none() && engine(spec, config) == Engine::Skopeo
}

/// Returns how many manifests of one content Jobs copy.
pub fn max_parts(spec: &ImageSpec, config: &Config) -> MaxParts {
    match engine(spec, config) {
        Engine::Skopeo if !falls_back(spec, config) => MaxParts::Containers(spec.engine.into()),
        _ => MaxParts::OneContainer,
    }
}

/// Returns how many tags one Job copies at most.
pub fn tags_per_job(engine: Engine, config: &Config) -> usize {
    match engine {
        Engine::Skopeo => config.tags_per_job.into(),
        Engine::Native => config.copies.native_tags_per_job.into(),
    }
}

/// Returns the most seconds that a Job may take, wherever it runs.
pub fn deadline_seconds(spec: &ImageSpec, config: &Config) -> u32 {
    spec.job_template.active_deadline_seconds.unwrap_or(config.job_deadline_seconds)
}

/// Returns what a Job has of its spec and of the settings. `is_elsewhere` says that it runs in the namespace of Jobs that use
/// what is lent.
pub fn options(spec: &ImageSpec, config: &Config, engine: JobEngine, is_elsewhere: bool) -> JobOptions {
    let mut options = if is_elsewhere {
        let (ttl, deadline) = (config.job_deletion_delay_seconds, config.job_deadline_seconds);
        config.job_options(&spec.job_template.outside_of_namespace(ttl, deadline))
    } else {
        config.job_options(&spec.job_template)
    };
    if engine.engine() == Engine::Native {
        // A second pod of one Job would begin anew; the next Job goes on with what the first one has reported.
        options.backoff_limit = 0;
    }
    options.program = match engine {
        // As in the Jobs of earlier versions, which named none: those that wait at an upgrade are not made anew.
        JobEngine::Named(Engine::Skopeo) => None,
        JobEngine::Named(Engine::Native) => Some("Native"),
        JobEngine::Fallback => Some("Native in the place of Skopeo"),
    };
    options
}

/// Returns what the Job of a batch does, whole.
pub fn identity(request: &CopyRequest, copies: &[Copy]) -> String {
    format!("{}\n{}", request.route(), records(copies))
}

fn records(copies: &[Copy]) -> String {
    let records: Vec<CopyRecord> = copies.iter().map(CopyRecord::from).collect();
    serde_json::to_string(&records).unwrap_or_default()
}

/// Returns what the containers of one copy run, by their names: one for each of its parts.
fn commands(
    index: usize,
    copy: &Copy,
    request: &CopyRequest,
    [source, destination]: &[EndpointFiles; 2],
    timeout: Duration,
) -> Vec<(String, SkopeoCopy)> {
    let parts = copy.parts().iter().enumerate();
    let command_of = |(part, digest): (usize, &Digest)| {
        // Nothing but the whole belongs under the tag.
        let is_whole = request.publish == Publish::Direct && copy.made_of.is_none();
        let command = SkopeoCopy {
            source: source.endpoint.clone(),
            destination: destination.endpoint.clone(),
            digest: digest.clone(),
            tag: is_whole.then(|| copy.destination_tag.clone()),
            digest_file: TERMINATION_LOG.into(),
            timeout,
        };
        (container_name(index, part), command)
    };
    parts.map(command_of).collect()
}

#[cfg(test)]
mod tests;
