//! Statuses of objects of any kind, written in one request, and only if they say anything new.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api_error::ApiError;

/// The name under which the agent writes statuses.
pub const FIELD_MANAGER: &str = "imgop-agent";

/// A status with conditions, as all kinds have.
pub trait WithConditions: Clone + PartialEq + Serialize {
    /// Returns its conditions.
    fn conditions(&mut self) -> &mut Vec<Condition>;
}

/// Writes the status of an object if it says anything new; returns whether it was written. Only what the agent
/// writes is compared: a condition of another controller is no news. An object that was deleted meanwhile, or
/// whose name another one has, needs no status.
pub async fn write_status<K, S>(
    client: &Client,
    object: &K,
    old: Option<&S>,
    new: &S,
) -> Result<bool, ApiError>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
    S: WithConditions,
{
    let _ = (client, object, old, new);
    unimplemented!()
}
