//! What registries are asked of tags and repositories of a file.

use std::collections::HashMap;

use futures::StreamExt as _;
use imgop_registry::reference::{ManifestRef, Repository};
use imgop_registry::{Reason, Registries, RegistryError, RepositoryClient};
use url::Url;

use super::hub::HubRepositories;
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::registry::credentials::LocalCredentials;
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;
use crate::verification::lacks_content;

/// Requests at once.
const AT_ONCE: usize = 8;

/// How thoroughly a tag is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its manifest.
    Manifest,
    /// Everything that the manifest names, down to layers.
    Full,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    There,
    /// It is not there, or not whole; why.
    Missing(String),
    /// A registry did not say; why.
    NotChecked(String),
}

/// Asks registries, with the credentials of this machine.
pub struct Checks<'a> {
    ui: Ui,
    args: &'a OneRepositoryArgs,
    local: LocalCredentials,
    registries: Registries,
}

impl<'a> Checks<'a> {
    /// Reads the credentials.
    pub fn new(ui: Ui, args: &'a OneRepositoryArgs) -> Result<Self, CliError> {
        Ok(Self { ui, args, local: args.credentials()?, registries: registries(true)? })
    }

    /// Whether this machine has a login for a repository.
    async fn has_login(&self, repository: &Repository) -> bool {
        self.local.find(self.ui, repository, false).await.is_ok_and(|credential| credential.is_some())
    }

    async fn clients(
        &self,
        repositories: impl Iterator<Item = &Repository>,
    ) -> Result<HashMap<Repository, RepositoryClient>, CliError> {
        let mut clients = HashMap::new();
        for repository in repositories {
            if !clients.contains_key(repository) {
                let client = self.args.client(self.ui, &self.registries, &self.local, repository).await?;
                clients.insert(repository.clone(), client);
            }
        }
        Ok(clients)
    }

    /// Looks for tags or digests of sources, each in its place.
    pub async fn images(
        &self,
        images: &[(Repository, ManifestRef)],
        depth: Depth,
    ) -> Result<Vec<Found>, CliError> {
        let clients = self.clients(images.iter().map(|(repository, _)| repository)).await?;
        let asked = images.iter().map(|(repository, what)| async {
            let Some(client) = clients.get(repository) else { return Found::There };
            image(client, what, depth).await
        });
        Ok(futures::stream::iter(asked).buffered(AT_ONCE).collect().await)
    }

    /// Looks for repositories at targets, each in its place: those of Docker Hub also by its own API, because its registry does
    /// not say that a repository does not exist.
    pub async fn repositories(&self, repositories: &[Repository], hub: &Url) -> Result<Vec<Found>, CliError> {
        let clients = self.clients(repositories.iter()).await?;
        let hub = HubRepositories::of(&self.registries, hub, repositories).await;
        let hub = &hub;
        let asked = repositories.iter().map(|repository| async {
            let Some(client) = clients.get(repository) else { return Found::There };
            match hub.has(repository) {
                Some(Ok(true)) => Found::There,
                // Whoever is logged in may see more than everyone, and the registry says it.
                Some(_) if self.has_login(repository).await && client.tags().await.is_ok() => Found::There,
                Some(Ok(false)) => Found::Missing(
                    "Docker Hub has no such repository, or shows it only to those who may use it".to_owned(),
                ),
                Some(Err(why)) => Found::NotChecked(why.to_owned()),
                None => at_registry(client).await,
            }
        });
        Ok(futures::stream::iter(asked).buffered(AT_ONCE).collect().await)
    }
}

async fn at_registry(client: &RepositoryClient) -> Found {
    match client.tags().await {
        Ok(_) => Found::There,
        Err(error) if *error.reason() == Reason::RepositoryNotFound => {
            Found::Missing("the registry has no such repository".to_owned())
        }
        Err(error) => Found::NotChecked(error.to_string()),
    }
}

async fn image(client: &RepositoryClient, what: &ManifestRef, depth: Depth) -> Found {
    let head = match client.head(what).await {
        Ok(Some(head)) => head,
        Ok(None) => return Found::Missing("the source does not have it".to_owned()),
        Err(error) => return unknown(&error),
    };
    if depth == Depth::Manifest {
        return Found::There;
    }
    match lacks_content(client, &head.digest).await {
        Ok(None) => Found::There,
        Ok(Some(lacks)) => Found::Missing(format!("the source lacks {lacks}")),
        Err(why) => Found::NotChecked(why),
    }
}

fn unknown(error: &RegistryError) -> Found {
    if *error.reason() == Reason::RepositoryNotFound {
        return Found::Missing("the source does not have its repository".to_owned());
    }
    Found::NotChecked(error.to_string())
}
