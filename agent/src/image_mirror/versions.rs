//! What version sources announce, and what of that an inventory receives.
//!
//! What was added once stays: the Image that has the tag says so, so that a restart, a source that is down and one that
//! announces less lose nothing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use imgop_core::api::{FailedUpdate, MirrorProposals, RegistryAction, UpdateMode};
use imgop_core::inventory::{Inventory, MirrorUpdateRequest, MissingTags, source_endpoint};
use imgop_core::sources::github::{GithubMemory, GithubUrls};
use imgop_core::sources::{Answer, ChartRun, Fetch, FetchError, Finder, FoundImage, Get, VersionSource};
use imgop_core::text::shorten;
use imgop_core::time::{remaining, saturating_add};
use imgop_registry::reference::{Digest, Repository, Tag};
use imgop_registry::{Access, RegistryError};
use jiff::Timestamp;
use secrecy::SecretString;

use super::halt::Halt;
use super::mirrored::Mirrored;
use super::{Memory, Pass};
use crate::agent::Agent;
use crate::cluster::Freshness;
use crate::cluster::secrets::TOKEN_KEY;
use crate::registry_access::{EndpointUse, Lending};

/// Tags that one update may add in one step: more are a filter that selects too much, as a rule.
const MAX_ADDED: usize = 100;
/// Proposals and failures that are named.
const MAX_PROPOSALS: usize = 50;
const MAX_FAILED: usize = 20;
/// Bytes of a reason.
const MAX_REASON_BYTES: usize = 300;
/// When a source is asked again that was of no use.
const RETRY_INTERVAL: Duration = Duration::from_mins(5);

/// Specs name no charts.
const NO_HELM: &str = "the agent runs no Helm";

/// What is remembered of version sources. All of it may be lost.
#[derive(Debug, Default)]
pub(super) struct VersionMemory {
    looks: HashMap<String, Look>,
    /// By the Secret with the token: each account has a limit of its own.
    github: HashMap<Option<String>, GithubMemory>,
}

/// The last look at a version source.
#[derive(Debug)]
struct Look {
    request: MirrorUpdateRequest,
    next: Timestamp,
    found: Vec<FoundImage>,
    failed: Option<String>,
}

/// What is reported of version sources.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Versions {
    pub proposals: Option<MirrorProposals>,
    pub failed: Vec<FailedUpdate>,
    /// When the next source is looked at.
    pub wait: Option<Duration>,
}

impl Pass<'_> {
    /// Adds to an inventory what was added to it before and what version sources have announced since, as far as they
    /// are to be applied, and returns the rest as proposals.
    pub(super) async fn add_versions(
        &self,
        inventory: &mut Inventory,
        mirrored: &[Mirrored],
        is_asked_for: bool,
        memory: &mut Memory,
    ) -> Result<Versions, Halt> {
        let requests = MirrorUpdateRequest::read_all(&self.mirror.spec.updates).map_err(Halt::Spec)?;
        let memory = &mut memory.versions;
        memory.looks.retain(|name, _| requests.iter().any(|request| request.update.name == *name));
        memory.github.retain(|secret, _| requests.iter().any(|request| request.token_secret == *secret));
        for image in mirrored.iter().filter(|image| !image.found.is_empty()) {
            inventory.restore(&image.spec.source.name, &image.spec.destination.name, &image.found, &requests);
        }
        for request in &requests {
            let known = memory.looks.get(&request.update.name).filter(|look| look.request == *request);
            if known.is_none_or(|look| is_asked_for || look.next <= self.now) {
                self.look(request, memory).await;
            }
        }
        Ok(self.report_versions(&requests, inventory, memory))
    }

    async fn look(&self, request: &MirrorUpdateRequest, memory: &mut VersionMemory) {
        let name = &request.update.name;
        let before = memory.looks.remove(name).filter(|look| look.request.update == request.update);
        let github = memory.github.entry(request.token_secret.clone()).or_default();
        let (found, failed) = match self.find(request, github).await {
            Ok(found) => (found, None),
            // What was known stays.
            Err(why) => (before.map(|look| look.found).unwrap_or_default(), Some(why)),
        };
        let wait = if failed.is_some() { request.period.min(RETRY_INTERVAL) } else { request.period };
        let limited = github.limited_until(self.now);
        let next = saturating_add(self.now, wait).max(limited.unwrap_or(self.now));
        memory.looks.insert(name.clone(), Look { request: request.clone(), next, found, failed });
    }

    /// Returns what a version source announces, or why that is not known.
    async fn find(
        &self,
        request: &MirrorUpdateRequest,
        memory: &GithubMemory,
    ) -> Result<Vec<FoundImage>, String> {
        let config = &self.agent().config.version_sources;
        let github = GithubUrls { api: config.github_api_url.clone(), raw: config.github_raw_url.clone() };
        let outside = Outside {
            agent: self.agent(),
            access: self.access_of(request).await?,
            token: self.github_token(request).await?,
            now: self.now,
        };
        let finder = Finder { fetch: &outside, github: &github, memory };
        match finder.find(&request.update).await {
            Ok(found) => Ok(found.images),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns how the repositories are reached whose tags an update asks for: as the mirror's `sources` say, with what
    /// is lent to the namespace.
    async fn access_of(&self, request: &MirrorUpdateRequest) -> Result<HashMap<Repository, Access>, String> {
        let mut all = HashMap::new();
        if !matches!(request.update.source, VersionSource::Registry(_)) {
            return Ok(all);
        }
        for entry in request.update.entries.iter().flatten() {
            let name = entry.source.as_str();
            let repository: Repository = name.parse().map_err(|error| format!("{name}: {error}"))?;
            let of = EndpointUse {
                namespace: self.namespace(),
                field: "sources",
                repository: &repository,
                endpoint: source_endpoint(&self.mirror.spec, name),
                action: RegistryAction::Pull,
                lending: Lending::All,
            };
            let resolved = self.agent().registry_access().resolve(of, Freshness::Cached).await;
            let resolved = resolved.map_err(|error| error.to_string())?;
            all.insert(repository, resolved.access);
        }
        Ok(all)
    }

    async fn github_token(&self, request: &MirrorUpdateRequest) -> Result<Option<SecretString>, String> {
        let Some(name) = &request.token_secret else { return Ok(None) };
        let content = self.agent().secrets.get(self.namespace(), name, Freshness::Cached).await;
        let content = content.map_err(|error| error.to_string())?;
        let token = content.value(TOKEN_KEY).and_then(|value| std::str::from_utf8(value).ok());
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| format!("Secret {name:?} has no key {TOKEN_KEY} with a token"))?;
        Ok(Some(token.to_owned().into()))
    }

    fn report_versions(
        &self,
        requests: &[MirrorUpdateRequest],
        inventory: &mut Inventory,
        memory: &VersionMemory,
    ) -> Versions {
        let mut proposed = BTreeSet::new();
        let mut failed = Vec::new();
        for request in requests {
            let Some(look) = memory.looks.get(&request.update.name) else { continue };
            let mut report = |message: &str| {
                let message = shorten(message, MAX_REASON_BYTES).into_owned();
                failed.push(FailedUpdate { name: request.update.name.clone(), message });
            };
            if let Some(why) = &look.failed {
                report(why);
            }
            let missing = inventory.missing(&look.found);
            let count: usize = missing.iter().map(|missing| missing.tags.len()).sum();
            match request.mode {
                UpdateMode::Apply if count <= MAX_ADDED => inventory.add(&missing),
                UpdateMode::Apply => {
                    report(&format!(
                        "it has {count} new tags, and adds {MAX_ADDED} at most in one step: narrow it, or add those that \
                         are wanted to the entries"
                    ));
                    proposed.extend(missing.iter().flat_map(MissingTags::references));
                }
                UpdateMode::Propose => proposed.extend(missing.iter().flat_map(MissingTags::references)),
            }
        }
        failed.truncate(MAX_FAILED);
        let next = memory.looks.values().map(|look| remaining(look.next, self.now)).min();
        Versions { proposals: proposals(&proposed), failed, wait: next }
    }
}

fn proposals(all: &BTreeSet<String>) -> Option<MirrorProposals> {
    let list = all.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    (!all.is_empty()).then(|| MirrorProposals {
        count: u32::try_from(all.len()).unwrap_or(u32::MAX),
        tags: all.iter().take(MAX_PROPOSALS).cloned().collect(),
        hash: Digest::of(list.as_bytes()).hex().to_owned(),
    })
}

/// The world outside, as a namespace may see it.
struct Outside<'a> {
    agent: &'a Agent,
    access: HashMap<Repository, Access>,
    token: Option<SecretString>,
    now: Timestamp,
}

impl Outside<'_> {
    fn client(&self, repository: &Repository) -> imgop_registry::RepositoryClient {
        let access = self.access.get(repository).cloned().unwrap_or_default();
        self.agent.registries.repository(repository, &access)
    }
}

impl Fetch for Outside<'_> {
    async fn get(&self, request: &Get) -> Result<Answer, FetchError> {
        request.send(&self.agent.registries, self.token.as_ref()).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        self.client(repository).tags().await
    }

    async fn pushed(
        &self,
        repository: &Repository,
        tags: &[Tag],
    ) -> Result<HashMap<Tag, Timestamp>, RegistryError> {
        let wanted = tags.iter().cloned().collect();
        let pushes = self.client(repository).pushes_in_bulk(&wanted, tags).await;
        Ok(pushes.into_iter().filter_map(|(tag, push)| Some((tag, push.pushed?))).collect())
    }

    async fn render(&self, _: &ChartRun) -> Result<String, FetchError> {
        Err(FetchError(NO_HELM.to_owned()))
    }

    async fn chart(&self, _: &ChartRun) -> Result<Vec<u8>, FetchError> {
        Err(FetchError(NO_HELM.to_owned()))
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
