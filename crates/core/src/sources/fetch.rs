//! What version sources ask of the world outside this process, which is handed in.

use std::collections::HashMap;

use imgop_registry::reference::{Repository, Tag};
use imgop_registry::{Allowances, Registries, RegistryError, WebRequest};
use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use super::charts::ChartRun;

/// The world outside, for version sources.
pub trait Fetch: Sync {
    /// Whether [`render`](Self::render) has to be told the exact version of a chart. Else Helm finds it.
    const RENDERS_EXACT_VERSIONS: bool = false;

    /// Sends a request to GitHub, and for files of chart repositories.
    fn get(&self, request: &Get) -> impl Future<Output = Result<Answer, FetchError>> + Send;

    /// Returns all tags of a repository: all, or an error.
    fn tags(&self, repository: &Repository) -> impl Future<Output = Result<Vec<Tag>, RegistryError>> + Send;

    /// Returns when tags were pushed, of those of which the registry says it.
    fn pushed(
        &self,
        repository: &Repository,
        tags: &[Tag],
    ) -> impl Future<Output = Result<HashMap<Tag, Timestamp>, RegistryError>> + Send;

    /// Returns a part of an artifact, such as a chart's archive, by its media type. `None` if the repository has no such
    /// tag, or that no such part. One of more bytes is an error.
    fn artifact_part(
        &self,
        part: &ArtifactPart<'_>,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, RegistryError>> + Send;

    /// Returns what Helm makes of a chart: YAML documents.
    fn render(&self, run: &ChartRun) -> impl Future<Output = Result<String, FetchError>> + Send;

    /// Returns the archive of a chart that is a folder of this machine, as Helm packs it. More than `max_bytes` are not read.
    fn packed(
        &self,
        run: &ChartRun,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<u8>, FetchError>> + Send;

    /// Waits for the memory that it takes to read an index or an archive that has arrived. It is taken for as long as the
    /// returned value lives.
    fn memory(&self) -> impl Future<Output: Send> + Send {
        std::future::ready(())
    }

    /// Returns the time.
    fn now(&self) -> Timestamp;
}

/// A part of an artifact.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactPart<'a> {
    /// Where the artifact is.
    pub repository: &'a Repository,
    /// Its tag.
    pub tag: &'a Tag,
    /// What the part is.
    pub media_type: &'a str,
    /// Bytes that it may have.
    pub max_bytes: usize,
    /// Whether the index of a chart repository names the registry, and no spec.
    pub is_named_by_index: bool,
}

/// A GET request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// The address.
    pub url: Url,
    /// The media type that is wanted.
    pub accept: &'static str,
    /// The `ETag` of what is known, which the server need not send again.
    pub etag: Option<String>,
    /// Whether it goes to GitHub, whose credential then goes with it.
    pub is_for_github: bool,
    /// The chart repository whose index names the address, where no spec does.
    pub named_by: Option<Url>,
    /// Bytes that an answer may have.
    pub max_bytes: usize,
}

/// The answer to a request, of any status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `etag`.
    pub etag: Option<String>,
    /// The header `link`.
    pub link: Option<String>,
    /// The header `x-ratelimit-remaining`.
    pub remaining: Option<u64>,
    /// The header `x-ratelimit-reset`: seconds since 1970.
    pub reset: Option<i64>,
    /// The header `retry-after`, in seconds.
    pub retry_after: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

impl ArtifactPart<'_> {
    /// Returns what is allowed at its registry, where nothing else says it.
    pub fn allowances(&self) -> Allowances {
        if self.is_named_by_index { Allowances::foreign() } else { Allowances::default() }
    }
}

impl Get {
    /// Sends it by the connections that a process has to its registries. The token goes to GitHub only.
    pub async fn send(
        &self,
        registries: &Registries,
        github_token: Option<&SecretString>,
    ) -> Result<Answer, FetchError> {
        let request = WebRequest {
            url: self.url.clone(),
            accept: self.accept,
            etag: self.etag.clone(),
            token: github_token.filter(|_| self.is_for_github).cloned(),
            max_bytes: self.max_bytes,
            named_by: self.named_by.clone(),
        };
        let answer = registries.web(&request).await.map_err(|error| FetchError(error.to_string()))?;
        let text = |name| answer.header(name).map(str::to_owned);
        let number = |name| answer.header(name).and_then(|text| text.parse().ok());
        Ok(Answer {
            status: answer.status,
            etag: text("etag"),
            link: text("link"),
            remaining: number("x-ratelimit-remaining").and_then(|number: i64| u64::try_from(number).ok()),
            reset: number("x-ratelimit-reset"),
            retry_after: number("retry-after"),
            body: answer.body,
        })
    }
}
