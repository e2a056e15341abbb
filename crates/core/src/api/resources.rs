//! What a container may use, in every kind's words.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::is_default;
use super::rules;

/// What a container may use and is promised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::request_within_limit("cpu"),
    validation = rules::request_within_limit("memory"),
    validation = rules::request_within_limit("ephemeral-storage"),
)]
pub struct Resources {
    /// The most that it may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Amounts,
    /// What it is promised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: Amounts,
}

/// Amounts of CPU, memory and disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "kebab-case")]
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
    /// Bytes on the node's disk, such as 2Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::amount("resources.limits.ephemeral-storage and resources.requests.ephemeral-storage", "2Gi"))]
    pub ephemeral_storage: Option<String>,
}

/// The resources that a spec names.
const NAMES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

impl Resources {
    /// Returns them as a container has them, every amount as it is written in the spec.
    ///
    /// image-operator wrote each amount into the wrong field of a quantity, so that all of them were 0.
    pub fn requirements(&self) -> ResourceRequirements {
        ResourceRequirements {
            limits: self.limits.quantities(),
            requests: self.requests.quantities(),
            ..ResourceRequirements::default()
        }
    }

    /// Returns these, with those of `fallback` for each resource of which these say nothing: neither limit nor
    /// request. A limit of one and a request of the other might not go together.
    #[must_use]
    pub fn or(self, fallback: &Self) -> Self {
        let mut all = self;
        for name in NAMES {
            let is_given = |side: &Amounts| side.get(name).is_some();
            if !is_given(&all.limits) && !is_given(&all.requests) {
                all.limits.set(name, fallback.limits.get(name).cloned());
                all.requests.set(name, fallback.requests.get(name).cloned());
            }
        }
        all
    }

    /// Returns limit and request of each resource, by its name.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, Option<&String>, Option<&String>)> {
        NAMES.into_iter().map(|name| (name, self.limits.get(name), self.requests.get(name)))
    }
}

impl Amounts {
    fn get(&self, name: &str) -> Option<&String> {
        match name {
            "cpu" => self.cpu.as_ref(),
            "memory" => self.memory.as_ref(),
            _ => self.ephemeral_storage.as_ref(),
        }
    }

    fn set(&mut self, name: &str, amount: Option<String>) {
        match name {
            "cpu" => self.cpu = amount,
            "memory" => self.memory = amount,
            _ => self.ephemeral_storage = amount,
        }
    }

    fn quantities(&self) -> Option<BTreeMap<String, Quantity>> {
        let given: BTreeMap<_, _> = NAMES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), Quantity(self.get(name)?.clone()))))
            .collect();
        (!given.is_empty()).then_some(given)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resources(json: serde_json::Value) -> Resources {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_says_anything_of_a_resource_says_all_of_it() {
        let fallback = resources(json!({
            "limits": { "memory": "512Mi", "ephemeral-storage": "2Gi" },
            "requests": { "cpu": "10m", "memory": "32Mi" },
        }));
        let or = |own: serde_json::Value| serde_json::to_value(resources(own).or(&fallback)).unwrap();
        assert_eq!(or(json!({})), serde_json::to_value(&fallback).unwrap());
        // A request of 32Mi would stay below the limit, and a limit of 512Mi would be below a request.
        assert_eq!(
            or(json!({ "limits": { "cpu": "1" }, "requests": { "memory": "1Gi" } })),
            json!({
                "limits": { "cpu": "1", "ephemeral-storage": "2Gi" },
                "requests": { "memory": "1Gi" },
            })
        );
    }

    #[test]
    fn amounts_are_written_as_containers_have_them() {
        let spec =
            json!({ "limits": { "cpu": "2", "ephemeral-storage": "4Gi" }, "requests": { "memory": "1Gi" } });
        assert_eq!(serde_json::to_value(resources(spec.clone()).requirements()).unwrap(), spec);
    }
}
