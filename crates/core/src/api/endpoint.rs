//! How a registry is reached, for sources and destinations alike.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Credentials for a registry: a Secret in the namespace of the resource that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Name of a Secret of type kubernetes.io/dockerconfigjson in the same namespace, as made by
    /// `kubectl create secret docker-registry`.
    #[x_kube(validation = rules::secret_name("credentials.secretName"))]
    #[schemars(length(max = 253))]
    pub secret_name: String,
}

/// How the connection to a registry is secured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.caSecretName) || !has(self.mode) || self.mode == 'Verify'")
    .message("tls.caSecretName goes with tls.mode Verify only; leave one of them out"))]
pub struct Tls {
    /// Verify (the default) checks the registry's certificate, SkipVerify takes any certificate,
    /// PlainHTTP uses no TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: TlsMode,

    /// Name of a Secret in the same namespace whose key ca.crt holds the certificates (PEM) to
    /// trust beside the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::secret_name("tls.caSecretName"))]
    #[schemars(length(max = 253))]
    pub ca_secret_name: Option<String>,
}

/// Whether a registry's certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// HTTPS; the certificate must be trusted.
    #[default]
    Verify,
    /// HTTPS; any certificate is taken.
    SkipVerify,
    /// HTTP.
    #[serde(rename = "PlainHTTP")]
    PlainHttp,
}

/// The key of a CA Secret that holds the certificates.
pub const CA_KEY: &str = "ca.crt";

impl Tls {
    /// Whether there is nothing to write down.
    pub fn is_default(&self) -> bool {
        self == &Self::default()
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    value == &T::default()
}
