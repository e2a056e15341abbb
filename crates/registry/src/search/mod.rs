//! Repositories by words: the search APIs of Docker Hub, Quay and ECR Public.
//!
//! They are no part of the distribution API. Each sends a page that is sorted by how well it fits; names and
//! descriptions are what their owners wrote, so that callers make them safe to print.

mod docker_hub;
mod ecr_public;
mod quay;

use reqwest::StatusCode;

use crate::credentials::Access;
use crate::error::{Failure, Reason};
use crate::reference::{RegistryHost, Repository};
use crate::settings::{BulkApi, BulkKind};
use crate::transport::{Http, Request, error_of};

/// Repositories on a page at most; what all of the APIs serve.
const MAX_RESULTS: usize = 100;
/// Bytes of a page.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A repository that a search finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRepository {
    /// The repository.
    pub repository: Repository,
    /// What its owner writes about it.
    pub description: String,
    /// How many users have starred it, if the registry counts them.
    pub stars: Option<u64>,
    /// How often it was pulled, if the registry counts that.
    pub pulls: Option<u64>,
    /// Whether the registry vouches for its owner.
    pub is_official: bool,
}

/// Why a registry was not searched.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot search {registry}: {why}")]
pub struct SearchError {
    registry: RegistryHost,
    why: String,
}

/// A repository as an API writes it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    path: String,
    description: Option<String>,
    stars: Option<u64>,
    pulls: Option<u64>,
    is_official: bool,
}

/// Returns the repositories that a search for a term finds.
pub(crate) async fn search(
    http: &Http,
    registry: &RegistryHost,
    term: &str,
    limit: usize,
) -> Result<Vec<FoundRepository>, SearchError> {
    let apis = &http.settings().bulk_apis;
    let error = |why: String| SearchError { registry: registry.clone(), why };
    let api = apis.get(registry).ok_or_else(|| {
        let searched: Vec<_> = apis.keys().map(RegistryHost::as_str).collect();
        error(format!("it has no search; these have one: {}", searched.join(", ")))
    })?;
    let entries = page(http, api, term, limit.clamp(1, MAX_RESULTS)).await;
    let mut entries = entries.map_err(|failure| error(failure.to_string()))?;
    entries.truncate(limit);
    Ok(entries.into_iter().filter_map(|entry| entry.found(registry)).collect())
}

async fn page(http: &Http, api: &BulkApi, term: &str, limit: usize) -> Result<Vec<Entry>, Failure> {
    let base: url::Url =
        api.base.parse().map_err(|_| Failure::new(Reason::Settings, "the API has no address"))?;
    let request = match api.kind {
        BulkKind::DockerHub => {
            docker_hub::url(&base, term, limit).map(|url| Request::get(url, MAX_PAGE_BYTES))
        }
        BulkKind::Quay => quay::url(&base, term).map(|url| Request::get(url, MAX_PAGE_BYTES)),
        BulkKind::EcrPublic => ecr_public::request(&base, term, limit, MAX_PAGE_BYTES),
    };
    let request = request.ok_or_else(|| Failure::new(Reason::Settings, "no request for the search"))?;
    let request = Request { accept: Some("application/json"), ..request };
    // Not the registry's own TLS settings: this is another host, and a public one.
    let channel = http.channel(base.clone(), &Access::default(), None)?;
    let response = http.send(&channel, &request).await?;
    if response.status != StatusCode::OK {
        return Err(error_of(&response, &[]));
    }
    let entries = match api.kind {
        BulkKind::DockerHub => docker_hub::read(&response.body),
        BulkKind::Quay => quay::read(&response.body),
        BulkKind::EcrPublic => ecr_public::read(&response.body),
    };
    entries.map_err(|_| Failure::protocol("not a page of repositories"))
}

impl Entry {
    /// Returns the repository, if its name is one.
    fn found(self, registry: &RegistryHost) -> Option<FoundRepository> {
        let repository = format!("{registry}/{}", self.path).parse().ok()?;
        let Self { description, stars, pulls, is_official, .. } = self;
        Some(FoundRepository {
            repository,
            description: description.unwrap_or_default(),
            stars,
            pulls,
            is_official,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_object_is_no_empty_page() {
        for bad in ["", "null", "{}", "[]", r#"{"message":"no"}"#, "<html>"] {
            assert!(docker_hub::read(bad.as_bytes()).is_err(), "{bad}");
            assert!(quay::read(bad.as_bytes()).is_err(), "{bad}");
            assert!(ecr_public::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_is_no_repository_is_left_out() {
        let entry = |path: &str| Entry { path: path.to_owned(), ..Entry::default() };
        let host = "docker.io".parse().unwrap();
        assert_eq!(entry("nginx").found(&host).unwrap().repository.to_string(), "docker.io/library/nginx");
        assert_eq!(entry("../x").found(&host), None);
    }
}
