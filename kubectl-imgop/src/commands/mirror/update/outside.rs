//! The world outside, for version sources: with the registries, the credentials and the Helm of this machine.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;

use imgop_core::sources::{Answer, ArtifactPart, ChartRun, Fetch, FetchError, Get};
use imgop_registry::reference::{Repository, Tag};
use imgop_registry::{Access, Allowances, Registries, RegistryError, RepositoryClient};
use jiff::Timestamp;
use secrecy::SecretString;

use super::helm;
use crate::output::Ui;
use crate::registry::credentials::LocalCredentials;
use crate::registry::one_repository::OneRepositoryArgs;

/// The world outside.
pub struct Outside<'a> {
    pub ui: Ui,
    pub registries: Registries,
    pub args: &'a OneRepositoryArgs,
    pub local: LocalCredentials,
    pub helm: OsString,
    pub github_token: Option<SecretString>,
}

impl Outside<'_> {
    /// Returns a client with the credential of this machine; none where it cannot be read, which is a warning.
    async fn client(&self, repository: &Repository) -> RepositoryClient {
        self.allowed_client(repository, Allowances::default()).await
    }

    /// The same for a registry with these allowances.
    async fn allowed_client(&self, repository: &Repository, allowances: Allowances) -> RepositoryClient {
        let access = self.args.access(self.ui, &self.local, repository).await;
        let access = access.unwrap_or_else(|error| {
            self.ui.warned(&error);
            Access::default()
        });
        self.registries.repository(repository, &Access { allowances, ..access })
    }
}

impl Fetch for Outside<'_> {
    async fn get(&self, request: &Get) -> Result<Answer, FetchError> {
        request.send(&self.registries, self.github_token.as_ref()).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        self.client(repository).await.tags().await
    }

    async fn pushed(
        &self,
        repository: &Repository,
        tags: &[Tag],
    ) -> Result<HashMap<Tag, Timestamp>, RegistryError> {
        let wanted: HashSet<Tag> = tags.iter().cloned().collect();
        let reported = self.client(repository).await.pushes_in_bulk(&wanted, tags).await;
        Ok(reported.into_iter().filter_map(|(tag, reported)| Some((tag, reported.pushed?))).collect())
    }

    async fn artifact_part(&self, part: &ArtifactPart<'_>) -> Result<Option<Vec<u8>>, RegistryError> {
        let client = self.allowed_client(part.repository, part.allowances()).await;
        let part = client.artifact_part(part.tag, part.media_type, part.max_bytes).await?;
        Ok(part.map(|bytes| bytes.to_vec()))
    }

    async fn render(&self, run: &ChartRun) -> Result<String, FetchError> {
        helm::template(&self.helm, run).await.map_err(|error| FetchError(error.to_string()))
    }

    async fn packed(&self, run: &ChartRun, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        helm::packed(&self.helm, run, max_bytes).await.map_err(|error| FetchError(error.to_string()))
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
