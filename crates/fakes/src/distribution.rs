//! The part of the distribution API that reads tags: their list in one page, and manifests without a body.
//! Fakes of registries that have an API of their own beside it build on this.

use axum::response::Response;
use imgop_registry::reference::Digest;

use super::{Seen, json, reply};

/// Tags and what they point at, newest first.
pub type Tags = Vec<(String, Digest)>;

/// Tags with contents of their own.
pub fn tags(names: impl IntoIterator<Item = String>) -> Tags {
    names.into_iter().map(|name| (name.clone(), Digest::of(name.as_bytes()))).collect()
}

/// Returns tags with contents of their own: `1.0.0`, `1.0.1` and so on for the prefix `1.0.`.
pub fn numbered_tags(prefix: &str, number: usize) -> Tags {
    tags((0..number).map(|n| format!("{prefix}{n}")))
}

/// Lists the tags of a repository at once, and answers questions for manifests without a body.
pub fn distribution(tags: &Tags, path: &str, seen: &Seen) -> Response {
    let unknown = |code: &str| json(404, format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#));
    let target = seen.target.split('?').next().unwrap_or_default();
    let Some(rest) = target.strip_prefix(&format!("/v2/{path}/")) else { return unknown("NAME_UNKNOWN") };
    if rest == "tags/list" {
        let names: Vec<&String> = tags.iter().map(|(name, _)| name).collect();
        return json(200, serde_json::json!({"name": path, "tags": names}).to_string());
    }
    let tag = rest.strip_prefix("manifests/").unwrap_or_default();
    match tags.iter().find(|(name, _)| name == tag) {
        Some((_, digest)) => {
            let media_type = "application/vnd.oci.image.index.v1+json";
            reply(200, &[("docker-content-digest", digest.as_str()), ("content-type", media_type)], "")
        }
        None => unknown("MANIFEST_UNKNOWN"),
    }
}
