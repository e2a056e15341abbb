//! `RegistryAccess`: what administrators lend for a registry, to which namespaces, and who may write where.
//!
//! Only whoever administers the cluster may write these: they are cluster-scoped, and their group is none of those
//! whose rights tenants hold. What they decide is in [`crate::access`].
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

mod namespace_selector;
mod rules;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::default_destination::DefaultDestination;
use super::endpoint::{TlsMode, is_default};
use super::repository_creation::ROLE_ARN;

pub use namespace_selector::{LabelOperator, LabelRequirement, NamespaceSelector};
pub use status::RegistryAccessStatus;

/// What an administrator lends for a registry, to which namespaces, and which namespaces may write there.
#[derive(Debug, Clone, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imgop.io",
    version = "v1alpha1",
    kind = "RegistryAccess",
    plural = "registryaccesses",
    doc = "What an administrator lends for a registry, to which namespaces, and which namespaces may write there.",
    status = "RegistryAccessStatus",
    derive = "PartialEq",
    printcolumn(name = "Hosts", type_ = "string", json_path = ".spec.hosts"),
    printcolumn(name = "Repositories", type_ = "string", json_path = ".spec.repositories"),
    printcolumn(name = "Actions", type_ = "string", json_path = ".spec.actions"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Secret", type_ = "string", json_path = ".spec.secretName", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::aliases_of_one_host(),
    validation = rules::one_credential(),
)]
pub struct RegistryAccessSpec {
    /// The registries, each a host with an optional port: registry.example.com, *.example.com. A star stands for
    /// one or more labels, and only at the beginning. A host that is written in full goes before any star, a longer
    /// name behind a star before a shorter one.
    #[schemars(length(min = 1, max = 16), inner(length(max = 255)))]
    #[x_kube(validation = rules::hosts())]
    pub hosts: Vec<String>,

    /// Other names of the one registry in hosts: what is said of it is said of them, by every `RegistryAccess`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 255)))]
    #[x_kube(validation = rules::aliases())]
    pub aliases: Vec<String>,

    /// The repositories: a path that ends in a slash stands for all within it (team-a/), one that does not for
    /// this repository alone (team-a/app), and / for all of the registry. The longest that fits decides.
    #[schemars(length(min = 1, max = 64), inner(length(max = 255)))]
    #[x_kube(validation = rules::repositories())]
    pub repositories: Vec<String>,

    /// Pull lends what is below to sources and base images. Push lends it to destinations; besides, only the
    /// namespaces that are selected may write to these repositories, whatever credentials they have.
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(validation = rules::actions())]
    pub actions: Vec<RegistryAction>,

    /// The namespaces, by their labels. Without it there are none. Every namespace has the label
    /// kubernetes.io/metadata.name, which is its name and which nothing can change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,

    /// Name of a Secret in the agent's namespace, of type kubernetes.io/dockerconfigjson or
    /// kubernetes.io/basic-auth (username and password). It is lent to copies that name no credentials of their own, and
    /// to no build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::secret_name("secretName"))]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,

    /// How connections to these registries are secured, where a resource says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SharedTls>,

    /// Lends an AWS identity: what asks for it with useAwsIRSA gets tokens for Amazon ECR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<SharedAws>,

    /// Hosts that may be sent credentials of these registries to give tokens for them, beside those on the
    /// registry's own domain: auth.example.org for all its ports with TLS, or auth.example.org:8443 for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 255)))]
    #[x_kube(validation = rules::token_servers())]
    pub token_servers: Vec<String>,

    /// Ranges of addresses in which these registries and their token servers may be, beside those that the agent's
    /// settings allow: 10.0.0.0/8, 127.0.0.1/32. Addresses of metadata services are never reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[x_kube(validation = rules::addresses())]
    pub addresses: Vec<String>,

    /// Where images of the selected namespaces go that name no registry as their destination. It lends nothing and
    /// allows nothing. Two objects must not give one namespace different ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_destination: Option<DefaultDestination>,

    /// What the agent asks of each of these registries at most, for all namespaces together. Where several objects
    /// limit one registry, the smallest number holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RegistryLimits>,
}

/// What the agent asks of a registry at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::some_limit())]
pub struct RegistryLimits {
    /// How many of its own requests the agent sends to the registry at once, under all its names together. A number
    /// above the one of the agent's settings changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub concurrent_requests: Option<u32>,
}

/// What is done in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RegistryAction {
    /// To read.
    Pull,
    /// To write, and to read what is to be written over.
    Push,
}

/// How the connection to a registry is secured, as an administrator says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::certificates_to_verify())]
pub struct SharedTls {
    /// Verify (the default) checks the registry's certificate, SkipVerify takes any certificate,
    /// PlainHTTP uses no TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: TlsMode,

    /// Name of a Secret in the agent's namespace whose key ca.crt holds the certificates (PEM) to trust beside
    /// the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::secret_name("tls.caSecretName"))]
    #[schemars(length(max = 253))]
    pub ca_secret_name: Option<String>,
}

/// An AWS identity that is lent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::roles_that_create())]
pub struct SharedAws {
    /// Whose identity: Agent, the agent's own.
    pub identity: AwsIdentity,

    /// Whether the namespaces may have repositories created with it (destination.create), among those of this object.
    #[serde(default, skip_serializing_if = "is_default")]
    pub create_repositories: bool,

    /// Whether they may have the policies of repositories changed that were not created for them (create.adopt). Whoever
    /// writes a lifecycle policy can have images deleted, and whoever writes an access policy can have them read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub adopt_repositories: bool,

    /// The roles that it may assume for that, by their ARNs. Without one, it creates repositories as itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 600), pattern(ROLE_ARN)))]
    pub roles: Vec<String>,
}

/// Whose AWS identity is lent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AwsIdentity {
    /// The agent's own.
    #[default]
    Agent,
}

#[cfg(test)]
mod tests;
