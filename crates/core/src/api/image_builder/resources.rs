//! What a build may use.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::is_default;

/// What the container that builds may use and is promised, as of any container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// The most that it may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Amounts,
    /// What it is promised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: Amounts,
}

/// Amounts of CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// CPUs, such as 500m or "2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::amount("resources.limits.cpu and resources.requests.cpu", "500m or 2"))]
    pub cpu: Option<String>,
    /// Bytes of memory, such as 512Mi or 8Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::amount("resources.limits.memory and resources.requests.memory", "512Mi or 8Gi"))]
    pub memory: Option<String>,
}

impl Resources {
    /// Returns them as a container has them, every amount as it is written in the spec.
    ///
    /// image-operator wrote each amount into the wrong field of a quantity, so that all of them were 0
    /// (seed bug B12).
    pub fn requirements(&self) -> ResourceRequirements {
        ResourceRequirements {
            limits: self.limits.quantities(),
            requests: self.requests.quantities(),
            ..ResourceRequirements::default()
        }
    }
}

impl Amounts {
    fn quantities(&self) -> Option<BTreeMap<String, Quantity>> {
        let amounts = [("cpu", &self.cpu), ("memory", &self.memory)].into_iter();
        let given: BTreeMap<_, _> =
            amounts.filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount.clone()?)))).collect();
        (!given.is_empty()).then_some(given)
    }
}

/// Where layers lie during a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// How much there may be, such as 50Gi; 20Gi without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::amount("storage.sizeLimit", "20Gi"))]
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
