//! How a mirror reaches the registries of its images.

use imgop_core::api::{EndpointRef, RegistryAction, Tls};
use imgop_core::workloads::WorkloadRequest;
use imgop_registry::RepositoryClient;
use imgop_registry::reference::Repository;

use super::Pass;
use super::unasked::{DESTINATION, NotKnown, SOURCES};
use crate::children::Requests;
use crate::cluster::Freshness;
use crate::registry_access::{EndpointUse, Lending};

/// A repository that can be asked.
pub(super) struct Reached {
    /// What asks it.
    pub client: RepositoryClient,
    /// Whether that logs in.
    pub has_login: bool,
    /// Whether an administrator lends the login.
    pub is_lent: bool,
}

impl Pass<'_> {
    /// Returns the client of a repository that images come from.
    pub(super) async fn source_client(
        &self,
        request: &WorkloadRequest,
        repository: &Repository,
    ) -> Result<Reached, NotKnown> {
        let name = repository.to_string();
        let endpoint = request.source_endpoint(&name);
        self.client(repository, SOURCES, endpoint, RegistryAction::Pull).await
    }

    /// Returns the client of a repository that images go to.
    pub(super) async fn destination_client(
        &self,
        request: &WorkloadRequest,
        repository: &Repository,
    ) -> Result<Reached, NotKnown> {
        let endpoint = self.destination_endpoint(request, repository);
        self.client(repository, DESTINATION, endpoint, RegistryAction::Push).await
    }

    /// Returns how a repository is reached that images go to. What the spec says of its destination holds for that registry
    /// alone.
    pub(super) fn destination_endpoint(
        &self,
        request: &WorkloadRequest,
        repository: &Repository,
    ) -> EndpointRef<'_> {
        let given = &self.mirror.spec.destination;
        let is_of_spec = request.destination.has_host(repository.host());
        EndpointRef {
            name: &given.repository,
            credentials: given.credentials.as_ref().filter(|_| is_of_spec),
            use_aws_irsa: given.use_aws_irsa && is_of_spec,
            tls: given.tls.as_ref().filter(|_| is_of_spec).unwrap_or(&Tls::DEFAULT),
        }
    }

    /// Returns how recent what Secrets hold is to be: a user who has corrected one waits for it.
    pub(super) fn freshness(&self) -> Freshness {
        let is_asked_for = self.candidate.is_spec_new() || self.requests != Requests::default();
        if is_asked_for { Freshness::Now } else { Freshness::Cached }
    }

    async fn client(
        &self,
        repository: &Repository,
        field: &str,
        endpoint: EndpointRef<'_>,
        action: RegistryAction,
    ) -> Result<Reached, NotKnown> {
        let of = EndpointUse {
            namespace: self.namespace(),
            field,
            repository,
            endpoint,
            action,
            lending: Lending::All,
        };
        let resolved = self.agent().registry_access().resolve(of, self.freshness()).await;
        let resolved = resolved.map_err(|error| self.without_access(repository, error))?;
        Ok(Reached {
            client: self.agent().registries.repository(repository, &resolved.access),
            has_login: resolved.access.credential.is_some(),
            is_lent: resolved.is_lent,
        })
    }
}
