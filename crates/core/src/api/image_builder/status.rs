//! What the agent reports of an `ImageBuilder`. It is the only durable memory, and it is bounded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Format;
use crate::api::Phase;
use crate::api::endpoint::is_default;

/// What became of an ImageBuilder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageBuilderStatus {
    /// Ready, Reconciling and Stalled. Reconciling and Stalled are there only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// PENDING, RUNNING, COMPLETED or FAILED: what became of the last build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub phase: Option<Phase>,

    /// The number of the last build and what became of it, such as 12/RUNNING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// The last image that was built and tagged. It stays when later builds fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<BuiltImageStatus>,

    /// The parts of the last build, 8 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformStatus>,

    /// What the last build was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,

    /// The images that the last build was made from, 32 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_images: Vec<BaseImageStatus>,

    /// A hash of all that the last build was made from: another one means another build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,

    /// Where the last build's image goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationStatus>,

    /// A hash of names and versions of the Secrets that the last build began with: after a failure, another one means
    /// another try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,

    /// The build that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<RunningBuild>,

    /// The last 20 builds, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<BuildRecord>,

    /// When the last build began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_build_time: Option<Time>,

    /// When the last build ended after which every tag showed the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_build_time: Option<Time>,

    /// When the agent builds again, after a failure or because of minInterval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_build_time: Option<Time>,

    /// The last token of the annotation imgop.skopeo.io/requested-at that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_requested_at: Option<String>,

    /// The last value of the annotation imgop.skopeo.io/reset that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reset: Option<String>,

    /// Whether a build that was requested was not able to begin yet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub request_pending: bool,

    /// The last token of the annotation imgop.skopeo.io/cancel-requested-at that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_cancel_requested_at: Option<String>,

    /// What the last build was not able to keep or to use, 10 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,

    /// Whether the image is at the registry under all its tags.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pushed: bool,

    /// The last 16 Jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran_jobs: Vec<String>,

    /// The generation of the spec that was last built.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_generation_seen: i64,
}

/// An image that was built and tagged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuiltImageStatus {
    /// Its digest: of the index where there are several platforms.
    pub digest: String,
    /// The repository that it was pushed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tags that show it, as whole references where they are in another repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Tags in other repositories that were set to an earlier image and do not show this one yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_tags: Vec<String>,
    /// Bytes of its layers, compressed, of all platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// When it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_at: Option<Time>,
}

/// Where the image of a build goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationStatus {
    /// The repository that its parts are pushed to.
    pub repository: String,
    /// A hash of all its tags: another one means that tags are to be set.
    pub tags_digest: String,
    /// Where what spec.image does not say of it comes from: the RegistryAccess with the default destination of the
    /// namespace, or the agent's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults_from: Option<String>,
}

/// The part of a build that is of one platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformStatus {
    /// The platform.
    pub platform: String,
    /// Its manifest, once it is at the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// PENDING, RUNNING, BUILT or FAILED.
    #[schemars(with = "String")]
    pub state: PlatformState,
    /// Whether a node of another architecture emulates it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub emulated: bool,
    /// Why it failed, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The step that failed, with its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The last lines that it printed, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// How its pod stores layers, overlay or, where that is not possible, vfs, which takes more room and time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_driver: Option<String>,
    /// How often it was tried with the same inputs.
    #[serde(default)]
    pub attempts: u32,
    /// How many of these tries had a pod that did not start.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_started: u32,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Time>,
}

/// What became of a platform. An open list in the schema: agent, plugin and CRD may be of neighbouring versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PlatformState {
    /// It waits for room.
    #[default]
    Pending,
    /// Its Job runs.
    Running,
    /// It is at the registry, by digest.
    Built,
    /// It failed.
    Failed,
    /// A word of another version of the agent.
    #[serde(other)]
    Unknown,
}

/// What a build was made from, beside its base images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The revision that context.git names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The digest of the Dockerfile's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_digest: Option<String>,
    /// The digest of the ConfigMap's files, or of the image that is the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_digest: Option<String>,
    /// The digest of the values that buildArgs take from ConfigMaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments_digest: Option<String>,
}

/// An image that a build was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaseImageStatus {
    /// The reference, with all arguments replaced.
    pub reference: String,
    /// What it showed.
    pub digest: String,
}

/// A build that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningBuild {
    /// Its number; each build of an ImageBuilder has a higher one.
    pub number: u64,
    /// Why it was started.
    #[schemars(with = "String")]
    pub reason: BuildReason,
    /// What was new, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// When it was started.
    pub started_at: Time,
}

/// Why a build is started. An open list in the schema, as [`PlatformState`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BuildReason {
    /// Nothing was built yet.
    Created,
    /// The spec changed, or what it names but a context and base images.
    SpecChanged,
    /// A build was requested.
    Requested,
    /// The context has new content.
    SourceChanged,
    /// A tag that the Dockerfile builds on has new content.
    BaseImageMoved,
    /// A time of the schedule has come.
    Schedule,
    /// The last build failed in a way that may go differently.
    Retry,
    /// A tag no longer shows the image.
    TagLost,
    /// A word of another version of the agent.
    #[serde(other)]
    Unknown,
}

impl BuildReason {
    /// Returns the reason as the status has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::SpecChanged => "SpecChanged",
            Self::Requested => "Requested",
            Self::SourceChanged => "SourceChanged",
            Self::BaseImageMoved => "BaseImageMoved",
            Self::Schedule => "Schedule",
            Self::Retry => "Retry",
            Self::TagLost => "TagLost",
            Self::Unknown => "Unknown",
        }
    }
}

/// A build that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildRecord {
    /// Its number.
    pub number: u64,
    /// Why it was started.
    #[schemars(with = "String")]
    pub reason: BuildReason,
    /// What was new, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// How it ended.
    #[schemars(with = "String")]
    pub result: BuildResult,
    /// Why it failed, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it failed, for people, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// How long its phases took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<BuildDuration>,
}

/// How a build ended. An open list in the schema, as [`PlatformState`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BuildResult {
    /// The image is at the registry under its tags.
    Succeeded,
    /// It failed.
    Failed,
    /// A user ended it.
    Cancelled,
    /// A newer build took its place.
    Superseded,
    /// A word of another version of the agent.
    #[serde(other)]
    Unknown,
}

impl BuildResult {
    /// Returns the result as the status has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Superseded => "Superseded",
            Self::Unknown => "Unknown",
        }
    }
}

/// How long the phases of a build took, in seconds; of several platforms the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildDuration {
    /// Waiting for room and for the pod.
    #[serde(default)]
    pub queued: u32,
    /// Fetching the context.
    #[serde(default)]
    pub source: u32,
    /// Pulling base images.
    #[serde(default)]
    pub bases: u32,
    /// Running the Dockerfile.
    #[serde(default)]
    pub build: u32,
    /// Pushing the parts.
    #[serde(default)]
    pub push: u32,
    /// Writing the index and the tags.
    #[serde(default)]
    pub publish: u32,
}
