//! `GET /v2/search/repositories/?query=nginx&page_size=25`, as the website asks it. Official images have no
//! namespace in their name.

use serde::Deserialize;
use url::Url;

use super::Entry;

#[derive(Deserialize)]
struct Body {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    repo_name: String,
    #[serde(default)]
    short_description: Option<String>,
    #[serde(default)]
    star_count: Option<u64>,
    #[serde(default)]
    pull_count: Option<u64>,
    #[serde(default)]
    is_official: bool,
}

pub(super) fn url(base: &Url, term: &str, limit: usize) -> Option<Url> {
    let mut url = base.join("v2/search/repositories/").ok()?;
    url.query_pairs_mut().append_pair("query", term).append_pair("page_size", &limit.to_string());
    Some(url)
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    let entry = |found: Found| Entry {
        path: found.repo_name,
        description: found.short_description,
        stars: found.star_count,
        pulls: found.pull_count,
        is_official: found.is_official,
    };
    Ok(body.results.into_iter().map(entry).collect())
}
