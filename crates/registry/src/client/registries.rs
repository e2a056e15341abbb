//! All registries of a process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::pull_quota::RateLimit;
use super::repository_client::RepositoryClient;
use super::state::{RegistryState, Shared};
use crate::auth::{Role, Session};
use crate::cache::Bounded;
use crate::credentials::{Access, ConnectionKey, Credential};
use crate::error::Failure;
use crate::git::{self, GitError};
use crate::reference::{RegistryHost, Repository};
use crate::search::{self, FoundRepository, SearchError};
use crate::settings::Settings;
use crate::transport::RequestCount;
use crate::web::{self, WebAnswer, WebError, WebRequest};

/// Registries that are remembered; those used longest ago are forgotten beyond this.
const MAX_REGISTRIES: usize = 4096;
/// How long an unused registry is remembered: longer than any Image waits for its next sync by default.
const IDLE_TTL: Duration = Duration::from_hours(48);

/// All registries that this process uses: connections, tokens and limits.
///
/// A process has one, or the limits that registries set would apply to each instance apart. Cloning is
/// cheap.
#[derive(Debug, Clone)]
pub struct Registries(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    states: Mutex<Bounded<StateKey, Arc<RegistryState>>>,
}

type StateKey = (RegistryHost, ConnectionKey);

impl Registries {
    /// Returns a set without connections. Installs ring for TLS if the process has chosen no provider.
    pub fn new(settings: Settings) -> Self {
        let states = Mutex::new(Bounded::new(MAX_REGISTRIES));
        Self(Arc::new(Inner { shared: Arc::new(Shared::new(settings)), states }))
    }

    /// Returns a client for one repository. It shares tokens and connections with all others of its registry.
    ///
    /// It asks for the right to push only for what it is told to write, so that looking at a repository never
    /// creates it.
    pub fn repository(&self, repository: &Repository, access: &Access) -> RepositoryClient {
        self.client(repository, access, Role::Source)
    }

    /// Returns a client for a repository that images are pushed to, which may not exist yet. Where only those
    /// who may push learn that, it asks for that right also to read: at Quay this creates the repository, as a
    /// push does.
    pub fn push_target(&self, repository: &Repository, access: &Access) -> RepositoryClient {
        self.client(repository, access, Role::PushTarget)
    }

    fn client(&self, repository: &Repository, access: &Access, role: Role) -> RepositoryClient {
        let registry = self.state(repository.host(), access);
        RepositoryClient::new(self.0.shared.clone(), registry, repository, access, role)
    }

    /// Returns how many requests each host has had, by status code.
    pub fn requests(&self) -> Vec<RequestCount> {
        self.0.shared.http.requests()
    }

    /// Returns what each host last reported of its limit on pulls, while it holds; Docker Hub does.
    pub fn rate_limits(&self) -> BTreeMap<String, RateLimit> {
        self.0.shared.pulls.limits()
    }

    /// Returns the repositories of a registry that a search for a term finds, the best first, from the API that
    /// [`Settings::bulk_apis`] names for the registry. It receives no credential.
    pub async fn search(
        &self,
        registry: &RegistryHost,
        term: &str,
        limit: usize,
    ) -> Result<Vec<FoundRepository>, SearchError> {
        search::search(&self.0.shared.http, registry, term, limit).await
    }

    /// Returns the commit that a revision of a git repository is, asked of its server over HTTP with the limits that
    /// registries have. Without a revision it is that of the default branch.
    pub async fn git_commit(
        &self,
        url: &str,
        revision: Option<&str>,
        credential: Option<&Credential>,
    ) -> Result<String, GitError> {
        git::commit(&self.0.shared.http, url, revision, credential).await
    }

    /// Returns a document that is no registry's, such as an answer of GitHub's API.
    ///
    /// # Errors
    /// Where there is no answer; an answer of any status is none.
    pub async fn web(&self, request: &WebRequest) -> Result<WebAnswer, WebError> {
        web::get(&self.0.shared.http, request).await
    }

    fn state(&self, host: &RegistryHost, access: &Access) -> Result<Arc<RegistryState>, Failure> {
        let mut states = self.0.states.lock();
        let key = (host.clone(), access.connection());
        let state = match states.get(&key) {
            Some(state) => state.clone(),
            None => Arc::new(RegistryState::new(Session::new(host, access, &self.0.shared.http)?)),
        };
        // Again with each use, so that what is used stays.
        states.insert(key, state.clone(), IDLE_TTL);
        Ok(state)
    }
}
