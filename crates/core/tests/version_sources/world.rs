//! The world outside: a fake of GitHub, fake registries, and a Helm that prints what a test wants.

use std::collections::HashMap;

use imgop_core::sources::github::{GithubLimits, GithubMemory};
use imgop_core::sources::{
    Answer, ArtifactPart, ChartLimits, ChartRun, EntryRef, Fetch, FetchError, FindError, Finder, Found, Get,
    GithubUrls, Update, VersionSource,
};
use imgop_fakes::{GitHub, settings};
use imgop_registry::reference::{Repository, Tag};
use imgop_registry::{Access, Registries, RegistryError};
use jiff::Timestamp;

pub const TOKEN: &str = "ghp_secret";

pub struct World {
    pub registries: Registries,
    pub token: Option<String>,
    pub now: Timestamp,
    pub rendered: String,
    pub pushed: HashMap<Tag, Timestamp>,
    pub memory: GithubMemory,
    pub limits: GithubLimits,
    pub charts: ChartLimits,
    pub urls: GithubUrls,
}

impl World {
    /// A world with GitHub, and a token for it.
    pub fn with(github: &GitHub) -> Self {
        let url = |address| format!("http://{address}/").parse().unwrap();
        Self {
            registries: Registries::new(settings()),
            token: Some(TOKEN.to_owned()),
            now: "2026-11-30T12:00:00Z".parse().unwrap(),
            rendered: String::new(),
            pushed: HashMap::new(),
            memory: GithubMemory::default(),
            limits: GithubLimits::default(),
            charts: ChartLimits::default(),
            urls: GithubUrls { api: url(github.api.address), raw: url(github.raw.address) },
        }
    }

    /// A world where GitHub has nothing.
    pub async fn without_github() -> Self {
        Self::with(&GitHub::start(TOKEN).await)
    }

    pub async fn find(&self, update: &Update) -> Result<Found, FindError> {
        let token = self.token.clone().map(Into::into);
        let finder = Finder {
            fetch: self,
            github: &self.urls,
            memory: &self.memory,
            limit: self.limits.of(token.as_ref()),
            charts: self.charts,
        };
        finder.find(update).await
    }

    /// What is found, as `SOURCE:TAG`.
    pub async fn found(&self, update: &Update) -> Vec<String> {
        references(&self.find(update).await.unwrap())
    }
}

pub fn references(found: &Found) -> Vec<String> {
    let of_image = |image: &imgop_core::sources::FoundImage| {
        let source = image.entry.source.as_str().to_owned();
        image.tags.iter().map(|tag| format!("{source}:{tag}")).collect::<Vec<_>>()
    };
    found.images.iter().flat_map(of_image).collect()
}

pub fn update(source: VersionSource, images: &[&str]) -> Update {
    let entries = images.iter().map(|image| EntryRef { source: image.parse_source(), target_name: None });
    Update { name: "app".to_owned(), source, entries: Some(entries.collect()), reviewers: Vec::new() }
}

trait ParseSource {
    fn parse_source(&self) -> imgop_core::formats::rancher::Source;
}

impl ParseSource for &str {
    fn parse_source(&self) -> imgop_core::formats::rancher::Source {
        imgop_core::formats::rancher::Source::parse(self).unwrap()
    }
}

impl Fetch for World {
    async fn get(&self, request: &Get) -> Result<Answer, FetchError> {
        let token = self.token.clone().map(Into::into);
        request.send(&self.registries, token.as_ref()).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        self.registries.repository(repository, &Access::default()).tags().await
    }

    async fn pushed(&self, _: &Repository, _: &[Tag]) -> Result<HashMap<Tag, Timestamp>, RegistryError> {
        Ok(self.pushed.clone())
    }

    async fn artifact_part(&self, part: &ArtifactPart<'_>) -> Result<Option<Vec<u8>>, RegistryError> {
        let access = Access { allowances: part.allowances(), ..Access::default() };
        let client = self.registries.repository(part.repository, &access);
        let part = client.artifact_part(part.tag, part.media_type, part.max_bytes).await?;
        Ok(part.map(|bytes| bytes.to_vec()))
    }

    async fn render(&self, _: &ChartRun) -> Result<String, FetchError> {
        if self.rendered.is_empty() {
            return Err(FetchError("helm is not there".to_owned()));
        }
        Ok(self.rendered.clone())
    }

    async fn packed(&self, _: &ChartRun, _: usize) -> Result<Vec<u8>, FetchError> {
        Err(FetchError("helm is not there".to_owned()))
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
