//! Where the layers of a build lie.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::endpoint::is_default;
use crate::api::rules::amount;

/// Where layers lie during a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// How much there may be, such as 50Gi; 20Gi without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = amount("storage.sizeLimit", "20Gi"))]
    pub size_limit: Option<String>,

    /// Empty for the node's disk; Memory for its memory, which then counts as the container's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub medium: StorageMedium,
}

/// What layers lie on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StorageMedium {
    /// The node's disk.
    #[default]
    #[serde(rename = "")]
    Disk,
    /// The node's memory.
    Memory,
}
