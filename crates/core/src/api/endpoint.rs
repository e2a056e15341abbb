//! How a registry is reached, for sources and destinations alike.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::secret_name;

/// Which registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that images come from.
    Source,
    /// The one that images go to.
    Destination,
}

impl Side {
    /// Returns the field of a spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How one side of a spec is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointRef<'a> {
    /// The repository, as written in the spec.
    pub name: &'a str,
    /// The Secret with credentials that the spec names.
    pub credentials: Option<&'a Credentials>,
    /// Whether the credentials are those of the AWS identity of whoever asks.
    pub use_aws_irsa: bool,
    /// How the connection is secured.
    pub tls: &'a Tls,
}

/// Credentials for a registry: a Secret in the namespace of the resource that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Name of a Secret of type kubernetes.io/dockerconfigjson in the same namespace, as made by
    /// `kubectl create secret docker-registry`.
    #[x_kube(validation = secret_name("credentials.secretName"))]
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
    #[x_kube(validation = secret_name("tls.caSecretName"))]
    #[schemars(length(max = 253))]
    pub ca_secret_name: Option<String>,
}

/// Whether a registry's certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum TlsMode {
    /// HTTPS; the certificate must be trusted.
    #[default]
    #[cfg_attr(
        feature = "clap",
        value(name = "Verify", help = "HTTPS with a trusted certificate (the default)")
    )]
    Verify,
    /// HTTPS; any certificate is taken.
    #[cfg_attr(feature = "clap", value(name = "SkipVerify", help = "HTTPS with any certificate"))]
    SkipVerify,
    /// HTTP.
    #[serde(rename = "PlainHTTP")]
    #[cfg_attr(feature = "clap", value(name = "PlainHTTP", help = "HTTP"))]
    PlainHttp,
}

impl Tls {
    /// A connection that is secured as usual.
    pub const DEFAULT: Self = Self { mode: TlsMode::Verify, ca_secret_name: None };

    /// Whether there is nothing to write down.
    pub fn is_default(&self) -> bool {
        self == &Self::default()
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    value == &T::default()
}
