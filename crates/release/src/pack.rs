//! All archives of a release, and the manifest of those that there are.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::archive::{self, Entry};
use crate::manifest::{About, Manifest};
use crate::target::{TARGETS, Target};

/// The name of the manifest, which krew wants to be that of the plugin.
pub const MANIFEST: &str = "imgop.yaml";

/// Why a release could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An archive.
    #[error("{name}: {source}")]
    Archive {
        /// Its name.
        name: String,
        /// What failed.
        source: archive::Error,
    },
    /// A file of this repository, or one that was just written.
    #[error("{path}: {source}", path = .0.display(), source = .1)]
    File(PathBuf, #[source] std::io::Error),
    /// `krew/plugin.yaml`.
    #[error("krew/plugin.yaml: {0}")]
    About(String),
    /// The manifest as text.
    #[error("the manifest cannot be written: {0}")]
    Manifest(String),
    /// No program was built.
    #[error("{0} has no program of the plugin; build one with crates/release/build TARGET")]
    Nothing(PathBuf),
}

/// What is packed, and from where.
#[derive(Debug, Clone)]
pub struct Release {
    /// Without a `v`.
    pub version: String,
    /// The folder into which cargo builds.
    pub programs: PathBuf,
    /// The repository, for its LICENSE and `krew/plugin.yaml`.
    pub repository: PathBuf,
    /// The folder that gets the archives and the manifest; it exists.
    pub out: PathBuf,
}

/// Packs the program of each target that was built, and writes the manifest of these archives. Returns the targets.
pub fn pack(release: &Release) -> Result<Vec<Target>, Error> {
    let mut archives = Vec::new();
    for target in TARGETS {
        let program = release.programs.join(target.triple).join("plugin").join(target.program());
        if program.exists() {
            archives.push((target, archived(release, &target, &program)?));
        }
    }
    if archives.is_empty() {
        return Err(Error::Nothing(release.programs.clone()));
    }
    let manifest = Manifest::new(about(&release.repository)?, &release.version, &archives);
    let text = serde_saphyr::to_string(&manifest).map_err(|error| Error::Manifest(error.to_string()))?;
    let path = release.out.join(MANIFEST);
    std::fs::write(&path, text).map_err(|error| Error::File(path, error))?;
    Ok(archives.into_iter().map(|(target, _)| target).collect())
}

/// Packs one program. Returns the archive's checksum.
fn archived(release: &Release, target: &Target, program: &Path) -> Result<String, Error> {
    let name = target.archive(&release.version);
    let path = release.out.join(&name);
    let license = release.repository.join("LICENSE");
    let entries = [
        Entry { name: target.program(), path: program, executable: true },
        Entry { name: "LICENSE", path: &license, executable: false },
    ];
    archive::write(target.format(), &entries, &path).map_err(|source| Error::Archive { name, source })?;
    let content = std::fs::read(&path).map_err(|error| Error::File(path, error))?;
    Ok(hex::encode(Sha256::digest(content)))
}

/// Reads `krew/plugin.yaml` of a repository.
pub fn about(repository: &Path) -> Result<About, Error> {
    let path = repository.join("krew/plugin.yaml");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::File(path, error))?;
    serde_saphyr::from_str(&text).map_err(|error| Error::About(error.to_string()))
}

#[cfg(test)]
mod tests;
