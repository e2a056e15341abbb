//! Docker Hub's own API: which repositories a namespace there has. The registry does not tell a repository that does not
//! exist from one that must not be seen.

use std::collections::{BTreeSet, HashMap};

use imgop_registry::reference::{RegistryHost, Repository};
use imgop_registry::{Registries, WebRequest};
use serde::Deserialize;
use url::Url;

/// Pages of 100 repositories that are read.
const MAX_PAGES: usize = 100;
/// Bytes of a page.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A page of `GET /v2/namespaces/NAMESPACE/repositories`.
#[derive(Deserialize)]
struct Page {
    results: Vec<Listed>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
}

/// Repositories of Docker Hub's namespaces that everyone may see, or why they are not known.
pub struct HubRepositories(HashMap<String, Result<BTreeSet<String>, String>>);

impl HubRepositories {
    /// Lists those of the namespaces that these repositories are in, of which those elsewhere do not count.
    pub async fn of(registries: &Registries, api: &Url, repositories: &[Repository]) -> Self {
        let mut known = HashMap::new();
        for (namespace, _) in repositories.iter().filter_map(parts) {
            if !known.contains_key(namespace) {
                known.insert(namespace.to_owned(), listed(registries, api, namespace).await);
            }
        }
        Self(known)
    }

    /// Returns whether a repository of Docker Hub is listed, or why that is not known; nothing of another registry's.
    pub fn has(&self, repository: &Repository) -> Option<Result<bool, &str>> {
        let (namespace, name) = parts(repository)?;
        let listed = self.0.get(namespace)?.as_ref();
        Some(listed.map(|names| names.contains(name)).map_err(String::as_str))
    }
}

/// Returns namespace and name of a repository of Docker Hub.
fn parts(repository: &Repository) -> Option<(&str, &str)> {
    repository.path().split_once('/').filter(|_| *repository.host() == RegistryHost::docker_hub())
}

async fn listed(registries: &Registries, api: &Url, namespace: &str) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    for number in 1..=MAX_PAGES {
        let Some(page) = page(registries, api, namespace, number).await? else { return Ok(names) };
        names.extend(page.results.into_iter().map(|listed| listed.name));
        if page.next.is_none_or(|next| next.is_empty()) {
            return Ok(names);
        }
    }
    Err(format!("Docker Hub's namespace {namespace} has more than {} repositories", MAX_PAGES * 100))
}

/// Returns a page; none where there is no such namespace.
async fn page(
    registries: &Registries,
    api: &Url,
    namespace: &str,
    number: usize,
) -> Result<Option<Page>, String> {
    let mut url = api.clone();
    url.path_segments_mut().map_err(|()| format!("{api} is no address of an API"))?.pop_if_empty().extend([
        "v2",
        "namespaces",
        namespace,
        "repositories",
    ]);
    url.query_pairs_mut().append_pair("page_size", "100").append_pair("page", &number.to_string());
    let request = WebRequest {
        url,
        accept: "application/json",
        etag: None,
        token: None,
        max_bytes: MAX_PAGE_BYTES,
        named_by: None,
    };
    let answer = registries.web(&request).await.map_err(|error| error.to_string())?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|error| format!("Docker Hub's list of {namespace} cannot be read: {error}")),
        404 => Ok(None),
        status => Err(format!("Docker Hub answered {status} for the namespace {namespace}")),
    }
}
