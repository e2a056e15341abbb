//! What stands in the configuration of a single image, and not in its manifest (OCI image-spec 1.1, "config.md").

use bytes::Bytes;

use super::repository_client::RepositoryClient;
use crate::error::{Failure, Operation, RegistryError};
use crate::oci::{Blob, ImageConfig, Manifest, Platform, platform_in};
use crate::reference::ManifestRef;

impl RepositoryClient {
    /// Returns the platform of a single image of this repository; `None` if it names none, as artifacts
    /// that are no images do.
    pub async fn platform(&self, manifest: &Manifest) -> Result<Option<Platform>, RegistryError> {
        let read = self.read_platform(manifest).await;
        read.map_err(|f| self.error(Operation::Get(ManifestRef::Digest(manifest.digest.clone())), f))
    }

    /// Returns what a build needs to know of a single image of this repository; `None` for what is no image.
    pub async fn image_config(&self, manifest: &Manifest) -> Result<Option<ImageConfig>, RegistryError> {
        let read = self.read_image_config(manifest).await;
        let read = read.map(|config| config.and_then(|bytes| ImageConfig::read(&bytes)));
        read.map_err(|f| self.error(Operation::Get(ManifestRef::Digest(manifest.digest.clone())), f))
    }

    async fn read_platform(&self, manifest: &Manifest) -> Result<Option<Platform>, Failure> {
        Ok(self.read_image_config(manifest).await?.and_then(|config| platform_in(&config)))
    }

    async fn read_image_config(&self, manifest: &Manifest) -> Result<Option<Bytes>, Failure> {
        let config = manifest.image().ok().and_then(|image| image.config);
        match config.filter(Blob::is_image_config) {
            Some(config) => self.config(&config.digest).await.map(Some),
            None => Ok(None),
        }
    }
}
