//! What an image is made of, for people who decide whether to copy it: platforms, bytes, age.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use super::repository_client::{MAX_OTHER_BYTES, RepositoryClient};
use crate::auth::Actions;
use crate::error::{Failure, Operation, RegistryError};
use crate::oci::{Blob, Manifest, Platform, Platforms, created_in, platform_in};
use crate::reference::{Digest, ManifestRef};
use crate::transport::Request;

/// Images of an index that are read.
const MAX_IMAGES: usize = 32;
/// How many of them are read at a time.
const MAX_CONCURRENT_READS: usize = 4;

/// What an image is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDetails {
    /// The platforms that were asked for and are there.
    pub platforms: Vec<Platform>,
    /// The configurations and layers of these platforms, each once, with their bytes as manifests state them.
    pub blobs: Vec<(Digest, u64)>,
    /// When one of them was made, as it states itself.
    pub created: Option<Timestamp>,
}

impl ImageDetails {
    /// Returns the bytes of all blobs.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|(_, size)| *size).fold(0, u64::saturating_add)
    }
}

impl RepositoryClient {
    /// Returns what the platforms of an image are made of. This reads its manifests, which registries that
    /// count pulls count, and one configuration.
    pub async fn details(&self, digest: &Digest, of: &Platforms) -> Result<ImageDetails, RegistryError> {
        let read = self.read_details(digest, of).await;
        read.map_err(|f| self.error(Operation::Get(ManifestRef::Digest(digest.clone())), f))
    }

    /// Returns whether the repository has a blob. No pull is counted.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let found = self.find_blob(digest).await;
        found.map_err(|f| self.error(Operation::Head(ManifestRef::Digest(digest.clone())), f))
    }

    async fn find_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        let mut request = Request::get(self.url(&format!("blobs/{digest}"))?, MAX_OTHER_BYTES);
        (request.method, request.may_leave_host) = (Method::HEAD, true);
        let response = self.send(request, Actions::Pull).await?;
        match response.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.error_of(&response)),
        }
    }

    async fn read_details(&self, digest: &Digest, of: &Platforms) -> Result<ImageDetails, Failure> {
        let manifest = self.manifest_of(digest).await?;
        if !manifest.is_index() {
            return self.details_of_image(&manifest).await;
        }
        let mut images = manifest.platforms().map_err(|error| Failure::protocol(error.to_string()))?;
        images.retain(|image| of.selects(&image.platform));
        images.truncate(MAX_IMAGES);
        let manifests: Vec<Manifest> = futures::stream::iter(images.iter().map(|image| image.digest.clone()))
            .map(|image| async move { self.manifest_of(&image).await })
            .buffered(MAX_CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut details = match manifests.first() {
            Some(first) => self.details_of_image(first).await?,
            None => ImageDetails::default(),
        };
        details.platforms = images.into_iter().map(|image| image.platform).collect();
        for manifest in manifests.iter().skip(1) {
            details.blobs.extend(blobs(manifest)?);
        }
        details.blobs.sort_unstable();
        details.blobs.dedup_by(|a, b| a.0 == b.0);
        Ok(details)
    }

    async fn details_of_image(&self, manifest: &Manifest) -> Result<ImageDetails, Failure> {
        let blobs = blobs(manifest)?;
        let image = manifest.image().map_err(|error| Failure::protocol(error.to_string()))?;
        let annotated = image.created();
        let config = match image.config.filter(Blob::is_image_config) {
            Some(config) => Some(self.config(&config.digest).await?),
            None => None,
        };
        let created = annotated.or_else(|| created_in(config.as_ref()?));
        let platforms = config.as_ref().and_then(|config| platform_in(config)).into_iter().collect();
        Ok(ImageDetails { platforms, blobs, created })
    }
}

fn blobs(manifest: &Manifest) -> Result<Vec<(Digest, u64)>, Failure> {
    manifest.sized_blobs().map_err(|error| Failure::protocol(error.to_string()))
}
