//! Where the files of a build come from.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::is_default;
use crate::api::{Credentials, Tls};

/// Where the files come from that COPY and ADD take: git, a ConfigMap, or an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_context())]
pub struct Context {
    /// A commit of a git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitContext>,

    /// A ConfigMap in the same namespace: a file for each key of data and binaryData.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapContext>,

    /// The files of an image, or of its one layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageContext>,

    /// The folder that COPY and ADD see, and in which the Dockerfile is. No file outside it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::path("context.subPath", "services/api"))]
    pub sub_path: Option<String>,
}

/// A commit of a git repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::git_url())]
pub struct GitContext {
    /// The repository: `https://host/team/app.git`, `http://…` or `ssh://git@host/team/app.git`, without a
    /// password.
    #[schemars(length(max = 1024))]
    pub url: String,

    /// A branch, a tag, a commit, or a whole name such as refs/pull/7/head; the default branch without it.
    /// A tag goes before a branch of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = rules::git_revision())]
    pub revision: Option<String>,

    /// Fetch submodules too. credentials are sent to the host of url alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub submodules: bool,

    /// Fetch the content of files that Git LFS keeps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lfs: bool,

    /// How many commits are fetched, 1 without it; 0 for all.
    #[serde(default = "default_depth", skip_serializing_if = "is_default_depth")]
    pub depth: u32,

    /// A Secret of type kubernetes.io/basic-auth for http and https, or kubernetes.io/ssh-auth for ssh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<GitCredentials>,
}

/// Credentials for a git repository: a Secret in the namespace of the resource that names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCredentials {
    /// Name of a Secret of type kubernetes.io/basic-auth or kubernetes.io/ssh-auth in the same namespace.
    #[x_kube(validation = crate::api::rules::secret_name("context.git.credentials.secretName"))]
    #[schemars(length(max = 253))]
    pub secret_name: String,
}

/// A ConfigMap whose keys are files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapContext {
    /// Its name, in the same namespace.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::config_map_name("context.configMap.name"))]
    pub name: String,

    /// The keys to take, each with its path; all keys under their own names without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub items: Vec<ConfigMapItem>,
}

/// A key of a ConfigMap as a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapItem {
    /// The key.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::config_map_key("context.configMap.items.key"))]
    pub key: String,

    /// The path of the file.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::path("context.configMap.items.path", "conf.d/a"))]
    pub path: String,

    /// Its permissions, such as 0755 in YAML; 0644 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 511").message("context.configMap.items.mode must be from 0000 to 0777 (511)"))]
    pub mode: Option<u32>,
}

/// An image whose files are the context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageContext {
    /// The image, with a tag or a digest: registry.example.com/team/context:1.
    #[schemars(length(max = 384))]
    #[x_kube(validation = rules::image_reference("context.image.name"))]
    pub name: String,

    /// Credentials for its registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to its registry is secured.
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
}

fn default_depth() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields in by reference")]
fn is_default_depth(depth: &u32) -> bool {
    *depth == default_depth()
}

impl GitContext {
    /// Returns the default branch of a repository.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), depth: default_depth(), ..Self::default() }
    }
}
