//! The world outside, as a namespace may see it.

use std::collections::HashMap;

use imgop_core::api::RegistryAction;
use imgop_core::inventory::{MirrorUpdateRequest, source_endpoint};
use imgop_core::sources::github::{GithubMemory, GithubUrls};
use imgop_core::sources::{
    Answer, ArtifactPart, ChartLimits, ChartRun, Fetch, FetchError, Finder, Found, Get, HelmCharts, OCI,
    VersionSource,
};
use imgop_registry::reference::{Reference, Repository, Tag};
use imgop_registry::{Access, RegistryError, RepositoryClient};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::super::Pass;
use super::Unknown;
use super::charts::Charts;
use crate::agent::Agent;
use crate::cluster::Freshness;
use crate::cluster::secrets::TOKEN_KEY;
use crate::registry_access::{EndpointUse, Lending};

/// How much is read of charts: the agent has little memory, and all who may write an ImageMirror may name one.
const CHART_LIMITS: ChartLimits = ChartLimits {
    index_bytes: 8 << 20,
    archive_bytes: 2 << 20,
    unpacked_bytes: 16 << 20,
    file_bytes: 512 << 10,
};

impl Pass<'_> {
    /// Returns what a version source announces.
    pub(super) async fn find(
        &self,
        request: &MirrorUpdateRequest,
        memory: &GithubMemory,
        charts: &Charts<'_>,
    ) -> Result<Found, Unknown> {
        let config = &self.agent().config.version_sources;
        let github = GithubUrls { api: config.github_api_url.clone(), raw: config.github_raw_url.clone() };
        let outside = Outside {
            agent: self.agent(),
            access: self.access_of(request).await.map_err(Unknown::because)?,
            token: self.github_token(request).await.map_err(Unknown::because)?,
            charts,
            reading: &self.mirrors.sources.reading,
            now: self.now,
        };
        let limit = self.mirrors.sources.github.of(outside.token.as_ref());
        let finder = Finder { fetch: &outside, github: &github, memory, limit, charts: CHART_LIMITS };
        Ok(finder.find(&request.update).await?)
    }

    /// Returns how the repositories are reached whose tags or charts an update asks for: as the mirror's `sources` say, with
    /// what is lent to the namespace.
    async fn access_of(&self, request: &MirrorUpdateRequest) -> Result<HashMap<Repository, Access>, String> {
        let mut all = HashMap::new();
        for name in asked_for(request) {
            let Reference { repository, .. } =
                name.parse::<Reference>().map_err(|error| format!("{name}: {error}"))?;
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
}

/// Returns the repositories of registries that an update asks for something.
fn asked_for(request: &MirrorUpdateRequest) -> Vec<&str> {
    match &request.update.source {
        VersionSource::Registry(_) => {
            request.update.entries.iter().flatten().map(|entry| entry.source.as_str()).collect()
        }
        VersionSource::HelmChart(HelmCharts { charts, .. }) => {
            charts.iter().filter_map(|chart| chart.name.strip_prefix(OCI)).collect()
        }
        VersionSource::GithubRelease(_) | VersionSource::GithubFile(_) => Vec::new(),
    }
}

/// The world outside, for one look.
struct Outside<'a> {
    agent: &'a Agent,
    access: HashMap<Repository, Access>,
    token: Option<SecretString>,
    charts: &'a Charts<'a>,
    /// The right to read what has arrived of charts.
    reading: &'a Semaphore,
    now: Timestamp,
}

impl Outside<'_> {
    fn client(&self, repository: &Repository) -> RepositoryClient {
        let access = self.access.get(repository).cloned().unwrap_or_default();
        self.agent.registries.repository(repository, &access)
    }
}

impl Fetch for Outside<'_> {
    /// What a Job rendered is known by what it rendered.
    const RENDERS_EXACT_VERSIONS: bool = true;

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

    async fn artifact_part(&self, part: &ArtifactPart<'_>) -> Result<Option<Vec<u8>>, RegistryError> {
        let mut access = self.access.get(part.repository).cloned().unwrap_or_default();
        if part.is_named_by_index {
            access = Access { allowances: part.allowances(), ..Access::default() };
        }
        let client = self.agent.registries.repository(part.repository, &access);
        let part = client.artifact_part(part.tag, part.media_type, part.max_bytes).await?;
        Ok(part.map(|bytes| bytes.to_vec()))
    }

    async fn render(&self, run: &ChartRun) -> Result<String, FetchError> {
        self.charts.rendered(run).map_err(FetchError)
    }

    async fn packed(&self, _: &ChartRun, _: usize) -> Result<Vec<u8>, FetchError> {
        Err(FetchError("the agent has no folder with charts".to_owned()))
    }

    fn memory(&self) -> impl Future<Output: Send> + Send {
        // It is never closed.
        async { self.reading.acquire().await.ok() }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
