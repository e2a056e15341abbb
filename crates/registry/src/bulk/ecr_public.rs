//! `POST /describeImageTags`, as the Amazon ECR Public Gallery asks it; at most 1,000 tags a page.
//!
//! The fields are those of `DescribeImageTags` (Amazon ECR Public API reference), with the alias of
//! the registry in place of the number of its account.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::page::{Cursor, Next, Page, PageEntry, Time};
use crate::transport::Request;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    image_tag_details: Vec<Entry>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    image_tag: String,
    #[serde(default)]
    image_detail: Option<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    image_digest: Option<String>,
    #[serde(default)]
    image_pushed_at: Time,
    #[serde(default, rename = "imageSizeInBytes")]
    size: Option<serde_json::Value>,
}

/// Returns the request for a page. The first part of a path is the registry's alias, the rest the repository, be it `nginx` of
/// `nginx/nginx` or `b/c` of `a/b/c`. A path of one part names no repository.
pub(super) fn request(base: &Url, path: &str, at: &Cursor, limit: usize) -> Option<Request> {
    let (alias, repository) = path.split_once('/')?;
    let mut body = json!({
        "registryAliasName": alias,
        "repositoryName": repository,
        "maxResults": 1000,
    });
    if let Some(token) = &at.token {
        body["nextToken"] = json!(token);
    }
    let media_type = HeaderValue::from_static("application/json");
    let request = Request::get(base.join("describeImageTags").ok()?, limit);
    Some(Request { method: Method::POST, body: Some((media_type, body.to_string().into())), ..request })
}

pub(super) fn read(body: &[u8]) -> Result<Page, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    let next = body.next_token.filter(|token| !token.is_empty()).map(Next::Token);
    let page_entry = |entry: Entry| {
        let pushed = entry.image_detail.as_ref().and_then(|detail| detail.image_pushed_at.read());
        let size = entry.image_detail.as_ref().and_then(|detail| detail.size.as_ref()?.as_u64());
        let digest = entry.image_detail.and_then(|detail| detail.image_digest);
        PageEntry { name: entry.image_tag, digest, pushed, size, platforms: Vec::new() }
    };
    Ok(Page { tags: body.image_tag_details.into_iter().map(page_entry).collect(), next })
}
