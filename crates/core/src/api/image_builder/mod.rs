//! `ImageBuilder`: an image that is built in the cluster.
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::is_default;
use super::job_template::JobTemplateSpec;
use super::resources::Resources;
use super::rules as shared_rules;
use super::schedule::Frequency;

mod built_image;
mod cache;
mod context;
mod inputs;
pub(crate) mod rules;
mod status;
mod storage;

pub use built_image::{BuiltImage, Format};
pub use cache::{Cache, CacheMode, CacheVolume};
pub use context::{ConfigMapContext, ConfigMapItem, Context, GitContext, GitCredentials, ImageContext};
pub use inputs::{BuildArg, BuildArgSource, BuildSecret, ConfigMapKeyRef, PullRegistry};
pub use status::{
    BaseImageStatus, BuildDuration, BuildReason, BuildRecord, BuildResult, BuiltImageStatus,
    DestinationStatus, ImageBuilderStatus, PlatformState, PlatformStatus, RunningBuild, SourceStatus,
};
pub use storage::{Storage, StorageMedium};

/// An image that is built from a Dockerfile, for one architecture or several, and pushed to a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "buildah.io",
    version = "v1alpha1",
    kind = "ImageBuilder",
    namespaced,
    doc = "An image that is built from a Dockerfile, for one architecture or several, and pushed to a registry.",
    status = "ImageBuilderStatus",
    derive = "PartialEq",
    shortname = "imgb",
    category = "imgop",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.image.version"),
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
    printcolumn(name = "Build", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Last-Build", type_ = "date", json_path = ".status.lastBuildTime"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image.name", priority = 1),
    printcolumn(name = "Commit", type_ = "string", json_path = ".status.source.commit", priority = 1),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.image.digest", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::architecture_or_platforms(),
    validation = rules::something_to_build(),
    validation = rules::source_or_dockerfile(),
    validation = rules::dockerfile_needs_a_context(),
    validation = rules::annotations_need_oci(),
    validation = rules::source_timestamp_needs_git(),
    validation = rules::watched_source_needs_a_context(),
    validation = shared_rules::frequency_or_schedule(),
    validation = shared_rules::time_zone_of_a_schedule(),
)]
pub struct ImageBuilderSpec {
    /// The architectures to build for: arm64, amd64, or both. Either this or platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,

    /// The platforms to build for, as os/architecture or os/architecture/variant: linux/amd64, linux/arm/v7.
    /// Either this or architecture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 64)))]
    #[x_kube(validation = shared_rules::platforms())]
    pub platforms: Vec<String>,

    /// The image that is built, and where it goes.
    pub image: BuiltImage,

    /// The text of a Dockerfile, with a context or without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self != ''").message("source must not be empty; give the text of a Dockerfile, or leave it out and give a context"))]
    pub source: Option<String>,

    /// The path of the Dockerfile in the context. Without it, and without source, Dockerfile and then
    /// Containerfile are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::path("dockerfile", "build/Dockerfile"))]
    pub dockerfile: Option<String>,

    /// Where the files come from that COPY and ADD take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,

    /// The stage to build, by its name or number; the last one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::target())]
    pub target: Option<String>,

    /// Values for the ARGs of the Dockerfile. They end in the image's history: what is secret goes into secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub build_args: Vec<BuildArg>,

    /// Secrets for RUN --mount=type=secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub secrets: Vec<BuildSecret>,

    /// How the registries are reached that FROM and COPY --from name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host"]))]
    pub registries: Vec<PullRegistry>,

    /// Whether layers of earlier builds are used again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: Cache,

    /// What starts a build by itself beside a change of the spec: Source, when the branch or the tag of
    /// context.git, the ConfigMap or the tag of context.image has new content; BaseImage, when a tag that
    /// the Dockerfile builds on has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub rebuild_on: Vec<RebuildOn>,

    /// How often it is checked whether what rebuildOn names has changed: whole numbers with s, m, h, d or w,
    /// such as 30s, 5m, 1h30m or 1d. At least 10s.
    #[serde(default = "Frequency::default_text")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::frequency(),
        validation = shared_rules::frequency_minimum(),
        validation = shared_rules::frequency_maximum(),
    )]
    pub frequency: String,

    /// At which times a build begins, or, where rebuildOn names something, it is checked whether that has changed,
    /// in place of frequency: cron's five fields (minute, hour, day of the month, month, day of the week), such as
    /// 0 3 * * * or 30 22 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = shared_rules::schedule())]
    pub schedule: Option<String>,

    /// The time zone of schedule, by its name in the IANA database, such as Europe/Berlin; UTC without it. A time that the
    /// clock skips comes right after the gap, one that it shows twice comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = shared_rules::time_zone())]
    pub time_zone: Option<String>,

    /// The least time between the starts of two builds that rebuildOn or schedule starts, such as 5m or 1d; at least 10s,
    /// at most 365d. A changed spec and a requested build do not wait.
    #[serde(default = "default_min_interval")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::duration("minInterval", "30s, 5m or 1d"),
        validation = shared_rules::duration_minimum("minInterval", 10, "10s"),
        validation = shared_rules::duration_maximum("minInterval", "365 * 86400", "365d"),
    )]
    pub min_interval: String,

    /// Set to true to start no more builds; what runs is finished.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suspend: bool,

    /// What happens when something changes during a build: Replace (the default) ends it for the newer one,
    /// Forbid finishes it first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub concurrency_policy: ConcurrencyPolicy,

    /// How long a build may take for one platform, such as 30m or 2h; at least 10s, at most 7d.
    #[serde(default = "default_timeout")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::duration("timeout", "30m or 2h"),
        validation = shared_rules::duration_minimum("timeout", 10, "10s"),
        validation = shared_rules::duration_maximum("timeout", "7 * 86400", "7d"),
    )]
    pub timeout: String,

    /// How often a build is tried again whose RUN failed, 5 at most. What may end differently with the same
    /// inputs (networks, nodes, registries) is tried again in any case.
    #[serde(default, skip_serializing_if = "is_default")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 5").message("retries must be from 0 to 5"))]
    pub retries: u32,

    /// How many finished Jobs of successful builds are kept, with their logs.
    #[serde(default = "default_successful_limit")]
    #[x_kube(validation = rules::history_limit("successfulBuildsHistoryLimit"))]
    pub successful_builds_history_limit: u32,

    /// How many finished Jobs of failed builds are kept, with their logs.
    #[serde(default = "default_failed_limit")]
    #[x_kube(validation = rules::history_limit("failedBuildsHistoryLimit"))]
    pub failed_builds_history_limit: u32,

    /// What the container that builds may use and is promised; it goes before what jobTemplate says of the same
    /// resource.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resources: Resources,

    /// What its Jobs have besides: where they run, with which priority, for how long.
    #[serde(default, skip_serializing_if = "is_default")]
    pub job_template: JobTemplateSpec,

    /// Where layers lie during a build.
    #[serde(default, skip_serializing_if = "is_default")]
    pub storage: Storage,
}

impl ImageBuilderSpec {
    /// A spec that leaves everything else at its default.
    pub fn new(image: BuiltImage) -> Self {
        Self {
            image,
            frequency: Frequency::default_text(),
            min_interval: default_min_interval(),
            timeout: default_timeout(),
            successful_builds_history_limit: default_successful_limit(),
            failed_builds_history_limit: default_failed_limit(),
            ..Self::default()
        }
    }
}

/// The architectures that an image is built for, in image-operator's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// linux/arm64.
    Arm64,
    /// linux/amd64.
    Amd64,
    /// linux/amd64 and linux/arm64.
    Both,
}

/// What starts a build by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RebuildOn {
    /// New content of the context.
    Source,
    /// New content of a tag that the Dockerfile builds on.
    BaseImage,
}

/// What happens when something changes during a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// The build is ended, and a newer one begins.
    #[default]
    Replace,
    /// The build is finished first.
    Forbid,
}

fn default_min_interval() -> String {
    "5m".to_owned()
}

fn default_timeout() -> String {
    "1h".to_owned()
}

fn default_successful_limit() -> u32 {
    1
}

fn default_failed_limit() -> u32 {
    3
}

#[cfg(test)]
mod tests;
