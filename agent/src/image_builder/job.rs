//! The Job that builds one platform: three containers of one pod, one after the other.
//!
//! `prepare` has git's and the pulls' credentials, `build` runs the tenant's code and has none, `push` has the
//! credential of the push. Nothing that `push` executes or trusts is mounted into `build`.

use std::collections::BTreeMap;

use imgop_core::api::{BUILD_ANNOTATION, ImageBuilderSpec, Resources};
use imgop_core::build::step::{MAX_STEP_INPUT_BYTES, PartInputs, StepInput};
use imgop_core::build::{BuildRequest, ObservedInputs, PartRecord};
use imgop_core::commands::document::DocumentError;
use imgop_registry::oci::PlatformSelector;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Affinity, Container, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    PodSecurityContext, VolumeMount,
};

use super::pull_auth::PullAuth;
use super::security;
use super::tiers::JobRecord;
use super::volumes::Volumes;
use crate::cluster::owner::Owner;
use crate::config::{BuildTier, Config};
use crate::jobs::refusals::Advice;
use crate::jobs::template::{JobOptions, JobTemplate, PodNeeds, container, job_seconds, runtime_default};

/// The container that fetches the context and pulls the base images.
pub(super) const PREPARE: &str = "prepare";
/// The container that runs the Dockerfile.
pub(super) const BUILD: &str = "build";
/// The container that pushes the image.
pub(super) const PUSH: &str = "push";
/// The program of all three.
const STEP: &str = "imgop-step";
/// The same where it comes from an image volume.
const STEP_OF_VOLUME: &str = "/imgop/usr/bin/imgop-step";
/// Where programs write what is temporary.
const TEMPORARY: &str = "/tmp";
/// Where programs write large files that are temporary.
const TEMPORARY_LARGE: &str = "/var/tmp";
/// What helps where the pods of Jobs are refused.
pub(super) const ADVICE: Advice = Advice {
    resources: "spec.resources for the container that builds, and spec.jobTemplate.resources for all",
    settings: &["JOB", "BUILD"],
    pod_security: "an administrator can choose BUILD_TIERS of the agent for that level, or change the namespace's label \
                   pod-security.kubernetes.io/enforce (docs/imagebuilder.md)",
};

/// What a part is built from.
pub(super) struct Part<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// What is asked for.
    pub spec: &'a ImageBuilderSpec,
    /// The same, parsed.
    pub request: &'a BuildRequest,
    /// What was observed when the build began.
    pub inputs: &'a ObservedInputs,
    /// Values for ARGs.
    pub arguments: &'a BTreeMap<String, String>,
    /// Which part of which build it is.
    pub record: &'a PartRecord,
    /// When the build began.
    pub started_at: jiff::Timestamp,
    /// The credentials of its pulls.
    pub pull_auth: &'a PullAuth,
    /// How its pod gets what Buildah needs.
    pub tier: BuildTier,
}

/// Why a part cannot be described.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartError {
    /// It cannot be written as a document.
    #[error(transparent)]
    Input(#[from] DocumentError),
    /// It is too long for a Job.
    #[error(
        "Dockerfile, arguments and labels have {0} bytes; at most {MAX_STEP_INPUT_BYTES} fit into a Job: put the \
         Dockerfile into a context"
    )]
    TooLong(usize),
}

/// Returns the Job of a part. Its name is a hash of whose and which part it is, so that creating it twice makes it
/// once.
pub(super) fn job(part: &Part<'_>, config: &Config) -> Result<Job, PartError> {
    let arguments = input(part, config).to_arguments()?;
    let bytes = arguments.iter().map(String::len).sum();
    if bytes > MAX_STEP_INPUT_BYTES {
        return Err(PartError::TooLong(bytes));
    }
    let record = JobRecord { part: part.record, tier: part.tier };
    let record = serde_json::to_string(&record).unwrap_or_default();
    let volumes = Volumes::of(part, config);
    let options = options(part.spec, config);
    let timeout = u32::try_from(part.request.timeout.as_secs()).unwrap_or(u32::MAX);
    let timeout = options.deadline_seconds.map_or(timeout, |deadline| deadline.min(timeout));
    let [prepare, build, push] = containers(part, &arguments, &volumes, &options, config);
    let PartRecord { number, platform, attempt, .. } = part.record;
    Ok(JobTemplate {
        owner: part.owner,
        app: "imgop-build",
        identity: format!("build {number} {platform} {attempt}"),
        annotations: BTreeMap::from([(BUILD_ANNOTATION.to_owned(), record)]),
        init_containers: vec![prepare, build],
        containers: vec![push],
        volumes: volumes.all,
        deadline_seconds: job_seconds(timeout, config.job_pending_seconds),
        // The agent keeps as many as the spec's history limits say.
        ttl_seconds: None,
        pod: pod(part, timeout),
        options,
    }
    .build())
}

fn pod(part: &Part<'_>, timeout: u32) -> PodNeeds {
    let off = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let is_native = !part.record.emulated;
    PodNeeds {
        labels: BTreeMap::from([off("sidecar.istio.io/inject", "false")]),
        // A sidecar never ends, and its proxy would be in the way of pulls and pushes.
        annotations: BTreeMap::from([
            off("sidecar.istio.io/inject", "false"),
            off("linkerd.io/inject", "disabled"),
        ]),
        is_evictable: false,
        host_users: security::host_users(part.tier),
        security: PodSecurityContext {
            seccomp_profile: Some(runtime_default()),
            ..PodSecurityContext::default()
        },
        affinity: is_native.then(|| on_nodes_of(&part.record.platform)),
        deadline_seconds: Some(timeout),
        ..PodNeeds::default()
    }
}

/// Returns the affinity to nodes that run a platform natively.
fn on_nodes_of(platform: &PlatformSelector) -> Affinity {
    let is = |label: &str, value: &str| NodeSelectorRequirement {
        key: label.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![value.to_owned()]),
    };
    let term = NodeSelectorTerm {
        match_expressions: Some(vec![
            is("kubernetes.io/arch", platform.architecture()),
            is("kubernetes.io/os", platform.os()),
        ]),
        match_fields: None,
    };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![term],
            }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn containers(
    part: &Part<'_>,
    arguments: &[String],
    volumes: &Volumes,
    options: &JobOptions,
    config: &Config,
) -> [Container; 3] {
    let image = &config.builds.builder_image;
    let one = |name: &'static str, image: String, command: &str, mounts: &[VolumeMount]| {
        let arguments = std::iter::once(name.to_owned()).chain(arguments.iter().cloned()).collect();
        let mut made = container(name.to_owned(), image, command, arguments, mounts, &options.resources);
        let mounts = made.volume_mounts.get_or_insert_default();
        let scratch = mounts.iter().position(|mount| mount.mount_path == TEMPORARY);
        if let Some(scratch) = scratch.and_then(|place| mounts.get_mut(place)) {
            // What one container leaves there is not another one's.
            scratch.sub_path = Some(name.to_owned());
            if name == BUILD {
                // Buildah reads configs of cached layers through files there, whatever TMPDIR says.
                let large = VolumeMount { mount_path: TEMPORARY_LARGE.to_owned(), ..scratch.clone() };
                mounts.push(large);
            }
        }
        made
    };
    let mut prepare = one(PREPARE, image.clone(), STEP, &volumes.prepare);
    let mut build = match config.builds.buildah_image() {
        Some(other) => one(BUILD, other, STEP_OF_VOLUME, &volumes.build),
        None => one(BUILD, image.clone(), STEP, &volumes.build),
    };
    for container in [&mut prepare, &mut build] {
        let profile = &config.builds.build_seccomp_profile;
        container.security_context = Some(security::context(part.tier, profile));
    }
    build.resources = options.container_resources.get(BUILD).map(Resources::requirements);
    let mut push = one(PUSH, image.clone(), STEP, &volumes.push);
    if let Some(context) = &mut push.security_context {
        // It reads what the others wrote, as their user and without a capability.
        (context.run_as_user, context.run_as_non_root) = (Some(security::user(part.tier)), None);
    }
    [prepare, build, push]
}

/// Returns what settings and spec say of its Jobs. The container that builds may use what the spec says, its
/// template for what that leaves open, and the settings.
pub(super) fn options(spec: &ImageBuilderSpec, config: &Config) -> JobOptions {
    let resources = spec.resources.clone().or(&spec.job_template.resources).or(&config.builds.resources());
    let container_resources = BTreeMap::from([(BUILD.to_owned(), resources)]);
    JobOptions { container_resources, ..config.job_options(&spec.job_template) }
}

/// Returns all that the containers are to know that is no secret.
fn input(part: &Part<'_>, config: &Config) -> StepInput {
    let Part { spec, request, arguments, inputs, started_at, .. } = *part;
    let platform = &part.record.platform;
    StepInput {
        buildah: config.builds.buildah_image().map(|_| config.builds.buildah()),
        log_bytes: config.builds.build_log_bytes,
        ..StepInput::of(PartInputs { spec, request, platform, arguments, inputs, started_at })
    }
}

#[cfg(test)]
mod tests;
