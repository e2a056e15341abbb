//! What a build is given beside its files: arguments, secrets, and access to registries.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::rules as shared_rules;
use crate::api::{Credentials, EndpointRef, Tls};

/// A value for an ARG of the Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)").message("buildArgs must have either value or valueFrom; write value: \"\" for an empty text"))]
pub struct BuildArg {
    /// The name of the ARG.
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z_][A-Za-z0-9_]*$')").message("buildArgs.name must be letters, digits and _, and must not begin with a digit"))]
    pub name: String,

    /// Its value, which arrives byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub value: Option<String>,

    /// Where its value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<BuildArgSource>,
}

/// Where the value of a build argument is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapKeyRef)").message("buildArgs.valueFrom must have configMapKeyRef; a Secret would end in the image's history: name it in secrets and use RUN --mount=type=secret"))]
pub struct BuildArgSource {
    /// A key of a ConfigMap in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
}

/// A key of a ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// The name of the ConfigMap.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::config_map_name("buildArgs.valueFrom.configMapKeyRef.name"))]
    pub name: String,

    /// The key in it.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::config_map_key("buildArgs.valueFrom.configMapKeyRef.key"))]
    pub key: String,
}

/// A secret that a RUN of the Dockerfile may mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildSecret {
    /// The id that RUN --mount=type=secret,id=… names.
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._-]+$') && !(self in ['.', '..'])").message("secrets.id must be letters, digits, '.', '_' and '-', such as npm-token"))]
    pub id: String,

    /// The name of a Secret in the same namespace.
    #[schemars(length(max = 253))]
    #[x_kube(validation = shared_rules::secret_name("secrets.secretName"))]
    pub secret_name: String,

    /// The key in it; the same as id without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::config_map_key("secrets.key"))]
    pub key: Option<String>,
}

impl BuildSecret {
    /// Returns the key of the Secret.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.id)
    }
}

/// How a registry is reached that images are pulled from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRegistry {
    /// The registry, as references name it: quay.io, registry.example.com:5000, docker.io.
    #[schemars(length(max = 255))]
    #[x_kube(validation = rules::host())]
    pub host: String,

    /// Credentials for this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to this registry is secured.
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
}

impl PullRegistry {
    /// Returns how it is reached.
    pub fn endpoint(&self) -> EndpointRef<'_> {
        EndpointRef {
            name: &self.host,
            credentials: self.credentials.as_ref(),
            use_aws_irsa: false,
            tls: &self.tls,
        }
    }
}
