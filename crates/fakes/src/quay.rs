//! quay.io: the distribution API and the tag pages of Quay's own API, on one host.
//!
//! As in Quay's source: at most 100 tags a page, newest first, with deleted ones unless `onlyActiveTags` is
//! set; `filter_tag_name=like:` means "contains".

use axum::response::Response;
use imgop_registry::reference::Digest;

use super::{ScriptedRegistry, Seen, Tags, distribution, json};

/// Quay with one repository, `team/app`.
#[derive(Debug)]
pub struct Quay {
    /// Both APIs.
    pub host: ScriptedRegistry,
}

impl Quay {
    /// Each tag has pointed elsewhere before.
    pub async fn start(tags: Tags) -> Self {
        let listed = tags.clone();
        Self::answering(tags, move |seen| page(&listed, seen)).await
    }

    /// With an API of its own that answers like this.
    pub async fn answering(tags: Tags, api: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let host = ScriptedRegistry::start(move |seen| {
            if seen.target.starts_with("/api/") { api(seen) } else { distribution(&tags, "team/app", seen) }
        })
        .await;
        Self { host }
    }
}

fn page(tags: &Tags, seen: &Seen) -> Response {
    if seen.target.split('?').next() != Some("/api/v1/repository/team/app/tag/") {
        return json(401, r#"{"error_type":"insufficient_scope","status":401,"title":"insufficient_scope"}"#);
    }
    let filter = match seen.query("filter_tag_name").map(|filter| filter.replace("%3A", ":")) {
        None => String::new(),
        Some(filter) => match filter.strip_prefix("like:") {
            Some(text) => text.to_owned(),
            None => return json(400, r#"{"status":400,"error_message":"Unsupported syntax"}"#),
        },
    };
    let entry = |name: &str, digest: &Digest, end: Option<u64>| {
        let mut entry = serde_json::json!({
            "name": name, "reversion": false, "start_ts": 1_700_000_000, "manifest_digest": digest.as_str(),
            "is_manifest_list": true, "size": null, "last_modified": "Tue, 14 Nov 2023 22:13:20 -0000",
        });
        if let Some(end) = end {
            entry["end_ts"] = end.into();
        }
        entry
    };
    let mut history: Vec<_> = tags.iter().map(|(name, digest)| entry(name, digest, None)).collect();
    if seen.query("onlyActiveTags") != Some("true") {
        history.extend(tags.iter().map(|(name, _)| entry(name, &Digest::of(b"before"), Some(1_700_000_000))));
    }
    history.retain(|entry| entry["name"].as_str().unwrap().contains(&filter));
    let number = |name, default| seen.query(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (page, size): (usize, usize) = (number("page", 1), number("limit", 50).min(100));
    let tags: Vec<_> = history.iter().skip((page - 1) * size).take(size).collect();
    let body = serde_json::json!({"tags": tags, "page": page, "has_additional": page * size < history.len()});
    json(200, body.to_string())
}
