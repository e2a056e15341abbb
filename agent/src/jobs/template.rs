//! Jobs and pods as the agent makes them for any kind: labelled, owned, locked down (the pod security standard
//! "restricted", unless a kind says what it needs besides), with credentials and certificates as files.

mod affinity;
mod options;

use std::collections::BTreeMap;

use imgop_core::api::{
    MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL, OWNER_UID_LABEL, PART_OF_LABEL, Resources, TEMPLATE_ANNOTATION,
};
use imgop_registry::reference::Digest;
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, EmptyDirVolumeSource, EnvVar, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext, Toleration, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;

use crate::cluster::owner::Owner;
pub use options::{JobDefaults, JobOptions};

/// The label that holds the name of the owner, shortened to what a label may hold: for people, who select Jobs by
/// it. The agent goes by UIDs.
pub const OWNER_NAME_LABEL: &str = "imgop.skopeo.io/owner-name";
/// Kubernetes' file for what a container wants to leave in its status.
pub const TERMINATION_LOG: &str = "/dev/termination-log";
/// The user that the containers run as; also the group that may read the credentials.
const USER: i64 = 65532;
/// How long a pod stays on a node that does not answer before it is replaced.
const LOST_NODE_SECONDS: i64 = 30;
/// How long a pod has to end whose kind says nothing else.
const GRACE_SECONDS: u32 = 5;
/// The name of the volume that each container has at `/tmp`.
const SCRATCH: &str = "scratch";
/// The annotation by which an autoscaler knows whether it may end a pod.
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/// Seconds that a Job may take beside its pod and its wait for a node: to end.
const JOB_SLACK_SECONDS: u32 = 300;
/// The longest value of a label.
const MAX_LABEL: usize = 63;

/// Returns the seconds that a Job may take whose pod may run for this long: a Job that exceeds its own loses its pod, and
/// with it what its containers report.
pub fn job_seconds(pod_seconds: u32, pending_seconds: u32) -> u32 {
    pod_seconds.saturating_add(pending_seconds).saturating_add(JOB_SLACK_SECONDS)
}

/// What a kind says of a Job.
#[derive(Debug, Clone)]
pub struct JobTemplate<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// What it is called in `app.kubernetes.io/name`, such as `imgop-copy`.
    pub app: &'static str,
    /// What it does, whole: its name is a hash of this and of its owner's UID, so that creating it twice makes it
    /// once, and no two owners or namespaces meet, as they did where a name was made of an image and a tag.
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
    /// Seconds that it is kept when it has ended; none where its kind deletes it.
    pub ttl_seconds: Option<u32>,
    /// How its pod differs from one that passes "restricted" and may be moved at any time.
    pub pod: PodNeeds,
    /// What settings and owner say of it besides. It changes nothing that is said above, but for how long it is kept.
    pub options: JobOptions,
}

/// How the pod of a kind's Jobs differs from that of others.
#[derive(Debug, Clone)]
pub struct PodNeeds {
    /// Labels of the pod besides those that all pods have.
    pub labels: BTreeMap<String, String>,
    /// The same for annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether an autoscaler may end it to free a node: what is lost is begun anew.
    pub is_evictable: bool,
    /// Whether its Job makes another one where it is disrupted, as by a drained node. False fails the Job: the next one
    /// goes on with what the pod has reported.
    pub is_replaced: bool,
    /// False gives it a user namespace of its own.
    pub host_users: Option<bool>,
    /// The security of all its containers, where they do not say something else.
    pub security: PodSecurityContext,
    /// The nodes that it may run on.
    pub affinity: Option<Affinity>,
    /// Seconds that it has to end by itself once it is to end.
    pub grace_seconds: u32,
    /// Seconds that it may run once it is on a node; none leaves it to the Job's deadline. A pod that exceeds them
    /// stays, and with it what its containers report.
    pub deadline_seconds: Option<u32>,
}

impl Default for PodNeeds {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            is_evictable: true,
            is_replaced: true,
            host_users: None,
            security: PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                seccomp_profile: Some(runtime_default()),
                ..PodSecurityContext::default()
            },
            affinity: None,
            grace_seconds: GRACE_SECONDS,
            deadline_seconds: None,
        }
    }
}

/// Returns the seccomp profile of the container runtime.
pub fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
}

impl JobTemplate<'_> {
    /// Builds the Job. Nothing of its owner's own labels and annotations is in it.
    pub fn build(self) -> Job {
        let options = &self.options;
        let labels = with(&options.labels, self.labels());
        let template = (TEMPLATE_ANNOTATION.to_owned(), options.hash());
        let annotations = self.annotations.clone().into_iter().chain([template]).collect();
        Job {
            metadata: ObjectMeta {
                name: Some(self.name()),
                namespace: Some(self.owner.namespace.clone()),
                labels: Some(labels.clone()),
                annotations: Some(with(&options.annotations, annotations)),
                owner_references: Some(vec![self.owner.controller_reference()]),
                ..ObjectMeta::default()
            },
            spec: Some(JobSpec {
                // Kinds count tries by themselves; a Job is one try, whatever happens in it.
                backoff_limit: i32::try_from(options.backoff_limit).ok(),
                active_deadline_seconds: Some(self.deadline_seconds.into()),
                ttl_seconds_after_finished: options
                    .ttl_seconds
                    .or(self.ttl_seconds)
                    .and_then(|seconds| i32::try_from(seconds).ok()),
                pod_failure_policy: self.pod.is_replaced.then(ignore_disruptions),
                // No second pod while the first still ends.
                pod_replacement_policy: Some("Failed".to_owned()),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(with(&labels, self.pod.labels.clone())),
                        annotations: Some(self.pod_annotations()),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.pod()),
                },
                ..JobSpec::default()
            }),
            status: None,
        }
    }

    fn pod_annotations(&self) -> BTreeMap<String, String> {
        let own = [(SAFE_TO_EVICT.to_owned(), self.pod.is_evictable.to_string())];
        with(&self.options.annotations, own.into_iter().chain(self.pod.annotations.clone()).collect())
    }

    fn name(&self) -> String {
        let hash = Digest::of(format!("{}\n{}", self.owner.uid, self.identity).as_bytes());
        let readable: String = self.owner.name.replace('.', "-").chars().take(40).collect();
        format!("imgop-{}-{}", readable.trim_end_matches('-'), &hash.hex()[..12])
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let name: String = self.owner.name.chars().take(MAX_LABEL).collect();
        BTreeMap::from([
            (NAME_LABEL.to_owned(), self.app.to_owned()),
            (PART_OF_LABEL.to_owned(), MANAGED_BY.to_owned()),
            (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
            (OWNER_UID_LABEL.to_owned(), self.owner.uid.clone()),
            (OWNER_NAME_LABEL.to_owned(), name.trim_end_matches(['-', '.']).to_owned()),
        ])
    }

    fn pod(self) -> PodSpec {
        let JobOptions { environment, node_selector, tolerations, affinity, .. } = self.options;
        let in_environment = |container: Container| with_variables(container, &environment);
        let pull_secrets = self.options.pull_secrets.into_iter().map(|name| LocalObjectReference { name });
        let lost_nodes = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(lost_node);
        let scratch = Volume {
            name: SCRATCH.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity("2Gi".to_owned())),
                medium: None,
            }),
            ..Volume::default()
        };
        PodSpec {
            init_containers: some(self.init_containers.into_iter().map(in_environment).collect()),
            containers: self.containers.into_iter().map(in_environment).collect(),
            volumes: Some(std::iter::once(scratch).chain(self.volumes).collect()),
            restart_policy: Some("Never".to_owned()),
            service_account_name: self.options.service_account,
            // Neither Skopeo nor Buildah talks to the API server, and a RUN is the tenant's code.
            automount_service_account_token: Some(false),
            image_pull_secrets: some(pull_secrets.collect()),
            priority_class_name: self.options.priority_class,
            node_selector: Some(node_selector).filter(|labels| !labels.is_empty()),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(self.pod.grace_seconds.into()),
            security_context: Some(self.pod.security),
            host_users: self.pod.host_users,
            affinity: affinity::both(self.pod.affinity, affinity),
            active_deadline_seconds: self.pod.deadline_seconds.map(i64::from),
            // Of several that tolerate a taint, the shortest time holds.
            tolerations: Some(lost_nodes.into_iter().chain(tolerations).collect()),
            ..PodSpec::default()
        }
    }
}

/// Builds a container that passes the pod security standard "restricted". It has `/tmp` for its own.
pub fn container(
    name: String,
    image: String,
    command: &str,
    args: Vec<String>,
    mounts: &[VolumeMount],
    resources: &Resources,
) -> Container {
    let scratch =
        VolumeMount { name: SCRATCH.to_owned(), mount_path: "/tmp".to_owned(), ..VolumeMount::default() };
    Container {
        env: Some(vec![
            // Tools keep notes and temporary files; each container has its own folder for them.
            variable("HOME", format!("/tmp/{name}")),
            variable("TMPDIR", "/tmp".to_owned()),
        ]),
        name,
        image: Some(image),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec![command.to_owned()]),
        args: Some(args),
        resources: Some(resources.requirements()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        termination_message_path: Some(TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(std::iter::once(scratch).chain(mounts.iter().cloned()).collect()),
        ..Container::default()
    }
}

/// Returns these texts, with those that a Job needs in the place of others with the same key.
fn with(texts: &BTreeMap<String, String>, needed: BTreeMap<String, String>) -> BTreeMap<String, String> {
    texts.clone().into_iter().chain(needed).collect()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// Returns a container with more variables. Its own stay as they are.
fn with_variables(mut container: Container, variables: &BTreeMap<String, String>) -> Container {
    let own = container.env.get_or_insert_default();
    for (name, value) in variables {
        if own.iter().all(|variable| variable.name != *name) {
            own.push(variable(name, value.clone()));
        }
    }
    container
}

fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

fn lost_node(taint: &str) -> Toleration {
    Toleration {
        key: Some(taint.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(LOST_NODE_SECONDS),
        value: None,
    }
}

/// A drained node or a preemption is not the Job's fault.
fn ignore_disruptions() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![PodFailurePolicyRule {
            action: "Ignore".to_owned(),
            on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
            }]),
            on_exit_codes: None,
        }],
    }
}

#[cfg(test)]
mod tests;
