//! Pods and workloads as they are read: the few fields that say which images they use. Everything else is skipped while it
//! is read, so that a pod of 12 KB leaves some hundred bytes.

use imgop_registry::reference::Digest;
use jiff::Timestamp;
use serde::Deserialize;

use crate::api::MANAGED_BY;

/// What an image ID that names a repository has before its digest.
const BEFORE_DIGEST: char = '@';
/// Why a container waits whose image the node cannot pull.
const PULL_FAILURES: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ObservedPod {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObservedMetadata,
    /// Its containers and volumes.
    #[serde(default)]
    pub spec: ObservedTemplate,
    /// What became of it.
    #[serde(default)]
    pub status: ObservedStatus,
}

/// A Deployment, StatefulSet, DaemonSet, Job or CronJob.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ObservedWorkload {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObservedMetadata,
    #[serde(default)]
    spec: WorkloadSpec,
}

/// The metadata of a pod, a workload or a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedMetadata {
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The namespace.
    #[serde(default)]
    pub namespace: String,
    /// The UID.
    #[serde(default)]
    pub uid: String,
    /// What a watch goes on from.
    #[serde(default)]
    pub resource_version: String,
    #[serde(default)]
    annotations: Option<Annotations>,
    #[serde(default)]
    labels: Option<Labels>,
    /// The owners.
    #[serde(default)]
    pub owner_references: Vec<ObservedOwner>,
}

/// An owner of a pod or of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ObservedOwner {
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its UID.
    #[serde(default)]
    pub uid: String,
    /// Whether it made what it owns.
    #[serde(default)]
    pub controller: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Annotations {
    #[serde(default, rename = "imgop.skopeo.io/mirror")]
    mirror: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Labels {
    #[serde(default, rename = "app.kubernetes.io/managed-by")]
    managed_by: Option<String>,
    #[serde(default, rename = "imgop.skopeo.io/image-uid")]
    owner_uid: Option<String>,
}

/// The containers and volumes of a pod, or of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedTemplate {
    /// The node that it runs on.
    #[serde(default)]
    pub node_name: Option<String>,
    #[serde(default)]
    init_containers: Vec<ObservedContainer>,
    #[serde(default)]
    containers: Vec<ObservedContainer>,
    #[serde(default)]
    ephemeral_containers: Vec<ObservedContainer>,
    #[serde(default)]
    volumes: Vec<Volume>,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ObservedContainer {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its image, as it is written.
    #[serde(default)]
    pub image: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Volume {
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: Option<ImageVolume>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct ImageVolume {
    #[serde(default)]
    reference: String,
}

/// What became of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedStatus {
    /// Pending, Running, Succeeded, Failed or Unknown.
    #[serde(default)]
    pub phase: String,
    /// When the kubelet took it.
    #[serde(default)]
    pub start_time: Option<Timestamp>,
    #[serde(default)]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct ContainerStatus {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
    #[serde(default)]
    state: ContainerState,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct ContainerState {
    #[serde(default)]
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadSpec {
    #[serde(default)]
    template: Option<Template>,
    #[serde(default)]
    job_template: Option<JobTemplate>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct JobTemplate {
    #[serde(default)]
    spec: JobSpec,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct JobSpec {
    #[serde(default)]
    template: Option<Template>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Template {
    #[serde(default)]
    metadata: ObservedMetadata,
    #[serde(default)]
    spec: ObservedTemplate,
}

/// An image that a pod or a template names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedImage<'a> {
    /// The container or the volume.
    pub container: &'a str,
    /// The image, as it is written.
    pub image: &'a str,
    /// What runs, where a pod reports it.
    pub digest: Option<Digest>,
    /// Whether the node cannot pull it.
    pub cannot_be_pulled: bool,
}

impl ObservedPod {
    /// Whether it uses its images: one that has ended does not. What copies and builds is no workload.
    pub fn is_counted(&self) -> bool {
        matches!(self.status.phase.as_str(), "Pending" | "Running") && !self.metadata.is_made_by_imgop()
    }

    /// Returns each image that it names.
    pub fn images(&self) -> impl Iterator<Item = ObservedImage<'_>> {
        let status =
            |name: &str, among: &'_ [ContainerStatus]| among.iter().position(|status| status.name == name);
        self.spec.named().map(move |(part, container, image)| {
            let among: &[ContainerStatus] = match part {
                Part::Init => &self.status.init_container_statuses,
                Part::Container => &self.status.container_statuses,
                Part::Ephemeral => &self.status.ephemeral_container_statuses,
                Part::Volume => &[],
            };
            let status = status(container, among).and_then(|at| among.get(at));
            ObservedImage {
                container,
                image,
                digest: status.and_then(|status| running_digest(&status.image_id)),
                cannot_be_pulled: status
                    .and_then(|status| status.state.waiting.as_ref())
                    .is_some_and(|waiting| PULL_FAILURES.contains(&waiting.reason.as_str())),
            }
        })
    }
}

impl ObservedWorkload {
    /// Whether it is a workload: a Job that copies or builds is none.
    pub fn is_counted(&self) -> bool {
        !self.metadata.is_made_by_imgop()
    }

    /// Returns each image that its template names.
    pub fn images(&self) -> impl Iterator<Item = ObservedImage<'_>> {
        let named = self.template().into_iter().flat_map(|template| template.spec.named());
        named.map(|(_, container, image)| ObservedImage {
            container,
            image,
            digest: None,
            cannot_be_pulled: false,
        })
    }

    /// Whether it says, itself or in its template, that it is not to be mirrored.
    pub fn is_opted_out(&self) -> bool {
        self.metadata.is_opted_out()
            || self.template().is_some_and(|template| template.metadata.is_opted_out())
    }

    fn template(&self) -> Option<&Template> {
        let of_job = self.spec.job_template.as_ref().and_then(|job| job.spec.template.as_ref());
        self.spec.template.as_ref().or(of_job)
    }
}

impl ObservedMetadata {
    /// Whether it says that what it belongs to is not to be mirrored: by [an annotation](crate::api::NOT_MIRRORED_ANNOTATION).
    pub fn is_opted_out(&self) -> bool {
        self.annotations.as_ref().is_some_and(|all| all.mirror.as_deref() == Some("false"))
    }

    /// Whether the agent has made it, by [the](crate::api::MANAGED_BY_LABEL) [labels](crate::api::OWNER_UID_LABEL) of its
    /// Jobs and of their pods. Whoever gives them to a pod has less mirrored, and nothing else.
    fn is_made_by_imgop(&self) -> bool {
        let Some(labels) = &self.labels else { return false };
        labels.managed_by.as_deref() == Some(MANAGED_BY) && labels.owner_uid.is_some()
    }

    /// Returns what made it.
    pub fn controller(&self) -> Option<&ObservedOwner> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

/// Where a container stands.
#[derive(Debug, Clone, Copy)]
enum Part {
    Init,
    Container,
    Ephemeral,
    Volume,
}

impl ObservedTemplate {
    fn named(&self) -> impl Iterator<Item = (Part, &str, &str)> {
        let lists = [
            (Part::Init, &self.init_containers),
            (Part::Container, &self.containers),
            (Part::Ephemeral, &self.ephemeral_containers),
        ];
        let containers = lists.into_iter().flat_map(|(part, list)| {
            list.iter().map(move |container| (part, container.name.as_str(), container.image.as_str()))
        });
        let volumes = self.volumes.iter().filter_map(|volume| {
            let image = volume.image.as_ref()?;
            Some((Part::Volume, volume.name.as_str(), image.reference.as_str()))
        });
        // A container without an image gets one from a webhook, and a template of it names none.
        containers.chain(volumes).filter(|(_, _, image)| !image.is_empty())
    }
}

/// Returns the digest that an image ID names: `docker-pullable://repository@sha256:…`. A digest alone is the ID of the
/// image's configuration, as of images that were loaded into a node, and no registry has that.
pub fn running_digest(image_id: &str) -> Option<Digest> {
    let name = image_id.split_once("://").map_or(image_id, |(_, name)| name);
    let (_, digest) = name.split_once(BEFORE_DIGEST)?;
    digest.parse().ok()
}
