//! Where an `ImageMirror` learns of new versions, and what it does with them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chart_updates::HelmChartSource;
use super::rules;
use crate::api::endpoint::is_default;
use crate::api::rules as shared_rules;

/// How often version sources are looked at that say nothing of it: GitHub answers 60 requests an hour without a token.
const DEFAULT_FREQUENCY: &str = "6h";

/// A source of new versions, and the entries that receive them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorUpdate {
    /// Its name.
    #[schemars(length(min = 1, max = 63), pattern("^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"))]
    pub name: String,

    /// Where new versions are announced: one of its fields.
    pub from: UpdateSource,

    /// The entries that receive them. Without one, each entry whose source is found; githubRelease and registry
    /// need one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub entries: Vec<UpdatedEntry>,

    /// Propose (the default) only says in the status which tags are missing; Apply mirrors them too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: UpdateMode,

    /// How often the source is looked at: whole numbers with s, m, h, d or w. At least 1m.
    #[serde(default = "default_frequency")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::duration("updates[].frequency", "6h or 1d"),
        validation = shared_rules::duration_minimum("updates[].frequency", 60, "1m"),
        validation = shared_rules::duration_maximum("updates[].frequency", "365 * 86400", "365d"),
    )]
    pub frequency: String,
}

fn default_frequency() -> String {
    DEFAULT_FREQUENCY.to_owned()
}

/// What becomes of versions that are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum UpdateMode {
    /// They are reported.
    #[default]
    Propose,
    /// They are mirrored.
    Apply,
}

/// An entry that receives new versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdatedEntry {
    /// The source of the entry, as it writes it.
    #[schemars(length(min = 1, max = 255), pattern(rules::source_pattern()))]
    pub source: String,

    /// The targetName of the entry, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), pattern(rules::NAME))]
    pub target_name: Option<String>,
}

/// Where new versions are announced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_update_source())]
pub struct UpdateSource {
    /// The releases of a repository of GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_release: Option<GithubReleaseSource>,

    /// A file of a repository of GitHub with an image a line, at each release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_file: Option<GithubFileSource>,

    /// The tags of the first entry's repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryTagsSource>,

    /// The images that Helm charts use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_chart: Option<HelmChartSource>,
}

/// Releases of a repository of GitHub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubReleases {
    /// The user or organisation.
    #[schemars(length(min = 1, max = 100), pattern("^[A-Za-z0-9-]+$"))]
    pub owner: String,

    /// The repository.
    #[schemars(length(min = 1, max = 100), pattern("^[A-Za-z0-9._-]+$"))]
    pub repository: String,

    /// A regular expression that is looked for in each release's tag; its first group, or what it finds, is the image's tag
    /// where that is the release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub version_regex: Option<String>,

    /// Which versions count, such as >=1.2, <2 or ~1.4 || ^2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub version_constraint: Option<String>,

    /// A Secret of the namespace whose key token is sent to GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), pattern("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub token_secret_name: Option<String>,
}

/// The releases of a repository of GitHub: their tags are those of images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubReleaseSource {
    /// Which releases.
    #[serde(flatten)]
    pub releases: GithubReleases,

    /// Only the release that GitHub calls the latest; else all but drafts and pre-releases.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latest_only: bool,
}

/// A file of a repository of GitHub with an image a line, at each release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubFileSource {
    /// At which releases.
    #[serde(flatten)]
    pub releases: GithubReleases,

    /// The path of the file within the repository.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
}

/// The tags of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryTagsSource {
    /// A regular expression that is looked for in each tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub version_filter: Option<String>,

    /// Which of them are taken: All (the default), Latest (the newest version), LatestEntry (the last one pushed) or
    /// LatestRevision (of tags such as 2.1.0-1.10 the newest revision of each version).
    #[serde(default, skip_serializing_if = "is_default")]
    pub take: TakenTags,

    /// Whether each entry has the tags of its own repository; else all have those of the first one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub each: bool,
}

/// Which tags of a repository are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TakenTags {
    /// All of them.
    #[default]
    All,
    /// The newest version.
    Latest,
    /// The last one pushed.
    LatestEntry,
    /// The newest revision of each version.
    LatestRevision,
}
