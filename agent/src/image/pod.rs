//! The pod of a Job: a container for each part of each copy, locked down, with each side's credentials and
//! certificates as files. It passes the pod security standard "restricted".

use std::time::Duration;

use imgop_core::api;
use imgop_core::api::container_name;
use imgop_core::api::{CA_KEY, Credentials, Image, Publish, Tls, TlsMode};
use imgop_core::commands::{Endpoint, SkopeoCopy};
use imgop_core::copy::{Copy, CopyRequest};
use imgop_registry::reference::Tag;
use imgop_registry::reference::{Digest, Repository};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, KeyToPath, PodSecurityContext, PodSpec,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::aws;
use super::job::Order;
use crate::config::Config;

/// The key of a Secret of type kubernetes.io/dockerconfigjson.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";
/// The user that the containers run as; also the group that may read the credentials.
const USER: i64 = 65532;
/// Kubernetes' file for what a container wants to leave in its status.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// How long a pod stays on a node that does not answer before it is replaced.
const LOST_NODE_SECONDS: i64 = 30;

/// The pod that copies a batch.
pub fn pod(image: &Image, request: &CopyRequest, batch: &[Copy], order: Order, config: &Config) -> PodSpec {
    let source =
        Side::new("source", &request.source, auth_secret(image, api::Side::Source), &image.spec.source.tls);
    let destination = Side::new(
        "destination",
        &request.destination,
        auth_secret(image, api::Side::Destination),
        &image.spec.destination.tls,
    );
    let mut containers: Vec<Container> = batch
        .iter()
        .enumerate()
        .flat_map(|(index, copy)| {
            let parts = copy.parts().iter().enumerate();
            parts.map(move |(part, digest)| (container_name(index, part), copy, digest))
        })
        .map(|(name, copy, digest)| {
            // Nothing but the whole belongs under the tag.
            let tag = (request.publish == Publish::Direct && copy.made_of.is_none())
                .then(|| copy.destination_tag.clone());
            container(name, (digest.clone(), tag), &source, &destination, config)
        })
        .collect();
    let init = if order == Order::FirstAlone && containers.len() > 1 {
        let rest = containers.split_off(1);
        Some(std::mem::replace(&mut containers, rest))
    } else {
        None
    };
    let mut volumes = vec![Volume {
        name: "scratch".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity("2Gi".to_owned())), medium: None }),
        ..Volume::default()
    }];
    volumes.extend(source.volumes());
    volumes.extend(destination.volumes());
    PodSpec {
        init_containers: init,
        containers,
        volumes: Some(volumes),
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(5),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        tolerations: Some(
            ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(lost_node).to_vec(),
        ),
        ..PodSpec::default()
    }
}

/// The Secret with the credentials of a side: the one that the spec names, or the one that the agent
/// writes with a token of AWS.
fn auth_secret(image: &Image, side: api::Side) -> Option<String> {
    let spec = &image.spec;
    let named = match side {
        _ if aws::is_wanted(image, side) => return Some(aws::secret_name(image, side)),
        api::Side::Source => spec.source.credentials.as_ref(),
        api::Side::Destination => spec.destination.credentials.as_ref(),
    };
    named.map(|named: &Credentials| named.secret_name.clone())
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

fn container(
    name: String,
    (digest, tag): (Digest, Option<Tag>),
    source: &Side<'_>,
    destination: &Side<'_>,
    config: &Config,
) -> Container {
    let command = SkopeoCopy {
        source: source.endpoint(),
        destination: destination.endpoint(),
        digest,
        tag,
        digest_file: TERMINATION_LOG.into(),
        timeout: Duration::from_secs(config.job_deadline_seconds.into()),
    };
    let mut mounts = vec![VolumeMount {
        name: "scratch".to_owned(),
        mount_path: "/tmp".to_owned(),
        ..VolumeMount::default()
    }];
    mounts.extend(source.mounts());
    mounts.extend(destination.mounts());
    let quantities = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned()))).collect())
    };
    Container {
        env: Some(vec![
            // Skopeo keeps notes and temporary files; each container has its own folder for them.
            variable("HOME", format!("/tmp/{name}")),
            variable("TMPDIR", "/tmp".to_owned()),
        ]),
        name,
        image: Some(config.job_image()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec!["skopeo".to_owned()]),
        args: Some(command.arguments()),
        resources: Some(ResourceRequirements {
            requests: quantities(&[("cpu", "10m"), ("memory", "32Mi")]),
            limits: quantities(&[("memory", "512Mi")]),
            claims: None,
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        termination_message_path: Some(TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

/// One side of a copy, as the pod sees it: credentials and certificates are files.
struct Side<'a> {
    name: &'static str,
    repository: &'a Repository,
    auth_secret: Option<String>,
    ca_secret: Option<&'a str>,
    verify_tls: bool,
}

impl<'a> Side<'a> {
    fn new(
        name: &'static str,
        repository: &'a Repository,
        auth_secret: Option<String>,
        tls: &'a Tls,
    ) -> Self {
        // Loopback is plain HTTP for the agent's own client too.
        let verify_tls = tls.mode == TlsMode::Verify && !repository.host().is_loopback();
        Self {
            name,
            repository,
            auth_secret,
            ca_secret: tls.ca_secret_name.as_deref().filter(|_| verify_tls),
            verify_tls,
        }
    }

    fn folder(&self, what: &str) -> String {
        format!("/imgop/{}/{what}", self.name)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            repository: self.repository.clone(),
            auth_file: self.auth_secret.as_ref().map(|_| format!("{}/auth.json", self.folder("auth")).into()),
            certificates: self.ca_secret.map(|_| self.folder("tls").into()),
            verify_tls: self.verify_tls,
        }
    }

    /// Name of the volume, Secret, its key and the file that it becomes.
    fn files(&self) -> Vec<(String, &str, &'static str, &'static str, String)> {
        let auth = self.auth_secret.as_deref().map(|secret| {
            (format!("{}-auth", self.name), secret, DOCKER_CONFIG_KEY, "auth.json", self.folder("auth"))
        });
        let ca = self
            .ca_secret
            .map(|secret| (format!("{}-tls", self.name), secret, CA_KEY, "ca.crt", self.folder("tls")));
        auth.into_iter().chain(ca).collect()
    }

    fn volumes(&self) -> Vec<Volume> {
        self.files()
            .into_iter()
            .map(|(name, secret, key, path, _)| Volume {
                name,
                secret: Some(SecretVolumeSource {
                    secret_name: Some(secret.to_owned()),
                    default_mode: Some(0o440),
                    items: Some(vec![KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None }]),
                    optional: Some(false),
                }),
                ..Volume::default()
            })
            .collect()
    }

    fn mounts(&self) -> Vec<VolumeMount> {
        self.files()
            .into_iter()
            .map(|(name, _, _, _, folder)| VolumeMount {
                name,
                mount_path: folder,
                read_only: Some(true),
                ..VolumeMount::default()
            })
            .collect()
    }
}
