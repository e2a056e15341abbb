//! The platform of a single image: it stands in the image's configuration, and not in the manifest (OCI
//! image-spec 1.1, "config.md").

use super::repository_client::RepositoryClient;
use crate::error::{Failure, Operation, RegistryError};
use crate::oci::{Blob, Manifest, Platform, platform_in};
use crate::reference::ManifestRef;

impl RepositoryClient {
    /// Returns the platform of a single image of this repository; `None` if it names none, as artifacts
    /// that are no images do.
    pub async fn platform(&self, manifest: &Manifest) -> Result<Option<Platform>, RegistryError> {
        let read = self.read_platform(manifest).await;
        read.map_err(|f| self.error(Operation::Get(ManifestRef::Digest(manifest.digest.clone())), f))
    }

    async fn read_platform(&self, manifest: &Manifest) -> Result<Option<Platform>, Failure> {
        let config = manifest.image().ok().and_then(|image| image.config);
        match config.filter(Blob::is_image_config) {
            Some(config) => Ok(platform_in(&self.config(&config.digest).await?)),
            None => Ok(None),
        }
    }
}
