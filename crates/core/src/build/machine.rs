//! The machine that this process runs on.

use imgop_registry::oci::PlatformSelector;

/// Returns the platform of this machine; none if it has no name at registries.
pub fn own_platform() -> Option<PlatformSelector> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    format!("{}/{architecture}", std::env::consts::OS).parse().ok()
}
