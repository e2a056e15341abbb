//! Where an image goes to, and how it gets there.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::{Credentials, Tls, is_default};
use crate::api::repository_creation::{RepositoryCreation, creation_without_credentials};
use crate::api::rules as shared_rules;

/// Where an image goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = creation_without_credentials("destination"))]
pub struct Destination {
    /// The repository, without a tag: registry.example.com/argoproj/argocd. Where an administrator has set a default
    /// destination for the namespace, it may be left out (then it has the path of source.name there), or without a
    /// registry (then it has this path there; write docker.io/… for Docker Hub).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 255))]
    #[x_kube(
        validation = Rule::new("self != ''").message("destination.name must not be empty; give a repository such as registry.example.com/argoproj/argocd, or leave the field out where an administrator has set a default destination for the namespace"),
        validation = shared_rules::repository("destination.name", "registry.example.com/argoproj/argocd"),
    )]
    pub name: String,

    /// The tag to write. Empty, or the same pattern as source.version, keeps each tag; {tag} in it
    /// stands for the source's tag; a fixed tag is allowed where source.version is one tag or a digest, and
    /// not for source.tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::destination_version())]
    pub version: Option<String>,

    /// What to do with a tag that exists here with other content: IfDifferent (the default)
    /// replaces it, IfMissing keeps it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overwrite: Overwrite,

    /// How a tag is written: Staged (the default) pushes the content by digest and sets the tag
    /// last; Direct pushes to the tag, for registries that drop untagged content.
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

    /// Whether and how the repository is created where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Box<RepositoryCreation>>,

    /// Which tags are deleted here that this Image has put and no longer selects. Without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Box<Prune>>,
}

impl Destination {
    /// Returns a destination that leaves everything else at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What happens to a tag that exists at the destination with other content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Overwrite {
    /// It is replaced.
    #[default]
    #[cfg_attr(feature = "clap", value(name = "IfDifferent", help = "Replace it (the default)"))]
    IfDifferent,
    /// It stays as it is.
    #[cfg_attr(feature = "clap", value(name = "IfMissing", help = "Keep it"))]
    IfMissing,
}

/// How a tag is written at the destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Publish {
    /// Content by digest first, by the Job; the tag last, by the agent.
    #[default]
    #[cfg_attr(
        feature = "clap",
        value(name = "Staged", help = "First the content by digest, then the tag (the default)")
    )]
    Staged,
    /// The Job pushes to the tag.
    #[cfg_attr(
        feature = "clap",
        value(name = "Direct", help = "Directly by tag, for registries that delete untagged content")
    )]
    Direct,
}

impl Publish {
    /// Returns the word that stands for it in a spec, and on Jobs and in statuses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "Staged",
            Self::Direct => "Direct",
        }
    }
}

/// Which tags are deleted at the destination: those that this Image has put since prune is set, and no longer selects,
/// although the source still has them, and that show what it has put. Tags that only the destination has, that other Images
/// or ImageBuilders may put, or that are named after a content stay, and no content is deleted by its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prune {
    /// DryRun (the default) says in the status what Delete would delete; Delete deletes it, a few at each sync.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: PrunePolicy,

    /// How many of the newest versions among them stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub keep: Option<u32>,

    /// How long a tag must have been no longer selected, such as 72h or 30d; at least 1h, at most 365d; 7d without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::duration("destination.prune.minAge", "72h or 30d"),
        validation = shared_rules::duration_minimum("destination.prune.minAge", 3600, "1h"),
        validation = shared_rules::duration_maximum("destination.prune.minAge", "365 * 86400", "365d"),
    )]
    pub min_age: Option<String>,
}

/// Whether tags are deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PrunePolicy {
    /// It is only said which.
    #[default]
    DryRun,
    /// They are.
    Delete,
}
