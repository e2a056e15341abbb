//! `POST /searchRepositoryCatalogData`, as the Amazon ECR Public Gallery asks it.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::Entry;
use crate::transport::Request;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    repository_catalog_search_result_list: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    repository_name: String,
    primary_registry_alias_name: String,
    #[serde(default)]
    repository_description: Option<String>,
    #[serde(default)]
    download_count: Option<u64>,
    #[serde(default)]
    registry_verified: bool,
}

pub(super) fn request(base: &Url, term: &str, limit: usize, max_bytes: usize) -> Option<Request> {
    let body =
        json!({ "searchTerm": term, "maxResults": limit, "sortConfiguration": { "sortKey": "POPULARITY" } });
    let media_type = HeaderValue::from_static("application/json");
    let request = Request::get(base.join("searchRepositoryCatalogData").ok()?, max_bytes);
    Some(Request { method: Method::POST, body: Some((media_type, body.to_string().into())), ..request })
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    let entry = |found: Found| Entry {
        path: format!("{}/{}", found.primary_registry_alias_name, found.repository_name),
        description: found.repository_description,
        pulls: found.download_count,
        is_official: found.registry_verified,
        stars: None,
    };
    Ok(body.repository_catalog_search_result_list.into_iter().map(entry).collect())
}
