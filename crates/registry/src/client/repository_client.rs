//! A client for one repository; its calls stand in the files beside this one.

use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::account::Account;
use super::state::{RegistryState, Shared};
use crate::auth::{Actions, Caller, Role, Scope, Scopes, Session};
use crate::credentials::{Access, ConnectionKey, Credential, Fingerprint};
use crate::error::{Failure, Operation, RegistryError};
use crate::reference::Repository;
use crate::settings::Settings;
use crate::text::authority;
use crate::transport::{Request, Response, error_of};

/// Bytes of responses whose body says nothing.
pub(super) const MAX_OTHER_BYTES: usize = 64 << 10;

/// One repository, reached with one credential.
#[derive(Debug, Clone)]
pub struct RepositoryClient {
    shared: Arc<Shared>,
    /// The error where the settings are wrong; each call then returns it.
    registry: Result<Arc<RegistryState>, Failure>,
    repository: Repository,
    connection: ConnectionKey,
    credential: Option<Credential>,
    role: Role,
}

impl RepositoryClient {
    pub(super) fn new(
        shared: Arc<Shared>,
        registry: Result<Arc<RegistryState>, Failure>,
        repository: &Repository,
        access: &Access,
        role: Role,
    ) -> Self {
        Self {
            shared,
            registry,
            repository: repository.clone(),
            connection: access.connection(),
            credential: access.credential.clone(),
            role,
        }
    }

    /// Returns the registry and the credential with which this repository is reached.
    pub fn account(&self) -> Account {
        Account { host: self.repository.host().clone(), connection: self.connection, who: self.identity() }
    }

    /// Whether the credential of this client may read what `other` reads, as far as can be known here:
    /// both are of one registry, and `other` needs none or the same.
    pub fn may_read_as(&self, other: &Self) -> bool {
        let is_same_place =
            self.repository.host() == other.repository.host() && self.connection == other.connection;
        is_same_place && other.identity().is_none_or(|who| Some(who) == self.identity())
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn settings(&self) -> &Settings {
        self.shared.http.settings()
    }

    pub(super) fn registry(&self) -> Result<&RegistryState, Failure> {
        self.registry.as_deref().map_err(Clone::clone)
    }

    fn session(&self) -> Result<&Session, Failure> {
        self.registry().map(|registry| &registry.session)
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns whom the registry counts.
    pub(super) fn identity(&self) -> Option<Fingerprint> {
        self.credential.as_ref().map(Credential::fingerprint)
    }

    /// Sends a request that needs these actions in this repository.
    pub(super) async fn send(&self, request: Request, actions: Actions) -> Result<Response, Failure> {
        self.send_scoped(request, &Scope::new(self.repository.path(), actions).into()).await
    }

    /// Sends a request that needs these scopes.
    pub(super) async fn send_scoped(&self, request: Request, scopes: &Scopes) -> Result<Response, Failure> {
        let caller = Caller { credential: self.credential.as_ref(), role: self.role };
        let sent = self.session()?.send(&self.shared.http, caller, scopes, request);
        let response = sent.await?;
        self.shared.pulls.record(&authority(&response.url), self.identity(), &response.headers);
        Ok(response)
    }

    /// Returns the URL of something of this repository.
    pub(super) fn url(&self, tail: &str) -> Result<Url, Failure> {
        self.session()?.url(&format!("{}/{tail}", self.repository.path()))
    }

    /// Returns the failure that a response stands for.
    pub(super) fn error_of(&self, response: &Response) -> Failure {
        error_of(response, &self.credential.as_ref().map(Credential::secrets).unwrap_or_default())
    }

    pub(super) fn error(&self, operation: Operation, failure: Failure) -> RegistryError {
        RegistryError::new(&self.repository, operation, failure)
    }
}

/// Returns the media type of a response without its parameters.
pub(super) fn media_type(response: &Response) -> Option<&str> {
    let text = response.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim())
}
