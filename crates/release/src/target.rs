//! What the plugin is released for.

use serde::{Deserialize, Serialize};

/// An operating system, as Go and krew name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Any Linux: the programs are static.
    Linux,
    /// macOS.
    Darwin,
    /// Windows.
    Windows,
}

/// A processor, as Go and krew name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// `x86_64`.
    Amd64,
    /// `aarch64`.
    Arm64,
}

/// How files are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A tar archive with gzip.
    TarGz,
    /// What Windows opens by itself.
    Zip,
}

/// A platform for which there is an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// As rustc names it.
    pub triple: &'static str,
    /// The operating system.
    pub os: Os,
    /// The processor.
    pub arch: Arch,
}

/// All targets. Those for macOS need Apple's frameworks, which only a Mac has.
pub const TARGETS: [Target; 5] = [
    Target { triple: "x86_64-unknown-linux-gnu", os: Os::Linux, arch: Arch::Amd64 },
    Target { triple: "aarch64-unknown-linux-gnu", os: Os::Linux, arch: Arch::Arm64 },
    Target { triple: "x86_64-apple-darwin", os: Os::Darwin, arch: Arch::Amd64 },
    Target { triple: "aarch64-apple-darwin", os: Os::Darwin, arch: Arch::Arm64 },
    Target { triple: "x86_64-pc-windows-gnu", os: Os::Windows, arch: Arch::Amd64 },
];

impl Target {
    /// Returns the file name of the program.
    pub fn program(&self) -> &'static str {
        match self.os {
            Os::Windows => "kubectl-imgop.exe",
            Os::Linux | Os::Darwin => "kubectl-imgop",
        }
    }

    /// Returns how its archive is packed.
    pub fn format(&self) -> Format {
        match self.os {
            Os::Windows => Format::Zip,
            Os::Linux | Os::Darwin => Format::TarGz,
        }
    }

    /// Returns the file name of its archive in the release of `version` (without a `v`).
    pub fn archive(&self, version: &str) -> String {
        let os = match self.os {
            Os::Linux => "linux",
            Os::Darwin => "darwin",
            Os::Windows => "windows",
        };
        let arch = match self.arch {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        };
        let end = match self.format() {
            Format::TarGz => "tar.gz",
            Format::Zip => "zip",
        };
        format!("kubectl-imgop-v{version}-{os}-{arch}.{end}")
    }
}
