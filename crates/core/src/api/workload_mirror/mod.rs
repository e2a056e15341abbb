//! `WorkloadMirror`: the images that workloads of a cluster use, and where each of them goes.
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::is_default;
use super::engine::Engine;
use super::job_template::JobTemplateSpec;
use super::rules as shared_rules;
use super::schedule::{Frequency, RecurrenceRef};
use super::{MirrorSource, Referrers};

mod choice;
mod destination;
mod rules;
mod status;

pub use choice::{ExcludedWorkload, WorkloadExclusions, WorkloadKind, WorkloadNamespaces, WorkloadTrigger};
pub use destination::{
    DigestUse, PathRule, UnknownDigest, WorkloadDestination, WorkloadDigests, WorkloadOrigin,
    WorkloadOverwrite, WorkloadPlatformMode, WorkloadPlatforms,
};
pub use status::{WorkloadCounts, WorkloadMirrorStatus};

/// How long an image stays that no workload names any more, where a spec does not say.
const DEFAULT_RETENTION: &str = "7d";

/// The images that workloads use, mirrored to where the cluster needs them.
#[derive(Debug, Clone, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "skopeo.io",
    version = "v1alpha1",
    kind = "WorkloadMirror",
    namespaced,
    doc = "The images that workloads of some namespaces use, mirrored to a registry, each repository by an Image of its own.",
    status = "WorkloadMirrorStatus",
    derive = "PartialEq",
    shortname = "swm",
    category = "imgop",
    printcolumn(name = "Images", type_ = "string", json_path = ".status.progress"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Last-Change", type_ = "date", json_path = ".status.lastSyncTime"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadMirrorSpec {
    /// What calls for an image: Running (the default) mirrors what workloads name; PullFailure copies what pods cannot pull
    /// from the destination.
    #[serde(default = "default_triggers")]
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub triggers: Vec<WorkloadTrigger>,

    /// In which namespaces workloads are looked at: that of the WorkloadMirror without it. Another one must let this
    /// namespace: an administrator binds the ClusterRole imgop-workload-mirror there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespaces: WorkloadNamespaces,

    /// Which kinds of workloads are looked at. Without one, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), extend("x-kubernetes-list-type" = "set"))]
    pub kinds: Vec<WorkloadKind>,

    /// What is not mirrored. The destination itself never is, and no target of an ImageMirror or a WorkloadMirror of this
    /// namespace. A target of one in another namespace that is looked at counts for the pods of that namespace alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exclude: WorkloadExclusions,

    /// Where images go to.
    pub destination: WorkloadDestination,

    /// Which content a tag has at the destination.
    #[serde(default, skip_serializing_if = "is_default")]
    pub digests: WorkloadDigests,

    /// What becomes of tags that the destination has with other content.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overwrite: WorkloadOverwrite,

    /// Which platforms are mirrored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub platforms: WorkloadPlatforms,

    /// How often sources are checked: whole numbers with s, m, h, d or w, such as 30s, 5m, 1h30m or 1d. At least 10s.
    #[serde(default = "Frequency::default_text")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::frequency(),
        validation = shared_rules::frequency_minimum(),
        validation = shared_rules::frequency_maximum(),
    )]
    pub frequency: String,

    /// Only tags that have shown the same content for this long, such as 72h or 3d; at least 1m, at most 365d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = super::image::min_age("minAge"),
        validation = super::image::min_age_minimum("minAge"),
        validation = super::image::min_age_maximum("minAge"),
    )]
    pub min_age: Option<String>,

    /// Whether signatures, attestations and SBOMs go with the tags: None (the default), or All.
    #[serde(default, skip_serializing_if = "is_default")]
    pub referrers: Referrers,

    /// Set to true to change no Images and to start no more syncs of them; what runs is finished.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suspend: bool,

    /// How long an image is kept up to date that no workload names any more, such as 12h or 7d. Its tags in the
    /// registry stay.
    #[serde(default = "default_retention")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::duration("retention", "12h or 7d"),
        validation = shared_rules::duration_minimum("retention", 60, "1m"),
        validation = shared_rules::duration_maximum("retention", "5200 * 604800", "5200w"),
    )]
    pub retention: String,

    /// Active (the default) mirrors; Observe only asks both registries, and makes nothing anywhere; Plan only looks at
    /// workloads, and contacts no registry.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: WorkloadMode,

    /// How the registries are reached that images come from: the one written in full, then the longest, then the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub sources: Vec<MirrorSource>,

    /// Where images come from that pods cannot pull from the destination: the longest from first. Without one, what lies
    /// below the destination comes from Docker Hub.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub origins: Vec<WorkloadOrigin>,

    /// How much is mirrored at most. What is beyond is reported, and never left out in silence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: WorkloadLimits,

    /// Which program copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,

    /// What the Jobs of its Images have besides.
    #[serde(default, skip_serializing_if = "is_default")]
    pub job_template: JobTemplateSpec,
}

impl WorkloadMirrorSpec {
    /// Returns a spec that leaves everything else at its default.
    pub fn new(destination: WorkloadDestination) -> Self {
        Self {
            triggers: default_triggers(),
            namespaces: WorkloadNamespaces::default(),
            kinds: Vec::new(),
            exclude: WorkloadExclusions::default(),
            destination,
            digests: WorkloadDigests::default(),
            overwrite: WorkloadOverwrite::default(),
            platforms: WorkloadPlatforms::default(),
            frequency: Frequency::default_text(),
            min_age: None,
            referrers: Referrers::default(),
            suspend: false,
            retention: default_retention(),
            mode: WorkloadMode::default(),
            sources: Vec::new(),
            origins: Vec::new(),
            limits: WorkloadLimits::default(),
            engine: None,
            job_template: JobTemplateSpec::default(),
        }
    }

    /// Returns the fields that say when.
    pub fn recurrence(&self) -> RecurrenceRef<'_> {
        RecurrenceRef { frequency: &self.frequency, schedule: None, time_zone: None }
    }
}

fn default_triggers() -> Vec<WorkloadTrigger> {
    vec![WorkloadTrigger::Running]
}

fn default_retention() -> String {
    DEFAULT_RETENTION.to_owned()
}

/// What is done with what workloads use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadMode {
    /// It is mirrored.
    #[default]
    Active,
    /// Both registries are asked what they have of it; nothing is made, neither there nor here.
    Observe,
    /// No registry is contacted.
    Plan,
}

/// How much is mirrored at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadLimits {
    /// Different images.
    #[serde(default = "default_images")]
    #[schemars(range(min = 1, max = 50_000))]
    pub images: u32,

    /// Images that pods of one namespace could not pull, and that are copied in one hour.
    #[serde(default = "default_per_hour")]
    #[schemars(range(min = 1, max = 3600))]
    pub per_namespace_per_hour: u32,
}

impl Default for WorkloadLimits {
    fn default() -> Self {
        Self { images: default_images(), per_namespace_per_hour: default_per_hour() }
    }
}

fn default_images() -> u32 {
    5000
}

fn default_per_hour() -> u32 {
    60
}
