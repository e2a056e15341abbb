//! Digests of many tags at once, from APIs that some registries have beside the distribution API.
//!
//! Such an API only saves questions. Which tags there are is never learned from it: it shows a window
//! (Docker Hub refuses pages beyond some 1,000 tags), lags behind its registry, and tags move between
//! its pages. Whatever it does not tell, whatever it tells twice in two ways, and whatever it refuses
//! is asked of the registry itself, one HEAD a tag. No credential is ever sent to it.

mod api;
mod docker_hub;
mod ecr_public;
mod found;
mod plan;
mod quay;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::Instant;

pub use api::{BulkApi, BulkKind};
pub use found::BulkDigest;

use self::api::Cursor;
use self::found::Found;
use self::plan::Plan;
use super::error::Failure;
use super::refusal::refusal;
use super::{RepositoryClient, Tls};
use crate::reference::Tag;
use crate::reference::{RegistryHost, Repository};

/// How long a repository is spared what its API refused.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Repositories whose refusals are remembered.
const MOST_REMEMBERED: usize = 4096;

/// How far the API went for repositories for which it did not go on.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Repository, (Instant, usize)>>);

impl RepositoryClient {
    /// The digests of `wanted`, and when they were pushed, as far as the registry has an API that tells many at once, and using
    /// it takes clearly fewer requests than a HEAD for each. `listed` are all tags of the repository.
    ///
    /// There is no error: a tag that is not in the answer has to be asked for. What is in it may be a
    /// little old, so it is good for finding that nothing has changed; before acting on a change,
    /// [`head`](Self::head) has the last word.
    pub async fn digests_in_bulk(&self, wanted: &HashSet<Tag>, listed: &[Tag]) -> HashMap<Tag, BulkDigest> {
        self.ask_in_bulk(wanted, |kind, reach| Plan::new(kind, wanted, listed, reach)).await
    }

    /// The same where it matters when they were pushed, be it for one tag. `listed` is empty where the tags
    /// of the repository are not known.
    pub async fn pushes_in_bulk(&self, wanted: &HashSet<Tag>, listed: &[Tag]) -> HashMap<Tag, BulkDigest> {
        self.ask_in_bulk(wanted, |kind, reach| Plan::for_pushes(kind, wanted, listed, reach)).await
    }

    async fn ask_in_bulk(
        &self,
        wanted: &HashSet<Tag>,
        plan: impl FnOnce(BulkKind, usize) -> Option<Plan>,
    ) -> HashMap<Tag, BulkDigest> {
        let settings = &self.shared.transport.settings;
        let Some(api) = settings.bulk_apis.get(self.repository.host()) else { return HashMap::new() };
        let reach = self.shared.bulk.reach(&self.repository).unwrap_or(settings.max_pages);
        let Some(plan) = plan(api.kind, reach) else { return HashMap::new() };
        let mut found = Found::new(wanted);
        let collected =
            tokio::time::timeout(settings.bulk_timeout, self.collect(api, &plan, &mut found)).await;
        let ended = collected.unwrap_or_else(|_| Err(Failure::protocol("no end of it in time")));
        if let Err(failure) = ended {
            let (repository, pages) = (&self.repository, found.pages);
            tracing::debug!(%repository, pages, %failure, "the bulk API does not go on");
            self.shared.bulk.remember(repository, pages);
        }
        found.into_digests()
    }

    /// Reads pages until everything is found, or the plan says that it is enough.
    async fn collect(&self, api: &BulkApi, plan: &Plan, found: &mut Found<'_>) -> Result<(), Failure> {
        let transport = &self.shared.transport;
        let base = api.base()?;
        let loopback = super::address::host(&base).parse::<RegistryHost>().is_ok_and(|h| h.is_loopback());
        // Not the registry's own TLS settings: this is another host, and a public one.
        let client = transport.pools.client(&Tls::default(), loopback, &transport.settings)?;
        let mut bytes_left = transport.settings.max_list_bytes;
        let (mut cursor, mut seen) = (Cursor::default(), HashSet::new());
        loop {
            let call = api.kind.call(&base, self.repository.path(), &plan.filter, &cursor, bytes_left)?;
            let answer = transport.send(&client, &call).await?;
            if answer.status != StatusCode::OK {
                return Err(refusal(&answer, &[]));
            }
            let page = api.kind.read(&answer.body);
            let page = page.map_err(|_| Failure::protocol("not a page of tags"))?;
            bytes_left = bytes_left.saturating_sub(answer.body.len());
            found.add(page.tags);
            let Some(next) = page.next.filter(|_| !found.is_all() && found.pages < plan.pages) else {
                return Ok(());
            };
            cursor = cursor.next(next);
            if cursor.token.as_ref().is_some_and(|token| !seen.insert(token.clone())) {
                return Err(Failure::protocol("the pages go round in circles"));
            }
        }
    }
}

impl Memory {
    /// How many pages a repository's API gave when it last did not go on.
    fn reach(&self, repository: &Repository) -> Option<usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(repository).filter(|(at, _)| at.elapsed() < REMEMBERED).map(|(_, pages)| *pages)
    }

    fn remember(&self, repository: &Repository, pages: usize) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        }
        if known.len() < MOST_REMEMBERED {
            known.insert(repository.clone(), (Instant::now(), pages));
        }
    }
}
