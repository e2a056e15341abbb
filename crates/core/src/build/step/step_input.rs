//! What a build of one platform is to do: all that is no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, RegistryHost, Repository};
use serde::{Deserialize, Serialize};

use crate::api::{Format, TlsMode};
use crate::build::dockerfile::BuildahVersion;
use crate::build::{DockerfilePlace, ImageReference, Timestamp};

/// What the build of one platform is to do. The same for all of its containers. A field that the program does not
/// know is an error: to leave it out would build another image than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepInput {
    /// The platform that is built for.
    pub platform: PlatformSelector,
    /// Where the Dockerfile is.
    pub dockerfile: DockerfilePlace,
    /// Where files come from.
    #[serde(default, skip_serializing_if = "StepContext::is_empty")]
    pub context: StepContext,
    /// The folder of the context that is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// The stage to build; the last one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Values for ARGs, those that stand in a ConfigMap included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Labels beside those of the Dockerfile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The format of manifest and configuration.
    pub format: Format,
    /// The time that the image and its files bear. [`Timestamp::Build`] is that of this container; where several
    /// platforms shall bear the same one, it is given in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The ids of the secrets that a RUN may mount.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// What images show, index or manifest, where it is known: those of the Dockerfile and that of the context.
    /// An image that is not here is resolved by `prepare`, which reports it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bases: BTreeMap<ImageReference, Digest>,
    /// The repository that the image is pushed to, by digest.
    pub repository: Repository,
    /// How registries are reached whose certificate is not simply verified.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tls_modes: BTreeMap<RegistryHost, TlsMode>,
    /// Where layers of earlier builds are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<LayerCache>,
    /// The version of Buildah in the container that runs the Dockerfile, where it is another one than that of the
    /// other containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildah: Option<BuildahVersion>,
    /// How many bytes of each output of the Dockerfile's commands go into the log.
    #[serde(default = "default_log_bytes", skip_serializing_if = "is_default_log_bytes")]
    pub log_bytes: u32,
}

/// How many bytes of each output go into the log where nothing else is set: both together fit into what a node keeps.
pub const DEFAULT_LOG_BYTES: u32 = 4 << 20;

fn default_log_bytes() -> u32 {
    DEFAULT_LOG_BYTES
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_default_log_bytes(bytes: &u32) -> bool {
    *bytes == DEFAULT_LOG_BYTES
}

/// Where the files of a build come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepContext {
    /// There are none.
    #[default]
    Empty,
    /// A commit. Credentials are in [`super::place::GIT_SECRET`], if that folder is there.
    Git(GitSource),
    /// A ConfigMap, which is mounted at [`super::place::CONFIG_MAP`].
    ConfigMap(ConfigMapSource),
    /// The files of an image.
    Image(ContextImage),
}

/// A commit of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitSource {
    /// The repository: `https://…`, `http://…` or `ssh://…`.
    pub url: String,
    /// A branch, a tag, a commit, a whole name; the default branch without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that the revision is, where it is known: all platforms build the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether submodules are fetched.
    #[serde(default)]
    pub submodules: bool,
    /// Whether the content of Git LFS is fetched.
    #[serde(default)]
    pub lfs: bool,
    /// How many commits are fetched; 0 for all.
    pub depth: u32,
}

/// The keys of a ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapSource {
    /// The keys that are taken, by the paths of their files, with permissions; all keys under their names if there are
    /// none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<String, (String, Option<u32>)>,
    /// The digest of the files that the build began with, as [`files_digest`] returns it. Files with another one are
    /// not built: the ConfigMap was changed since, or the node has not seen its last change yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// An image whose files are the context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContextImage {
    /// The image.
    pub name: ImageReference,
}

/// A repository with layers of earlier builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerCache {
    /// The repository.
    pub repository: Repository,
    /// How old a layer may be, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// Returns one digest of files: of their paths, of which each is there once, and of their contents, in whatever order.
pub fn files_digest<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Digest {
    let digests: BTreeMap<&str, Digest> =
        files.into_iter().map(|(path, bytes)| (path, Digest::of(bytes))).collect();
    // Digests by text are always written.
    Digest::of(serde_json::to_string(&digests).unwrap_or_default().as_bytes())
}

impl StepContext {
    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        *self == Self::Empty
    }
}

impl LayerCache {
    /// Returns how old a layer may be.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_seconds.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_files_is_that_of_paths_and_contents() {
        let digest =
            |files: &[(&str, &str)]| files_digest(files.iter().map(|(path, text)| (*path, text.as_bytes())));
        assert_eq!(digest(&[("a", "1"), ("b", "2")]), digest(&[("b", "2"), ("a", "1")]));
        assert_ne!(digest(&[("a", "1")]), digest(&[("a", "2")]));
        assert_ne!(digest(&[("a", "1")]), digest(&[("b", "1")]));
    }
}
