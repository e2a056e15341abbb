//! The image that is built, and where it goes.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::is_default;
use crate::api::repository_creation::{RepositoryCreation, creation_without_credentials};
use crate::api::rules as shared_rules;
use crate::api::{Credentials, EndpointRef, Publish, Tls};

/// The image that is built, and where it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = creation_without_credentials("image"))]
pub struct BuiltImage {
    /// The repository, without a tag: registry.example.com/team/app. Without a registry it is below the default
    /// destination of the namespace where an administrator has set one (write docker.io/… for Docker Hub).
    #[schemars(length(max = 255))]
    #[x_kube(
        validation = Rule::new("self != ''").message("image.name must not be empty; give a repository such as registry.example.com/team/app"),
        validation = shared_rules::repository("image.name", "registry.example.com/team/app"),
    )]
    pub name: String,

    /// The tag. It is set when all platforms are built, and is an index if there are several.
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::tag("image.version"))]
    pub version: String,

    /// More tags for the same image, or other repositories of the same registry with a tag or without
    /// (then with version). They are set after version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 384)))]
    #[x_kube(validation = rules::additional_tags())]
    pub additional_tags: Vec<String>,

    /// Take credentials from AWS (IRSA or pod identity) for this registry.
    #[serde(default, rename = "useAwsIRSA", skip_serializing_if = "is_default")]
    pub use_aws_irsa: bool,

    /// Credentials for this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to this registry is secured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Whether a repository is created that the registry does not have: that of name, and those of additionalTags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Box<RepositoryCreation>>,

    /// How a tag is written: Staged (the default) pushes the content by digest and sets the tag last. Direct
    /// is taken and has no effect: what is built is always pushed by digest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub publish: Publish,

    /// Labels of the image, beside those of the Dockerfile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::texts")]
    #[x_kube(validation = rules::labels())]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the manifest. Only images of the format OCI have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::texts")]
    #[x_kube(validation = Rule::new("self.all(key, key != '')").message("image.annotations must have no empty key; give it a name or leave it out"))]
    pub annotations: BTreeMap<String, String>,

    /// Docker or OCI. Without it Docker, which keeps HEALTHCHECK, ONBUILD and SHELL; OCI where annotations or
    /// a timestamp are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,

    /// The time that the image and its files bear: Zero, SourceTimestamp (that of the commit), BuildTimestamp,
    /// or seconds since 1970 in quotes. With Zero, SourceTimestamp or seconds the same inputs give the same
    /// digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::timestamp())]
    pub timestamp: Option<String>,
}

impl BuiltImage {
    /// Returns an image that leaves everything else at its default.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), ..Self::default() }
    }

    /// Returns how its registry is reached.
    pub fn endpoint(&self) -> EndpointRef<'_> {
        EndpointRef {
            name: &self.name,
            credentials: self.credentials.as_ref(),
            use_aws_irsa: self.use_aws_irsa,
            tls: self.tls.as_ref().unwrap_or(&Tls::DEFAULT),
        }
    }
}

/// The format of an image's manifest and configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Format {
    /// Docker's v2 schema 2: has HEALTHCHECK, ONBUILD and SHELL, and no annotations.
    Docker,
    /// OCI's: has annotations, and no HEALTHCHECK, ONBUILD and SHELL.
    #[serde(rename = "OCI")]
    Oci,
}
