//! How both registries of an Image are reached: with which Secrets, what is lent, and what administrators allow.

use imgop_core::api::conditions::{STALLED, is_true};
use imgop_core::api::{Publish, RegistryAction, Side};
use imgop_core::copy::{CopyRequest, ReadAhead, Route};
use imgop_core::schedule::Due;
use imgop_registry::reference::Repository;
use imgop_registry::{Allowances, RepositoryClient};

use super::failures::{AskedWith, Halt};
use super::memory::Memory;
use super::{Pass, SECRET_INTERVAL};
use crate::cluster::Freshness;
use crate::registry_access::lent::LentAccess;
use crate::registry_access::{AccessError, EndpointUse, Lending, Resolved};

/// How both registries are reached.
pub(super) struct Access {
    pub source: RepositoryClient,
    pub destination: RepositoryClient,
    /// Name and version of each Secret that was read.
    pub secrets: Vec<String>,
    /// A hash of these: another one when one of them is corrected.
    pub credentials: String,
    /// How both are reached, where something of it is lent.
    pub lent: Option<LentAccess>,
    /// What administrators allow at source and destination.
    pub allowances: [Allowances; 2],
    /// Where manifests are kept that are read instead of looked up, where the agent sets tags and the source is not known to
    /// count pulls.
    pub read_ahead: Option<ReadAhead>,
}

impl Access {
    /// Returns between which repositories a request copies, with these clients.
    pub fn route<'a>(&'a self, request: &'a CopyRequest) -> Route<'a> {
        Route {
            request,
            source: &self.source,
            destination: &self.destination,
            read_ahead: self.read_ahead.as_ref(),
        }
    }

    /// Returns with what both are asked.
    pub fn asked_with(&self) -> AskedWith {
        let has_credential =
            |side: &Side| self.lent.as_ref().is_some_and(|lent| lent.side(*side).credential.is_some());
        let lent = [Side::Source, Side::Destination].into_iter().filter(has_credential).collect();
        AskedWith { secrets: self.secrets.clone(), lent }
    }
}

impl Pass<'_> {
    /// Reads the Secrets and returns the two clients.
    pub(super) async fn access(
        &self,
        request: &CopyRequest,
        due: Due,
        memory: &mut Memory,
    ) -> Result<Access, Halt> {
        let freshness = match &memory.blocked {
            _ if due.is_asked_for() => Freshness::Now,
            // A registry that refused is asked again only with other Secrets, and whoever fixes a Secret
            // should not wait for what is remembered of it.
            Some(_) => Freshness::Rechecked,
            None if self.is_stalled() || self.has_failed_tags() => Freshness::Rechecked,
            None => Freshness::Cached,
        };
        let access = self.clients(request, freshness).await?;
        if let Some(blocked) = &memory.blocked
            && blocked.secrets == access.secrets
            && self.now < blocked.until
            && !due.is_asked_for()
        {
            return Err(Halt::Postponed(memory.schedule.wait(SECRET_INTERVAL, self.now)));
        }
        Ok(access)
    }

    fn is_stalled(&self) -> bool {
        self.image.status.as_ref().is_some_and(|status| is_true(&status.conditions, STALLED))
    }

    /// Returns whether copies failed. Another Secret may be what they need.
    fn has_failed_tags(&self) -> bool {
        self.image.status.as_ref().is_some_and(|status| status.credentials.is_some())
    }

    async fn clients(&self, request: &CopyRequest, freshness: Freshness) -> Result<Access, AccessError> {
        let (registries, source, destination) =
            (&self.agent().registries, &request.source, &request.destination);
        let to = self.resolve(Side::Destination, destination, freshness).await?;
        let from = self.resolve(Side::Source, source, freshness).await?;
        let mut versions = from.versions.clone();
        versions.extend(to.versions.clone());
        let from_client = registries.repository(source, &from.access);
        let is_pull = from_client.counts_pulls() || source.host().is_docker_hub();
        let is_of_use = request.publish == Publish::Staged && !is_pull;
        Ok(Access {
            read_ahead: is_of_use.then(|| self.images.read_ahead.for_jobs_of(self.uid())),
            source: from_client,
            destination: registries.push_target(destination, &to.access),
            lent: LentAccess::of(&from, &to),
            allowances: [from.access.allowances, to.access.allowances],
            secrets: versions.all(),
            credentials: versions.digest(),
        })
    }

    async fn resolve(
        &self,
        side: Side,
        repository: &Repository,
        freshness: Freshness,
    ) -> Result<Resolved, AccessError> {
        self.agent().registry_access().resolve(self.endpoint_use(side, repository), freshness).await
    }

    /// Returns what one side is used for.
    pub(super) fn endpoint_use<'r>(&'r self, side: Side, repository: &'r Repository) -> EndpointUse<'r> {
        EndpointUse {
            namespace: self.namespace(),
            field: side.as_str(),
            repository,
            endpoint: self.image.spec.endpoint(side),
            action: match side {
                Side::Source => RegistryAction::Pull,
                Side::Destination => RegistryAction::Push,
            },
            lending: Lending::All,
        }
    }
}
