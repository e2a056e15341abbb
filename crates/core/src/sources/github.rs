//! Releases and files of repositories of GitHub, from its REST API and its host for raw files.

mod limits;
mod memory;
mod pages;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

pub use limits::{GithubLimit, GithubLimits};
pub use memory::GithubMemory;
use memory::{Known, Remembered};

use super::fetch::{Answer, Fetch, FetchError, Get};

/// What the API is asked for.
const JSON: &str = "application/vnd.github+json";
/// Releases on a page: as many as GitHub gives.
const PAGE_SIZE: usize = 100;
/// Pages of a list: more are an error and no smaller truth.
const MAX_PAGES: usize = 10;
/// Bytes of a page. A release has the text of its notes with it.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// Bytes of a file.
const MAX_FILE_BYTES: usize = 1 << 20;

/// A repository of GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubRepository {
    /// A user or an organisation.
    pub owner: String,
    /// The repository's name.
    pub name: String,
}

/// Where GitHub is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubUrls {
    /// The REST API: `https://api.github.com/`.
    pub api: Url,
    /// Files at a ref: `https://raw.githubusercontent.com/`.
    pub raw: Url,
}

/// A release, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// The tag.
    pub tag_name: String,
    /// Not meant for everyone.
    #[serde(default)]
    pub prerelease: bool,
    /// Not published.
    #[serde(default)]
    pub draft: bool,
}

/// Why GitHub was of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// No more requests are taken for a while.
    #[error("GitHub takes no more requests until {until}; with a token it takes 5,000 an hour")]
    RateLimited {
        /// When it takes requests again.
        until: Timestamp,
    },
    /// The token is wrong, or must not do this.
    #[error("GitHub refuses the token{}", of_message(.0))]
    Unauthorized(String),
    /// There is no such thing, or the token must not see it.
    #[error("GitHub has no {0}, or the token must not see it")]
    NotFound(String),
    /// More releases than are read.
    #[error("{0} has more than {releases} releases; take only the latest one", releases = PAGE_SIZE * MAX_PAGES)]
    TooManyPages(GithubRepository),
    /// The answer is not what the API promises.
    #[error("GitHub's answer for {0} could not be read: {1}")]
    Unreadable(String, String),
    /// Another status.
    #[error("GitHub answered {status} for {what}{}", of_message(message))]
    Status {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// What GitHub says.
        message: String,
    },
    /// No answer.
    #[error("GitHub does not answer: {0}")]
    NoAnswer(#[from] FetchError),
}

fn of_message(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// GitHub, asked by one process.
#[derive(Debug)]
pub struct Github<'a, F> {
    /// The world outside.
    pub fetch: &'a F,
    /// Where GitHub is.
    pub urls: &'a GithubUrls,
    /// What it answered before.
    pub memory: &'a GithubMemory,
    /// When it takes requests of this credential.
    pub limit: GithubLimit<'a>,
}

impl<F: Fetch> Github<'_, F> {
    /// Returns all releases, newest first as GitHub has them.
    pub async fn releases(&self, repository: &GithubRepository) -> Result<Vec<Release>, GithubError> {
        let mut url = self.api(&format!("repos/{repository}/releases"))?;
        url.set_query(Some(&format!("per_page={PAGE_SIZE}")));
        let mut releases = Vec::new();
        for _ in 0..MAX_PAGES {
            let what = format!("the releases of {repository}");
            let (page, next) = self.releases_at(url, what.clone()).await?;
            releases.extend(page);
            let Some(link) = next else { return Ok(releases) };
            // A token goes with the request, so that the next page has to be where this one was.
            let is_of_api = |link: &Url| link.origin() == self.urls.api.origin();
            url = link
                .parse()
                .ok()
                .filter(is_of_api)
                .ok_or_else(|| GithubError::Unreadable(what, format!("the next page is at {link}")))?;
        }
        Err(GithubError::TooManyPages(repository.clone()))
    }

    /// Returns the release that GitHub calls the latest.
    pub async fn latest_release(&self, repository: &GithubRepository) -> Result<Release, GithubError> {
        let url = self.api(&format!("repos/{repository}/releases/latest"))?;
        let (releases, _) = self.releases_at(url, format!("latest release of {repository}")).await?;
        let none = || GithubError::NotFound(format!("latest release of {repository}"));
        releases.into_iter().next().ok_or_else(none)
    }

    /// Returns a file as it is at a tag.
    pub async fn file(
        &self,
        repository: &GithubRepository,
        tag: &str,
        path: &str,
    ) -> Result<String, GithubError> {
        let what = format!("{path} of {repository} at {tag}");
        let mut url = self.urls.raw.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&repository.owner).push(&repository.name);
            // `refs/tags/…` and not the tag alone, which could be the name of a branch as well.
            segments.extend(["refs", "tags"]).extend(tag.split('/')).extend(path.split('/'));
        }
        let is_for_github = self.urls.is_raw_of_api();
        let (accept, max_bytes) = ("text/plain", MAX_FILE_BYTES);
        let request = Get { url, accept, etag: None, is_for_github, named_by: None, max_bytes };
        let known = self.send(request, &what, |answer| {
            String::from_utf8(answer.body.clone()).map(Known::Text).map_err(|error| error.to_string())
        });
        match known.await? {
            Known::Text(text) => Ok(text),
            Known::Releases { .. } => Err(GithubError::NotFound(what)),
        }
    }

    async fn releases_at(
        &self,
        url: Url,
        what: String,
    ) -> Result<(Vec<Release>, Option<String>), GithubError> {
        let (accept, max_bytes) = (JSON, MAX_PAGE_BYTES);
        let request = Get { url, accept, etag: None, is_for_github: true, named_by: None, max_bytes };
        match self.send(request, &what, pages::decode).await? {
            Known::Releases { releases, next } => Ok((releases, next)),
            Known::Text(_) => Err(GithubError::NotFound(what)),
        }
    }

    fn api(&self, path: &str) -> Result<Url, GithubError> {
        let mut base = self.urls.api.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.join(path).map_err(|error| GithubError::Unreadable(path.to_owned(), error.to_string()))
    }

    /// Sends a request, unless GitHub takes none at the moment. What is known already is not sent again.
    async fn send(
        &self,
        request: Get,
        what: &str,
        decode: impl Fn(&Answer) -> Result<Known, String> + Send,
    ) -> Result<Known, GithubError> {
        let now = self.fetch.now();
        let host = request.url.host_str().unwrap_or_default().to_owned();
        if let Some(until) = self.limit.until(&host, now) {
            return Err(GithubError::RateLimited { until });
        }
        let remembered = self.memory.get(request.url.as_str());
        let etag = remembered.as_ref().map(|remembered| remembered.etag.clone());
        let request = Get { etag, ..request };
        let answer = self.fetch.get(&request).await?;
        match (answer.status, remembered) {
            (304, Some(remembered)) => Ok(remembered.known),
            (200, _) => {
                let unreadable = |why| GithubError::Unreadable(what.to_owned(), why);
                let known = decode(&answer).map_err(unreadable)?;
                if let Some(etag) = answer.etag {
                    self.memory.put(request.url.as_str(), Remembered { etag, known: known.clone() });
                }
                Ok(known)
            }
            _ => Err(self.refusal(&answer, &host, what, now)),
        }
    }

    fn refusal(&self, answer: &Answer, host: &str, what: &str, now: Timestamp) -> GithubError {
        if let Some(until) = pages::limited_until(answer, now) {
            self.limit.set(host, until, now);
            return GithubError::RateLimited { until };
        }
        let message = pages::message(&answer.body);
        match answer.status {
            401 => GithubError::Unauthorized(message),
            404 => GithubError::NotFound(what.to_owned()),
            status => GithubError::Status { what: what.to_owned(), status, message },
        }
    }
}

impl GithubUrls {
    /// Whether both are of one GitHub, so that a token for the API may go to the host for raw files too.
    fn is_raw_of_api(&self) -> bool {
        let hosts = (self.api.host_str(), self.raw.host_str());
        hosts.0 == hosts.1 || hosts == (Some("api.github.com"), Some("raw.githubusercontent.com"))
    }
}

impl FromStr for GithubRepository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            !name.is_empty()
                && !matches!(name, "." | "..")
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("{text:?} is no repository of GitHub; write owner/name")),
        }
    }
}

impl fmt::Display for GithubRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests;
