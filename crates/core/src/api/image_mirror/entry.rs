//! What an `ImageMirror` mirrors, and how it is named at its targets.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::is_default;

/// A repository with tags that are mirrored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorEntry {
    /// The repository that images come from, without a tag: quay.io/argoproj/argocd.
    #[schemars(length(min = 1, max = 255), pattern(rules::source_pattern()))]
    pub source: String,

    /// Tags (v2.13.1), tags of one content (v2.13.1@sha256:…), digests (mirrored under the tag pin-sha256-… then), patterns
    /// (v2.13.x) and ranges (>=2.13 <2.15).
    #[schemars(length(min = 1, max = 1000), inner(length(max = 200), pattern(rules::TAG_OR_VERSION)))]
    pub tags: Vec<String>,

    /// Tags of this entry that are not mirrored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 128), pattern(rules::TAG)))]
    pub excluded_tags: Vec<String>,

    /// Whether nothing of this entry is mirrored; it is kept for the record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub excluded: bool,

    /// The name at the targets, in place of what naming makes of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), pattern(rules::NAME))]
    pub target_name: Option<String>,

    /// The targets that it goes to, and no others. Without one, those that are the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 255)))]
    pub targets: Vec<String>,
}

/// A file with further entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryFile {
    /// Where it is.
    pub config_map: ConfigMapFile,

    /// Whose file it is: Rancher (config.yaml of artifact-mirror or image-mirror), ImagesList, Regsync, SkopeoSync or
    /// Dregsy.
    pub format: InventoryFormat,
}

/// A key of a ConfigMap in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapFile {
    /// The name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), pattern("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,

    /// The key that holds the text, such as config.yaml.
    #[schemars(length(min = 1, max = 253), pattern("^[A-Za-z0-9._-]+$"))]
    pub key: String,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum InventoryFormat {
    /// `config.yaml` of rancher/artifact-mirror, in both of its schemas.
    #[cfg_attr(
        feature = "clap",
        value(name = "rancher", help = "config.yaml of artifact-mirror or image-mirror")
    )]
    Rancher,
    /// `images-list`: source, target and tag in each line.
    #[cfg_attr(feature = "clap", value(name = "images-list", help = "Lines of source, target and tag"))]
    ImagesList,
    /// `regsync.yaml` of regclient.
    #[cfg_attr(feature = "clap", value(name = "regsync", help = "regsync.yaml of regclient"))]
    Regsync,
    /// The YAML of `skopeo sync`.
    #[cfg_attr(feature = "clap", value(name = "skopeo-sync", help = "The YAML of skopeo sync"))]
    SkopeoSync,
    /// The configuration of dregsy.
    #[cfg_attr(feature = "clap", value(name = "dregsy", help = "The configuration of dregsy"))]
    Dregsy,
}

/// How repositories are named at their targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorNaming {
    /// What the name is made of: {org} and {name}, the last two parts of the source as it is written; {registry} and
    /// {path}, its registry and its whole path. mirrored-{org}-{name} without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), pattern(rules::TEMPLATE))]
    pub template: Option<String>,

    /// Other templates for some registries. Without one, appco-{name} for dp.apps.rancher.io.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub rules: Vec<NamingRule>,
}

/// How repositories of a registry are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamingRule {
    /// The registry as sources name it.
    #[schemars(length(min = 1, max = 255), pattern(rules::host()))]
    pub registry: String,

    /// What the name is made of, as in naming.template.
    #[schemars(length(min = 1, max = 128), pattern(rules::TEMPLATE))]
    pub template: String,
}
