//! When an image was created: the annotation of its manifest, or `created` in its configuration (OCI
//! image-spec 1.1, "annotations.md" and "config.md").
//!
//! Whoever made the image wrote it. For an index the newest of its images counts, and nothing is known if
//! one of them has no time.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::created_cache::Created;
use super::repository_client::RepositoryClient;
use crate::error::{Failure, Operation, Reason, RegistryError};
use crate::oci::{ImageManifest, Manifest, created_in, is_plausible};
use crate::reference::{Digest, ManifestRef};

/// Images of an index that are read: each takes two requests, and a pull at Docker Hub.
const MAX_IMAGES: usize = 32;
/// How many of them are read at a time.
const MAX_CONCURRENT_READS: usize = 4;

impl RepositoryClient {
    /// Returns when the image with this digest was created; for an index, its newest image. `None` if it,
    /// or one of its images, has no time.
    ///
    /// An image that cannot be read is not requested again for an hour with the same credential: the caller
    /// has to do without, and a registry that counts requests is spared. A transient failure does not
    /// count as one.
    pub async fn created(&self, digest: &Digest) -> Result<Option<Timestamp>, RegistryError> {
        let cache = &self.shared().created;
        if let Some(Created(created)) = cache.get(digest) {
            return Ok(created);
        }
        if cache.has_failed(self.account(), digest) {
            return Ok(None);
        }
        match self.read_created(digest).await {
            Ok(created) => {
                cache.insert(digest, created);
                Ok(created)
            }
            Err(failure) => {
                if !is_transient(&failure) {
                    cache.record_failure(self.account(), digest);
                }
                Err(self.error(Operation::Get(ManifestRef::Digest(digest.clone())), failure))
            }
        }
    }

    async fn read_created(&self, digest: &Digest) -> Result<Option<Timestamp>, Failure> {
        let manifest = self.manifest_of(digest).await?;
        if !manifest.is_index() {
            let image = parsed(&manifest)?;
            // Its time would be cached as that of an image, for all who need it.
            if image.is_index() {
                return Err(Failure::protocol("the registry calls an index an image"));
            }
            return self.created_of(image).await;
        }
        let images = manifest.platforms().map_err(|error| Failure::protocol(error.to_string()))?;
        if images.len() > MAX_IMAGES {
            return Ok(None);
        }
        let images: Vec<Digest> = images.into_iter().map(|image| image.digest).collect();
        let times: Vec<Option<Timestamp>> = futures::stream::iter(images.clone())
            .map(|image| async move { self.created_of_child(&image).await })
            .buffered(MAX_CONCURRENT_READS)
            .try_collect()
            .await?;
        // They were cached in case one of them fails. From now on the index is, and they would only take
        // the places of others.
        self.shared().created.remove(&images);
        let times: Option<Vec<Timestamp>> = times.into_iter().collect();
        Ok(times.and_then(newest_of_plausible))
    }

    async fn created_of_child(&self, digest: &Digest) -> Result<Option<Timestamp>, Failure> {
        if let Some(Created(created)) = self.shared().created.get(digest) {
            return Ok(created);
        }
        let image = parsed(&self.manifest_of(digest).await?)?;
        if image.is_index() {
            return Ok(None);
        }
        let created = self.created_of(image).await?;
        self.shared().created.insert(digest, created);
        Ok(created)
    }

    pub(super) async fn manifest_of(&self, digest: &Digest) -> Result<Manifest, Failure> {
        let what = ManifestRef::Digest(digest.clone());
        self.read(&what).await?.ok_or_else(|| Failure::protocol("the manifest is not there"))
    }

    async fn created_of(&self, image: ImageManifest) -> Result<Option<Timestamp>, Failure> {
        if let Some(annotated) = image.created() {
            return Ok(Some(annotated));
        }
        let Some(config) = image.config else { return Ok(None) };
        Ok(created_in(&self.config(&config.digest).await?))
    }
}

fn parsed(manifest: &Manifest) -> Result<ImageManifest, Failure> {
    manifest.image().map_err(|_| Failure::protocol("the manifest cannot be read"))
}

fn is_transient(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::RateLimited { .. } | Reason::Unreachable(_) | Reason::Unavailable)
}

/// Returns the newest one; `None` where one is a reproducible build's 1970, which says nothing of its age.
fn newest_of_plausible(times: Vec<Timestamp>) -> Option<Timestamp> {
    let are_plausible = times.iter().all(|time| is_plausible(*time, Timestamp::MAX));
    times.into_iter().max().filter(|_| are_plausible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_without_a_real_time_leaves_the_index_without_one() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (old, new, zero) =
            (time("2024-01-01T00:00:00Z"), time("2025-01-01T00:00:00Z"), time("1970-01-01T00:00:00Z"));
        assert_eq!(newest_of_plausible(vec![old, new]), Some(new));
        assert_eq!(newest_of_plausible(vec![old, zero, new]), None);
        assert_eq!(newest_of_plausible(Vec::new()), None);
    }
}
