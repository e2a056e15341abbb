//! The manifest by which krew installs the plugin (<https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest>).

use serde::{Deserialize, Serialize};

use crate::target::{Arch, Os, Target};

/// What the manifest says of the plugin in every release: `krew/plugin.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct About {
    /// Where more is to be read.
    pub homepage: String,
    /// One line of `kubectl krew search`, of at most 50 characters.
    pub short_description: String,
    /// Lines of at most 80 characters.
    pub description: String,
    /// What a user has to know after the installation.
    pub caveats: String,
}

/// A plugin of krew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// krew's group and version.
    pub api_version: String,
    /// `Plugin`.
    pub kind: String,
    /// The plugin's name.
    pub metadata: Metadata,
    /// Everything else.
    pub spec: Spec,
}

/// What the plugin is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// `kubectl NAME` runs it.
    pub name: String,
}

/// A version of the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// With a leading `v`.
    pub version: String,
    /// What is the same in every version.
    #[serde(flatten)]
    pub about: About,
    /// Where it can be installed.
    pub platforms: Vec<Platform>,
}

/// An archive, and how it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Platform {
    /// On which machines.
    pub selector: Selector,
    /// The archive's address.
    pub uri: String,
    /// The archive's checksum, in hexadecimal.
    pub sha256: String,
    /// The program, relative to the installed files.
    pub bin: String,
    /// What is taken out of the archive.
    pub files: Vec<FileOperation>,
}

/// Machines by their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// All must be equal.
    pub match_labels: MatchLabels,
}

/// The labels that krew knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchLabels {
    /// The operating system.
    pub os: Os,
    /// The processor.
    pub arch: Arch,
}

/// A file that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileOperation {
    /// In the archive.
    pub from: String,
    /// In the plugin's folder.
    pub to: String,
}

impl Manifest {
    /// Describes `version` (without a `v`), of which these archives exist, each with its checksum.
    pub fn new(about: About, version: &str, archives: &[(Target, String)]) -> Self {
        Self {
            api_version: "krew.googlecontainertools.github.com/v1alpha2".to_owned(),
            kind: "Plugin".to_owned(),
            metadata: Metadata { name: "imgop".to_owned() },
            spec: Spec {
                version: format!("v{version}"),
                about,
                platforms: archives
                    .iter()
                    .map(|(target, sha256)| platform(target, version, sha256))
                    .collect(),
            },
        }
    }
}

fn platform(target: &Target, version: &str, sha256: &str) -> Platform {
    let file = |from: &str| FileOperation { from: from.to_owned(), to: ".".to_owned() };
    Platform {
        selector: Selector { match_labels: MatchLabels { os: target.os, arch: target.arch } },
        uri: format!(
            "{}/releases/download/v{version}/{}",
            env!("CARGO_PKG_REPOSITORY"),
            target.archive(version)
        ),
        sha256: sha256.to_owned(),
        bin: target.program().to_owned(),
        files: vec![file(target.program()), file("LICENSE")],
    }
}

#[cfg(test)]
mod tests;
