//! What one container leaves for the next.

use std::fs;
use std::path::Path;

use imgop_core::build::BuildFailure;
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, Repository};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Failed;
use crate::buildah::StorageDriver;

/// What `prepare` leaves for `build`, beside the context, the Dockerfile and the storage. A RUN can reach it, so that
/// nothing of it is trusted later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildHandover {
    /// The driver of the storage.
    pub storage_driver: StorageDriver,
    /// The folder of the context that is taken, below the root of the context.
    pub sub_path: Option<String>,
    /// The ignore file, below the folder that is taken.
    pub ignore_file: Option<String>,
    /// The time that the image bears, in seconds since 1970.
    pub timestamp: Option<i64>,
    /// The base, if nothing is built on it.
    pub unchanged_base: Option<Digest>,
    /// Whether a RUN mounts files of the context or of another stage: a version of Buildah may miss that they changed.
    pub mounts_files: bool,
    /// A base whose history lists fewer layers than it has: Buildah keeps no layers on it.
    pub base_without_history: Option<String>,
    /// The steps that ONBUILD of its bases adds to the Dockerfile.
    pub triggers: Vec<Trigger>,
}

/// A step that a base image adds to every stage that begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// The step.
    pub text: String,
    /// The base image.
    pub base: String,
}

/// What `prepare` leaves for `push`, where `build` cannot reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushHandover {
    /// The platform of the image.
    pub platform: PlatformSelector,
    /// Whether the image bears a time that was asked for, so that the same inputs give the same digest.
    pub has_timestamp: bool,
    /// The images that were pulled.
    pub bases: Vec<HandedBase>,
    /// Which of them the image begins with; none for `scratch`.
    pub base: Option<usize>,
}

/// An image that was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandedBase {
    /// Where it was pulled from.
    pub repository: Repository,
    /// The layers as its manifest describes them.
    pub layers: Vec<serde_json::Value>,
    /// The digests of its layers, uncompressed.
    pub diff_ids: Vec<Digest>,
}

/// Writes a document.
pub fn write(path: &Path, document: &impl Serialize) -> Result<(), Failed> {
    let bytes = serde_json::to_vec(document).map_err(|error| {
        Failed::new(BuildFailure::PodNotStarted, format!("cannot write {}: {error}", path.display()))
    })?;
    fs::write(path, bytes).map_err(|error| Failed::at("write", path, &error))
}

/// Reads a document that an earlier container wrote.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failed> {
    let bytes = fs::read(path).map_err(|error| Failed::at("read", path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("{} was not written by this version: {error}", path.display());
        Failed::new(BuildFailure::PodNotStarted, message)
    })
}
