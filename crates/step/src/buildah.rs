//! Buildah: its version, its storage, and how it is started.

use imgop_core::build::BuildFailure;
use imgop_core::build::dockerfile::BuildahVersion;
use serde::{Deserialize, Serialize};

use crate::{Failed, Places, Program};

/// How Buildah stores layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageDriver {
    /// Layers are mounted over each other.
    Overlay,
    /// Each layer is a whole copy: slow and large, and works everywhere.
    Vfs,
}

impl StorageDriver {
    /// Returns its name in Buildah.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }

    /// Returns the best driver that works here. Only trying tells: it depends on kernel, file system and profile.
    pub fn probe(places: &Places) -> Result<Self, Failed> {
        let finished = buildah(places, Self::Overlay).arg("info").run();
        let finished = finished.map_err(|error| not_started(&error))?;
        Ok(if finished.is_success() { Self::Overlay } else { Self::Vfs })
    }
}

/// Returns Buildah with the storage of this build, without a command.
pub fn buildah(places: &Places, driver: StorageDriver) -> Program {
    Program::new("buildah", places).args(storage_options(places, driver)).temporary_files(&places.temporary())
}

/// Returns the options that name the storage. The driver is always named: Buildah's own choice depends on the user.
pub fn storage_options(places: &Places, driver: StorageDriver) -> [String; 3] {
    [
        format!("--root={}", places.storage().display()),
        format!("--runroot={}", places.storage_state().display()),
        format!("--storage-driver={}", driver.as_str()),
    ]
}

/// Returns the version of the Buildah that is here.
pub fn version(places: &Places) -> Result<BuildahVersion, Failed> {
    let finished = Program::new("buildah", places).arg("--version").run();
    let text = finished.map_err(|error| not_started(&error))?.text();
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    version
        .parse()
        .map_err(|error| Failed::new(BuildFailure::PodNotStarted, format!("buildah --version: {error}")))
}

/// Returns what follows where Buildah does not start at all.
pub fn not_started(error: &std::io::Error) -> Failed {
    let message = format!("buildah does not start: {error}; use a Job image that has it");
    Failed::new(BuildFailure::PodNotStarted, message)
}
