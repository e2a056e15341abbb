//! What tests resolve endpoints with.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use imgop_core::api::RegistryAccess;
use imgop_fakes::FakeAws;
use imgop_registry::ecr::{EcrSettings, EcrTokens};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

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

/// A registry of ECR that nothing listens at.
pub const ECR: &str = "222222222222.dkr.ecr.ap-southeast-2.amazonaws.com";

/// Starts an AWS, and returns what reaches it.
pub async fn fake_aws() -> (FakeAws, EcrSettings) {
    let aws = FakeAws::start(Timestamp::now() + Duration::from_hours(12)).await;
    let credentials = || Credentials::new("AKIASTATIC", "static-secret", None, None, "test");
    let settings = EcrSettings {
        system_proxy: false,
        endpoint: Some(aws.address()),
        chain: Arc::new(move |loader| loader.credentials_provider(credentials())),
        ..EcrSettings::of_environment("test", |_| None)
    };
    (aws, settings)
}

/// What lends an identity of AWS to namespaces of team a, to push below `mirror/` of [`ECR`].
pub fn lent_ecr(aws: &Value) -> RegistryAccess {
    let spec = json!({ "hosts": [ECR], "repositories": ["mirror/"], "actions": ["Push"], "aws": aws,
        "namespaceSelector": { "matchLabels": { "team": "a" } } });
    RegistryAccess::new("ecr", serde_json::from_value(spec).unwrap())
}
