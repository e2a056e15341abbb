//! Digests of many tags at once, from APIs that some registries have beside the distribution API.
//!
//! Such an API only saves requests. Which tags exist is never learned from it: it shows a window (Docker
//! Hub refuses pages beyond some 1,000 tags), lags behind its registry, and tags move between its pages.
//! What it does not return, returns in two ways, or refuses is requested from the registry itself, one HEAD
//! a tag. It never receives a credential.

mod docker_hub;
mod ecr_public;
mod found;
mod page;
mod plan;
mod provider;
mod quay;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::StatusCode;

pub use self::found::BulkDigest;
use self::found::Found;
use self::page::Cursor;
use self::plan::Plan;
use crate::cache::Bounded;
use crate::credentials::Access;
use crate::error::Failure;
use crate::reference::{Repository, Tag};
use crate::settings::{BulkApi, BulkKind};
use crate::transport::{Http, Request, error_of};

/// How long a repository is spared what its API refused.
const REFUSAL_TTL: Duration = Duration::from_hours(1);
/// Repositories whose refusals are remembered.
const MAX_REFUSALS: usize = 4096;

/// How many pages the API served for repositories for which it then refused.
#[derive(Debug)]
pub(crate) struct Reach(Mutex<Bounded<Repository, usize>>);

/// Why the wanted tags are looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// To save HEADs.
    Digests,
    /// For push times, which no HEAD returns.
    PushTimes,
}

/// What to look up in a repository.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) wanted: &'a HashSet<Tag>,
    /// All tags of the repository; empty where they are not known.
    pub(crate) listed: &'a [Tag],
    pub(crate) purpose: Purpose,
}

impl Default for Reach {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MAX_REFUSALS)))
    }
}

impl Query<'_> {
    fn plan(&self, kind: BulkKind, reach: usize) -> Option<Plan> {
        match self.purpose {
            Purpose::Digests => Plan::new(kind, self.wanted, self.listed, reach),
            Purpose::PushTimes => Plan::for_pushes(kind, self.wanted, self.listed, reach),
        }
    }
}

/// Returns what the registry's bulk API says of the wanted tags; nothing where it has none, or HEADs are
/// cheaper. There is no error: a tag that is missing has to be requested from the registry.
pub(crate) async fn look_up(http: &Http, refusals: &Reach, query: Query<'_>) -> HashMap<Tag, BulkDigest> {
    let settings = http.settings();
    let Some(api) = settings.bulk_apis.get(query.repository.host()) else { return HashMap::new() };
    let reach = refusals.0.lock().get(query.repository).copied().unwrap_or(settings.max_pages);
    let Some(plan) = query.plan(api.kind, reach) else { return HashMap::new() };
    let mut found = Found::new(query.wanted);
    let collected = collect(http, api, query.repository, &plan, &mut found);
    let collected = tokio::time::timeout(settings.bulk_timeout, collected).await;
    let ended = collected.unwrap_or_else(|_| Err(Failure::protocol("it timed out")));
    if let Err(failure) = ended {
        let (repository, pages) = (query.repository, found.pages);
        tracing::debug!(%repository, count = pages, error = %failure, "the bulk API ends early");
        refusals.0.lock().insert(repository.clone(), pages, REFUSAL_TTL);
    }
    found.into_digests()
}

/// Reads pages until everything is found or the plan ends.
async fn collect(
    http: &Http,
    api: &BulkApi,
    repository: &Repository,
    plan: &Plan,
    found: &mut Found<'_>,
) -> Result<(), Failure> {
    let base = api.base()?;
    // Not the registry's own TLS settings: this is another host, and a public one.
    let channel = http.channel(base.clone(), &Access::default(), None)?;
    let mut bytes_left = http.settings().max_list_bytes;
    let (mut cursor, mut seen) = (Cursor::default(), HashSet::new());
    loop {
        let request: Request =
            api.kind.request(&base, repository.path(), &plan.filter, &cursor, bytes_left)?;
        let response = http.send(&channel, &request).await?;
        if response.status != StatusCode::OK {
            return Err(error_of(&response, &[]));
        }
        let page = api.kind.read(&response.body).map_err(|_| Failure::protocol("not a page of tags"))?;
        bytes_left = bytes_left.saturating_sub(response.body.len());
        found.add(page.tags);
        let Some(next) = page.next.filter(|_| !found.is_all() && found.pages < plan.pages) else {
            return Ok(());
        };
        cursor = cursor.next(next);
        if cursor.token.as_ref().is_some_and(|token| !seen.insert(token.clone())) {
            return Err(Failure::protocol("its pages repeat"));
        }
    }
}
