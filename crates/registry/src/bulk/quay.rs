//! `GET /api/v1/repository/argoproj/argocd/tag/?onlyActiveTags=true&limit=100&page=1`: newest first.
//!
//! Without `onlyActiveTags` it is the history, deleted tags included. `filter_tag_name=like:` asks for
//! the tags that contain a text, and `start_ts` is when the tag came to point where it does (quay/quay, "endpoints/api/tag.py").

use serde::Deserialize;
use url::Url;

use super::page::{Cursor, Next, Page, PageEntry, Time};

#[derive(Deserialize)]
struct Body {
    tags: Vec<Entry>,
    has_additional: bool,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    manifest_digest: Option<String>,
    #[serde(default)]
    start_ts: Time,
    /// None for an index.
    #[serde(default)]
    size: Option<serde_json::Value>,
}

pub(super) fn url(base: &Url, path: &str, filter: &str, at: &Cursor) -> Option<Url> {
    let mut url = base.join(&format!("api/v1/repository/{path}/tag/")).ok()?;
    url.query_pairs_mut()
        .append_pair("onlyActiveTags", "true")
        .append_pair("limit", "100")
        .append_pair("page", &at.number.to_string());
    if !filter.is_empty() {
        url.query_pairs_mut().append_pair("filter_tag_name", &format!("like:{filter}"));
    }
    Some(url)
}

pub(super) fn read(body: &[u8]) -> Result<Page, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    let next = body.has_additional.then_some(Next::Number);
    let page_entry = |entry: Entry| PageEntry {
        name: entry.name,
        digest: entry.manifest_digest,
        pushed: entry.start_ts.read(),
        size: entry.size.and_then(|size| size.as_u64()).filter(|size| *size > 0),
        platforms: Vec::new(),
    };
    Ok(Page { tags: body.tags.into_iter().map(page_entry).collect(), next })
}
