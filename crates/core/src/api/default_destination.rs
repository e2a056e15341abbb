//! Where images of a namespace go that say nothing else.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Credentials, Tls, is_default};
use super::rules;

/// Where images of a namespace go that name no registry as their destination, and how it is reached. What a resource
/// says itself goes before each of these fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::credentials_or_aws("defaultDestination"))]
pub struct DefaultDestination {
    /// A registry, with or without the beginning of a path: registry.example.com/mirror/{namespace}. {namespace} stands for
    /// the name of the namespace. What quay.io/argoproj/argocd is copied to is then
    /// registry.example.com/mirror/team-a/argoproj/argocd in the namespace team-a.
    #[schemars(length(max = 255))]
    #[x_kube(validation = rules::destination_prefix())]
    pub prefix: String,

    /// Credentials for this registry: a Secret in the namespace of the resource, not in the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// Take credentials from AWS (IRSA or pod identity), as if each resource said useAwsIRSA.
    #[serde(default, rename = "useAwsIRSA", skip_serializing_if = "is_default")]
    pub use_aws_irsa: bool,

    /// How the connection to this registry is secured. The Secret with certificates is one in the namespace of the
    /// resource too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Where images go of whose destination the spec does not say everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultedDestination {
    /// The repository.
    pub repository: String,
    /// Where the rest comes from: the RegistryAccess with the default destination of the namespace, or the agent's setting.
    pub defaults_from: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_needs_no_more_than_a_prefix() {
        let least: DefaultDestination =
            serde_json::from_value(serde_json::json!({ "prefix": "registry.example.com" })).unwrap();
        assert_eq!(least, DefaultDestination { prefix: "registry.example.com".into(), ..Default::default() });
        assert_eq!(
            serde_json::to_value(&least).unwrap(),
            serde_json::json!({ "prefix": "registry.example.com" })
        );
    }
}
