//! Layers of earlier builds.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::Credentials;
use crate::api::endpoint::is_default;
use crate::api::rules as shared_rules;

/// Whether layers of earlier builds are used again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::cache_repository(),
    validation = rules::cache_volume(),
)]
pub struct Cache {
    /// None (the default) builds each step anew; Registry keeps a layer a step in repository. Volume, which is
    /// to keep them on a volume for each platform, is taken and has no effect yet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: CacheMode,

    /// The repository of mode Registry, without a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = shared_rules::repository("cache.repository", "registry.example.com/team/cache"))]
    pub repository: Option<String>,

    /// Credentials for repository alone: whatever a RUN does, it can use them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How old a layer may be that is used again, such as 7d; at least 1m, at most 365d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::duration("cache.ttl", "12h or 7d"),
        validation = shared_rules::duration_minimum("cache.ttl", 60, "1m"),
        validation = shared_rules::duration_maximum("cache.ttl", "365 * 86400", "365d"),
    )]
    pub ttl: Option<String>,

    /// The volume of mode Volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<CacheVolume>,
}

/// Where layers of earlier builds are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CacheMode {
    /// Nowhere.
    #[default]
    None,
    /// In a repository.
    Registry,
    /// On a volume.
    Volume,
}

/// The volume that layers are kept on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheVolume {
    /// How large it is for each platform, such as 20Gi.
    #[schemars(length(max = 32))]
    #[x_kube(validation = shared_rules::amount("cache.volume.size", "20Gi"))]
    pub size: String,

    /// The name of a StorageClass; the cluster's default without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')").message("cache.volume.storageClassName must be the name of a StorageClass"))]
    pub storage_class_name: Option<String>,
}
