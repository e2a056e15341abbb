//! Parts of artifacts that are no images, such as charts, by their media types (OCI image-spec, "Guidelines for artifact
//! usage").

use bytes::Bytes;

use super::repository_client::RepositoryClient;
use crate::error::{Failure, Operation, Reason, RegistryError};
use crate::reference::{ManifestRef, Tag};

impl RepositoryClient {
    /// Returns the first part of this media type of what a tag names: its configuration or one of its layers. `None` if
    /// there is no such tag, or no such part. One of more bytes is an error.
    pub async fn artifact_part(
        &self,
        tag: &Tag,
        media_type: &str,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, RegistryError> {
        let what = ManifestRef::Tag(tag.clone());
        let read = self.read_part(&what, media_type, max_bytes).await;
        read.map_err(|failure| self.error(Operation::Get(what), failure))
    }

    async fn read_part(
        &self,
        what: &ManifestRef,
        media_type: &str,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, Failure> {
        let Some(manifest) = self.read(what).await? else { return Ok(None) };
        let part = manifest.part(media_type);
        let part = part.map_err(|error| Failure::new(Reason::Protocol, error.to_string()))?;
        match part {
            Some(digest) => self.blob(&digest, max_bytes).await.map(Some),
            None => Ok(None),
        }
    }
}
