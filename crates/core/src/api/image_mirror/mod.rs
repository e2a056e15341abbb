//! `ImageMirror`: an inventory of repositories, and where each of them goes.
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Credentials, Tls, is_default};
use super::engine::Engine;
use super::job_template::JobTemplateSpec;
use super::repository_creation::{RepositoryCreation, creation_without_credentials};
use super::rules as shared_rules;
use super::schedule::Frequency;
use super::{Overwrite, Publish, Referrers};

mod chart_updates;
mod entry;
mod rules;
mod status;
mod updates;

pub use chart_updates::{ChartEnvironment, ChartSource, ChartTier, HelmChartSource};
pub use entry::{ConfigMapFile, InventoryFile, InventoryFormat, MirrorEntry, MirrorNaming, NamingRule};
pub use status::{
    FailedUpdate, ImageMirrorStatus, InventoryRead, MAX_NAMED_IN_STATUS, MirrorConflict, MirrorFailure,
    MirrorProposals, MirrorTags, MirroredChildren,
};

pub use updates::{
    GithubFileSource, GithubReleaseSource, GithubReleases, MirrorUpdate, RegistryTagsSource, TakenTags,
    UpdateMode, UpdateSource, UpdatedEntry,
};

/// An inventory: repositories with their tags, and the repositories that they are mirrored to.
#[derive(Debug, Clone, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "skopeo.io",
    version = "v1alpha1",
    kind = "ImageMirror",
    namespaced,
    doc = "An inventory: repositories with their tags, and the repositories that they are mirrored to, each by an Image of its own.",
    status = "ImageMirrorStatus",
    derive = "PartialEq",
    shortname = "simirror",
    category = "imgop",
    printcolumn(name = "Entries", type_ = "integer", json_path = ".status.entries"),
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
#[x_kube(
    validation = rules::something_to_mirror(),
    validation = shared_rules::frequency_or_schedule(),
    validation = shared_rules::time_zone_of_a_schedule(),
)]
pub struct ImageMirrorSpec {
    /// Where images go to: what each destination begins with, such as docker.io/acme.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["repository"]))]
    pub targets: Vec<MirrorTarget>,

    /// What is mirrored. Their order means nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    pub entries: Vec<MirrorEntry>,

    /// Files with further entries, in ConfigMaps of the same namespace. One that cannot be read, or says what cannot be
    /// used, changes nothing at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub from: Vec<InventoryFile>,

    /// How repositories are named at their targets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub naming: MirrorNaming,

    /// How the registries are reached that images come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub sources: Vec<MirrorSource>,

    /// Missing (the default) copies what a target lacks, and never replaces a tag there; Follow also replaces tags whose
    /// content changed at the source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync: MirrorSync,

    /// Tags, and patterns or ranges of entries, that are replaced when their content changes at the source although
    /// sync is Missing, such as latest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 128), pattern(rules::TAG_OR_VERSION)))]
    pub follow: Vec<String>,

    /// How often sources are checked, and files read again: whole numbers with s, m, h, d or w, such as 30s, 5m, 1h30m or
    /// 1d. At least 10s.
    #[serde(default = "Frequency::default_text")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::frequency(),
        validation = shared_rules::frequency_minimum(),
        validation = shared_rules::frequency_maximum(),
    )]
    pub frequency: String,

    /// At which times that happens, in place of frequency: cron's five fields, or one of @hourly, @daily, @weekly, @monthly
    /// and @yearly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = shared_rules::schedule())]
    pub schedule: Option<String>,

    /// The time zone of schedule, by its name in the IANA database, such as Europe/Berlin; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = shared_rules::time_zone())]
    pub time_zone: Option<String>,

    /// The platforms to take, as os/architecture or os/architecture/variant. Without one, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    #[x_kube(validation = shared_rules::platforms())]
    pub platforms: Vec<String>,

    /// Whether signatures, attestations and SBOMs go with the tags: None (the default), or All.
    #[serde(default, skip_serializing_if = "is_default")]
    pub referrers: Referrers,

    /// Only tags that have shown the same content for this long, such as 72h or 3d; at least 1m, at most 365d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = super::image::min_age("minAge"),
        validation = super::image::min_age_minimum("minAge"),
        validation = super::image::min_age_maximum("minAge"),
    )]
    pub min_age: Option<String>,

    /// Set to true to change no Images and to start no more syncs of them; what runs is finished.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suspend: bool,

    /// What becomes of an Image whose entry is gone: Children (the default) deletes it, Never keeps it. Its tags in the
    /// registry stay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prune: MirrorPrune,

    /// Where new versions are announced, and what becomes of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub updates: Vec<MirrorUpdate>,

    /// Which program copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,

    /// What the Jobs of its Images have besides, and those that render charts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub job_template: JobTemplateSpec,
}

/// A mirror without entries that leaves everything else at its default.
impl Default for ImageMirrorSpec {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            entries: Vec::new(),
            from: Vec::new(),
            naming: MirrorNaming::default(),
            sources: Vec::new(),
            sync: MirrorSync::default(),
            follow: Vec::new(),
            frequency: Frequency::default_text(),
            schedule: None,
            time_zone: None,
            platforms: Vec::new(),
            referrers: Referrers::default(),
            min_age: None,
            suspend: false,
            prune: MirrorPrune::default(),
            updates: Vec::new(),
            engine: None,
            job_template: JobTemplateSpec::default(),
        }
    }
}

/// What destinations begin with, and how their registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = shared_rules::credentials_or_aws("targets[]"),
    validation = creation_without_credentials("targets[]"),
)]
pub struct MirrorTarget {
    /// A registry with or without the beginning of a path, such as docker.io/acme or registry.example.com/mirror.
    #[schemars(length(min = 1, max = 255), pattern(rules::target_pattern()))]
    pub repository: String,

    /// Whether entries go here that name no targets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: bool,

    /// What to do with a tag that exists here with other content, whatever sync says: IfDifferent replaces it, IfMissing
    /// keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Overwrite>")]
    pub overwrite: Option<Overwrite>,

    /// How a tag is written: Staged (the default) pushes the content by digest and sets the tag last; Direct pushes to the
    /// tag, for registries that drop untagged content.
    #[serde(default, skip_serializing_if = "is_default")]
    pub publish: Publish,

    /// Take credentials from AWS (IRSA or pod identity) for this registry.
    #[serde(default, rename = "useAwsIRSA", skip_serializing_if = "is_default")]
    pub use_aws_irsa: bool,

    /// Credentials for this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to this registry is secured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Whether and how repositories are created here that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Box<RepositoryCreation>>,
}

/// How a registry is reached that images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = shared_rules::credentials_or_aws("sources[]"))]
pub struct MirrorSource {
    /// A registry with or without the beginning of a path, such as quay.io, quay.io/argoproj or *.corp.example. The longest
    /// that fits counts.
    #[schemars(length(min = 1, max = 255), pattern(shared_rules::registry_pattern()))]
    pub registry: String,

    /// Take credentials from AWS (IRSA or pod identity) for this registry.
    #[serde(default, rename = "useAwsIRSA", skip_serializing_if = "is_default")]
    pub use_aws_irsa: bool,

    /// Credentials for this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to this registry is secured.
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
}

/// Whether tags at a target are replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MirrorSync {
    /// What is missing is copied; no tag is replaced.
    #[default]
    Missing,
    /// Tags whose content changed at the source are replaced.
    Follow,
}

/// What becomes of an Image whose entry is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MirrorPrune {
    /// It is deleted.
    #[default]
    Children,
    /// It stays.
    Never,
}
