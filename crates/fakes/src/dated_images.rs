//! The distribution API of one repository whose images say when they were created: tag lists, manifests,
//! indexes and configurations.

use std::collections::HashMap;

use axum::response::Response;
use imgop_registry::reference::Digest;

use super::{IMAGE, INDEX, ScriptedRegistry, Seen, json, reply};

/// What the one repository, `app`, holds.
#[derive(Debug, Clone, Default)]
pub struct DatedImages {
    /// Media types and bytes.
    pub manifests: HashMap<Digest, (&'static str, String)>,
    /// Configurations.
    pub blobs: HashMap<Digest, String>,
    tags: HashMap<String, Digest>,
}

impl DatedImages {
    /// Adds a manifest, and returns its digest.
    pub fn manifest(&mut self, media_type: &'static str, body: String) -> Digest {
        let digest = Digest::of(body.as_bytes());
        self.manifests.insert(digest.clone(), (media_type, body));
        digest
    }

    /// Adds an image that says it was created then (as JSON, `null` for unknown), and returns its digest.
    /// Another `name` makes another image.
    pub fn image(&mut self, name: &str, created: &str) -> Digest {
        let config = format!(r#"{{"name":"{name}","created":{created}}}"#);
        let digest = Digest::of(config.as_bytes());
        self.blobs.insert(digest.clone(), config);
        self.manifest(IMAGE, format!(r#"{{"config":{{"digest":"{digest}"}},"layers":[]}}"#))
    }

    /// Adds an index of images, and returns its digest.
    pub fn index(&mut self, images: &[Digest]) -> Digest {
        let entry = |(n, digest): (usize, &Digest)| {
            format!(
                r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"a{n}"}}}}"#
            )
        };
        let entries: Vec<String> = images.iter().enumerate().map(entry).collect();
        self.manifest(INDEX, format!(r#"{{"manifests":[{}]}}"#, entries.join(",")))
    }

    /// Adds a tag.
    #[must_use]
    pub fn tagged(mut self, tag: &str, digest: Digest) -> Self {
        self.tags.insert(tag.to_owned(), digest);
        self
    }

    /// Answers one request.
    pub fn answer(&self, seen: &Seen) -> Response {
        let target = seen.target.split('?').next().unwrap_or_default();
        if target == "/v2/app/tags/list" {
            let names: Vec<&String> = self.tags.keys().collect();
            return json(200, serde_json::json!({ "name": "app", "tags": names }).to_string());
        }
        let what = target.strip_prefix("/v2/app/manifests/").unwrap_or_default();
        let digest = self.tags.get(what).cloned().or_else(|| what.parse().ok());
        if let Some((digest, (media_type, body))) =
            digest.and_then(|d| Some((d.clone(), self.manifests.get(&d)?)))
        {
            let headers = [("content-type", *media_type), ("docker-content-digest", digest.as_str())];
            return reply(200, &headers, body.clone());
        }
        match target.rsplit_once("/blobs/").and_then(|(_, digest)| self.blobs.get(&digest.parse().ok()?)) {
            Some(blob) => reply(200, &[("content-type", "application/octet-stream")], blob.clone()),
            None => json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        }
    }

    /// Starts a registry with this content.
    pub async fn start(self) -> ScriptedRegistry {
        ScriptedRegistry::start(move |seen| self.answer(seen)).await
    }
}
