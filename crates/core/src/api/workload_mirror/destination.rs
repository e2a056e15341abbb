//! Where a `WorkloadMirror` brings images, and which content they have there.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::{Credentials, Tls, is_default};
use crate::api::repository_creation::{RepositoryCreation, creation_without_credentials};
use crate::api::{Overwrite, Publish, rules as shared_rules};

/// The tag whose content changes by custom.
const LATEST: &str = "latest";

/// Where images go to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = shared_rules::credentials_or_aws("destination"),
    validation = creation_without_credentials("destination"),
)]
pub struct WorkloadDestination {
    /// A registry with or without the beginning of a path, such as registry.example.com/mirror.
    #[schemars(length(min = 1, max = 255), pattern(rules::repository_pattern()))]
    pub repository: String,

    /// What stands between the repository and the path of an image: text, and $namespace, $podname (the name of what made
    /// the pod), $container_name, $arch and $registry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = rules::prefix())]
    pub prefix: String,

    /// How paths change: the first rule that fits. Docker Hub's own images are in library/.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub path_map: Vec<PathRule>,

    /// How a tag is written: Staged (the default) pushes the content by digest and sets the tag last; Direct pushes to the
    /// tag, for registries that drop untagged content.
    #[serde(default, skip_serializing_if = "is_default")]
    pub publish: Publish,

    /// Take credentials from AWS (IRSA or pod identity) for this registry.
    #[serde(default, rename = "useAwsIRSA", skip_serializing_if = "is_default")]
    pub use_aws_irsa: bool,

    /// Credentials for this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to this registry is secured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Whether and how repositories are created here that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Box<RepositoryCreation>>,
}

/// How a path changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathRule {
    /// A path without its registry, which fits itself and all below it: group/app fits group/app/x, and not group/apps. Or
    /// a regular expression, which is replaced wherever it is found.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,

    /// What stands in its place; nothing takes it away. $1 is what the first group of the expression has found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub to: String,

    /// Whether from is a regular expression.
    #[serde(default, skip_serializing_if = "is_default")]
    pub regex: bool,
}

/// Which content a tag has at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadDigests {
    /// Tag (the default) takes what the tag shows at its source; Running takes what the newest pod runs, and keeps what
    /// others run by its digest.
    #[serde(default, rename = "use", skip_serializing_if = "is_default")]
    pub taken: DigestUse,

    /// Tags that are taken as their source shows them, although use is Running.
    #[serde(default = "latest")]
    #[schemars(length(max = 64), inner(length(max = 128), pattern(rules::TAG)))]
    pub ignore_tags: Vec<String>,

    /// What becomes of a tag that runs in no pod yet, where use is Running: Wait (the default) until one reports its
    /// content, or Resolve, which takes what the source shows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub if_unknown: UnknownDigest,
}

impl Default for WorkloadDigests {
    fn default() -> Self {
        Self { taken: DigestUse::default(), ignore_tags: latest(), if_unknown: UnknownDigest::default() }
    }
}

fn latest() -> Vec<String> {
    vec![LATEST.to_owned()]
}

/// Whose content a tag has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DigestUse {
    /// The source's.
    #[default]
    Tag,
    /// That of the pods.
    Running,
}

/// What becomes of a tag whose content no pod has reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum UnknownDigest {
    /// It waits.
    #[default]
    Wait,
    /// The source is asked.
    Resolve,
}

/// What becomes of tags that the destination has with other content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadOverwrite {
    /// IfDifferent (the default) replaces them, IfMissing keeps them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Overwrite,

    /// Tags that are replaced although the policy is IfMissing.
    #[serde(default = "latest")]
    #[schemars(length(max = 64), inner(length(max = 128), pattern(rules::TAG)))]
    pub except: Vec<String>,
}

impl Default for WorkloadOverwrite {
    fn default() -> Self {
        Self { policy: Overwrite::default(), except: latest() }
    }
}

/// Which platforms are mirrored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::list_of_platforms())]
pub struct WorkloadPlatforms {
    /// All (the default); Nodes takes those of the nodes on which pods with the image run; List takes those of list. What
    /// is mirrored by its digest has all of them, as less is another content.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: WorkloadPlatformMode,

    /// The platforms, as os/architecture or os/architecture/variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    #[x_kube(validation = shared_rules::platforms())]
    pub list: Vec<String>,
}

/// Which platforms are mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadPlatformMode {
    /// All of them.
    #[default]
    All,
    /// Those of the nodes that run an image.
    Nodes,
    /// Those that are listed.
    List,
}

/// Where images come from that pods cannot pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadOrigin {
    /// What the names of these images begin with: registry.example.com/mirror. It ends where a part of a path does.
    #[schemars(length(min = 1, max = 255), pattern(rules::repository_pattern()))]
    pub from: String,

    /// What stands in its place at the source, tried one after the other: quay.io/acme, docker.io.
    #[schemars(length(min = 1, max = 8), inner(length(max = 255), pattern(rules::repository_pattern())))]
    pub to: Vec<String>,
}
