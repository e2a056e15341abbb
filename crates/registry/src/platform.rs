//! The platform of a single image: it stands in the image's configuration, and not in the manifest (OCI
//! image-spec 1.1, "config.md").

use serde::Deserialize;

use super::RepositoryClient;
use super::error::{Failure, Operation, RegistryError};
use super::manifest::{Manifest, Platform};
use crate::reference::{Digest, ManifestRef};

/// Configurations that name a platform. Those of charts, signatures and other artifacts do not.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

#[derive(Deserialize)]
struct Image {
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    digest: Digest,
    #[serde(default)]
    media_type: String,
}

impl RepositoryClient {
    /// The platform of a single image of this repository; none if it names none, as what is no image
    /// does.
    pub async fn platform(&self, manifest: &Manifest) -> Result<Option<Platform>, RegistryError> {
        let read = self.read_platform(manifest).await;
        read.map_err(|f| self.error(Operation::Get(ManifestRef::Digest(manifest.digest.clone())), f))
    }

    async fn read_platform(&self, manifest: &Manifest) -> Result<Option<Platform>, Failure> {
        match serde_json::from_slice::<Image>(&manifest.bytes) {
            Ok(Image { config }) if IMAGE_CONFIGS.contains(&config.media_type.as_str()) => {
                Ok(platform_in(&self.config(&config.digest).await?))
            }
            _ => Ok(None),
        }
    }
}

fn platform_in(config: &[u8]) -> Option<Platform> {
    let platform = serde_json::from_slice::<Platform>(config).ok()?;
    let is_named = |word: &str| !word.is_empty() && word != "unknown";
    let is_named = is_named(&platform.os) && is_named(&platform.architecture);
    Some(platform).filter(|platform| is_named && platform.is_plain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_a_platform_or_none() {
        let named = platform_in(br#"{"os":"linux","architecture":"arm","variant":"v7","rootfs":{}}"#);
        assert_eq!(named.unwrap().to_string(), "linux/arm/v7");
        for other in [
            "",
            "{}",
            "[]",
            r#"{"os":"","architecture":""}"#,
            r#"{"os":"linux","architecture":5}"#,
            r#"{"os":"linux","architecture":"amd64 or so"}"#,
        ] {
            assert_eq!(platform_in(other.as_bytes()), None, "{other}");
        }
    }
}
