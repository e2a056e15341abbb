//! What tests resolve endpoints with.

use imgop_core::api::RegistryAccess;
use imgop_registry::ecr::{EcrSettings, EcrTokens};
use kube::Client;

use super::{AccessResolver, Policies};
use crate::cluster::rights::Rights;
use crate::cluster::secrets::Secrets;
use crate::config::given_credentials::GivenCredentials;

/// The namespace of the agent.
pub const AGENT_NAMESPACE: &str = "imgop-system";

/// What an [`AccessResolver`] borrows.
pub struct Resolving {
    /// What administrators have granted.
    pub policies: Policies,
    given: Vec<GivenCredentials>,
    secrets: Secrets,
    rights: Rights,
    ecr: EcrTokens,
}

impl Resolving {
    /// Returns one in a cluster with these objects, without an identity of AWS.
    pub fn new(client: &Client, objects: &[RegistryAccess]) -> Self {
        let policies = Policies::new(client.clone());
        policies.show(objects);
        Self {
            policies,
            given: Vec::new(),
            secrets: Secrets::new(client.clone()),
            rights: Rights::new(client.clone(), String::new()),
            ecr: EcrTokens::new(EcrSettings::of_environment("test", |_| None)),
        }
    }

    /// Returns the same with credentials of the agent's own variables.
    pub fn given(self, given: Vec<GivenCredentials>) -> Self {
        Self { given, ..self }
    }

    /// Returns what resolves endpoints.
    pub fn resolver(&self) -> AccessResolver<'_> {
        AccessResolver {
            policies: &self.policies,
            agent_namespace: AGENT_NAMESPACE,
            given: &self.given,
            secrets: &self.secrets,
            rights: &self.rights,
            ecr: &self.ecr,
        }
    }
}
