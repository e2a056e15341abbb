//! `GET /v2/repositories/library/nginx/tags?page_size=100&page=1`: newest first, at most 100 a page.
//!
//! `results[].digest` is what the tag points at, so the index of an image for several platforms;
//! `tag_last_pushed` is when it last came to point there; entries from before 2021 may lack it. `name` asks for the tags that contain a text.

use serde::Deserialize;
use url::Url;

use super::page::{Cursor, Next, Page, PageEntry, Time};
use crate::oci::Platform;

#[derive(Deserialize)]
struct Body {
    results: Vec<Entry>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    tag_last_pushed: Time,
    #[serde(default)]
    images: Images,
}

/// The images of a tag, one for each platform; anything else is as if there were none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Images {
    Listed(Vec<Image>),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Image {
    #[serde(flatten)]
    platform: Platform,
    #[serde(default)]
    size: u64,
}

impl Image {
    /// Returns its platform. A variant that is empty is none.
    fn name(&self) -> String {
        self.platform.to_string().trim_end_matches('/').to_owned()
    }
}

impl Default for Images {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

impl Images {
    /// Returns the bytes of all images together, and their platforms. Attestations are no images.
    fn read(&self) -> (Option<u64>, Vec<String>) {
        let Self::Listed(images) = self else { return (None, Vec::new()) };
        let images: Vec<&Image> = images.iter().filter(|image| image.platform.is_named()).collect();
        let size = images.iter().map(|image| image.size).fold(0, u64::saturating_add);
        ((size > 0).then_some(size), images.iter().map(|image| image.name()).collect())
    }
}

pub(super) fn url(base: &Url, path: &str, filter: &str, at: &Cursor) -> Option<Url> {
    let mut url = base.join(&format!("v2/repositories/{path}/tags")).ok()?;
    url.query_pairs_mut().append_pair("page_size", "100").append_pair("page", &at.number.to_string());
    if !filter.is_empty() {
        url.query_pairs_mut().append_pair("name", filter);
    }
    Some(url)
}

pub(super) fn read(body: &[u8]) -> Result<Page, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    let next = body.next.filter(|next| !next.is_empty()).map(|_| Next::Number);
    let page_entry = |entry: Entry| {
        let (size, platforms) = entry.images.read();
        PageEntry {
            name: entry.name,
            digest: entry.digest,
            pushed: entry.tag_last_pushed.read(),
            size,
            platforms,
        }
    };
    Ok(Page { tags: body.results.into_iter().map(page_entry).collect(), next })
}
