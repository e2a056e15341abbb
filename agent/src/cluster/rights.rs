//! What an administrator allows the agent in a namespace, asked of the API server.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;

use super::Freshness;
use super::api_error::ApiError;
use super::reviews::{DeniedTtl, Reviews, attributes};

/// How long it is believed that a right is lacking: who enables a namespace should not wait.
const DENIED_TTL: DeniedTtl = DeniedTtl { first: Duration::from_secs(20), max: Duration::from_secs(20) };
/// How many answers are cached.
const MAX_CACHED: usize = 10_000;

/// Something that RBAC grants the agent in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Right {
    /// The verb.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, in the plural.
    pub resource: &'static str,
    /// What messages say that the verb is done to; the resource where nothing is said.
    pub done_to: Option<&'static str>,
    /// What grants it.
    pub role: Role,
}

/// A role that an administrator binds to the agent in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Role {
    /// The name of the `RoleBinding` that the advice names.
    pub binding: &'static str,
    /// The name of the `ClusterRole`.
    pub cluster_role: &'static str,
}

impl Role {
    /// To work with Jobs in a namespace, with Secrets or without.
    pub const JOBS: Self = Self { binding: "imgop-agent", cluster_role: "imgop-agent-namespace" };
    /// To read the Secrets that objects name, where that of Jobs was bound without it.
    pub const SECRETS: Self = Self { binding: "imgop-agent-secrets", cluster_role: "imgop-agent-secrets" };
    /// To use the agent's own AWS identity.
    pub const AWS: Self = Self { binding: "imgop-agent-aws", cluster_role: "imgop-agent-aws" };
    /// To run Jobs that use what administrators lend.
    pub const LENT: Self = Self { binding: "imgop-agent-lent", cluster_role: "imgop-agent-lent" };
    /// To see the pods and workloads of the cluster.
    pub const WORKLOADS: Self =
        Self { binding: "imgop-agent-workloads", cluster_role: "imgop-agent-workloads" };
}

impl Right {
    /// To create Jobs: what says that a namespace is enabled.
    pub const CREATE_JOBS: Self =
        Self { verb: "create", group: "batch", resource: "jobs", done_to: None, role: Role::JOBS };
    /// To delete Jobs whose pods do not start.
    pub const DELETE_JOBS: Self =
        Self { verb: "delete", group: "batch", resource: "jobs", done_to: None, role: Role::JOBS };
    /// To list the pods of Jobs.
    pub const LIST_PODS: Self =
        Self { verb: "list", group: "", resource: "pods", done_to: None, role: Role::JOBS };
    /// To watch the pods of Jobs.
    pub const WATCH_PODS: Self =
        Self { verb: "watch", group: "", resource: "pods", done_to: None, role: Role::JOBS };
    /// To read the Secrets that objects name.
    pub const GET_SECRETS: Self =
        Self { verb: "get", group: "", resource: "secrets", done_to: None, role: Role::SECRETS };
    /// To use the agent's own AWS identity. The verb is imgop's own, so that no role grants it by accident, as
    /// one may grant the right to write Secrets; and it is in a group in which tenants hold nothing, since whoever
    /// holds a right may bind a role with it.
    pub const USE_AWS: Self = Self {
        verb: "use-aws",
        group: "imgop.io",
        resource: "registryaccesses",
        done_to: None,
        role: Role::AWS,
    };

    /// To write the Secrets of Jobs that use what administrators lend.
    pub const CREATE_LENT_SECRETS: Self =
        Self { verb: "create", group: "", resource: "secrets", done_to: None, role: Role::LENT };

    /// All that work with Jobs in a namespace needs.
    pub const FOR_JOBS: [Self; 4] = [Self::CREATE_JOBS, Self::DELETE_JOBS, Self::LIST_PODS, Self::WATCH_PODS];
    /// The same for an object that names a Secret.
    pub const FOR_JOBS_WITH_SECRETS: [Self; 5] =
        [Self::CREATE_JOBS, Self::DELETE_JOBS, Self::LIST_PODS, Self::WATCH_PODS, Self::GET_SECRETS];
}

impl std::fmt::Display for Right {
    /// As in `may not list pods`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.done_to.unwrap_or(self.resource))
    }
}

/// A namespace, and a right in it.
type Key = (String, Right);

/// Answers whether the agent has a right in a namespace.
pub struct Rights {
    /// Namespace and name of the agent's service account, for advice.
    service_account: String,
    reviews: Reviews<Key>,
}

impl Rights {
    /// Returns one that asks through this client. `service_account` is `namespace:name`, for advice.
    pub fn new(client: Client, service_account: String) -> Self {
        Self { service_account, reviews: Reviews::new(client, DENIED_TTL, MAX_CACHED) }
    }

    /// Returns whether the agent has a right in a namespace. A right that it has is cached; the answer that it
    /// has not is asked for again after some seconds, and at once where `freshness` is not `Cached`.
    pub async fn may(&self, right: Right, namespace: &str, freshness: Freshness) -> Result<bool, ApiError> {
        let key = (namespace.to_owned(), right);
        if let Some(may) = self.reviews.known(&key)
            && (may || freshness == Freshness::Cached)
        {
            return Ok(may);
        }
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes(right, namespace)),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        self.reviews.ask(&key, &format!("the right to {right} in {namespace:?}"), &review).await
    }

    /// Returns the first of several rights that the agent lacks in a namespace.
    pub async fn missing(
        &self,
        rights: &[Right],
        namespace: &str,
        freshness: Freshness,
    ) -> Result<Option<Right>, ApiError> {
        for right in rights {
            if !self.may(*right, namespace, freshness).await? {
                return Ok(Some(*right));
            }
        }
        Ok(None)
    }

    /// Returns what an administrator does to grant a right in a namespace, or in all of them where that is empty: a
    /// command.
    pub fn how_to_grant(&self, right: Right, namespace: &str) -> String {
        let Role { binding, cluster_role } = right.role;
        let bind = match namespace {
            "" => format!("clusterrolebinding {binding}"),
            namespace => format!("rolebinding {binding} -n {namespace}"),
        };
        let account = &self.service_account;
        format!("to allow it: kubectl create {bind} --clusterrole={cluster_role} --serviceaccount={account}")
    }
}

#[cfg(test)]
mod tests;
