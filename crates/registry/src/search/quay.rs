//! `GET /api/v1/find/repositories?query=argocd` (quay/quay, "endpoints/api/search.py", `findRepos`). The size of a
//! page is the server's. Repositories of other kinds, such as applications, are left out.

use serde::Deserialize;
use url::Url;

use super::Entry;

#[derive(Deserialize)]
struct Body {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    name: String,
    namespace: Namespace,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    stars: Option<u64>,
}

#[derive(Deserialize)]
struct Namespace {
    name: String,
}

pub(super) fn url(base: &Url, term: &str) -> Option<Url> {
    let mut url = base.join("api/v1/find/repositories").ok()?;
    url.query_pairs_mut().append_pair("query", term);
    Some(url)
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    let is_of_images = |kind: &str| matches!(kind, "repository" | "image");
    let images = body.results.into_iter().filter(|found| found.kind.as_deref().is_none_or(is_of_images));
    let entry = |found: Found| Entry {
        path: format!("{}/{}", found.namespace.name, found.name),
        description: found.description,
        stars: found.stars,
        ..Entry::default()
    };
    Ok(images.map(entry).collect())
}
