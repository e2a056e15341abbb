//! The distribution API of one repository that is read: tag lists, manifests with their bytes, blobs, and
//! the referrers API (in pages of two) if a test wants that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use imgop_registry::reference::Digest;
use serde_json::{Value, json as value};

use super::{INDEX, ScriptedRegistry, Seen, json, reply};

/// What the one repository of the fake, `app`, has.
#[derive(Debug, Clone, Default)]
pub struct Content {
    tags: BTreeMap<String, Digest>,
    manifests: BTreeMap<Digest, String>,
    blobs: BTreeMap<Digest, String>,
    /// By what they refer to; none if the registry has no referrers API.
    referrers: Option<BTreeMap<Digest, Vec<Value>>>,
}

/// The fake; what it has may change while it runs.
pub struct ContentRegistry {
    /// The server.
    pub http: ScriptedRegistry,
    /// What it has.
    pub content: Arc<Mutex<Content>>,
}

impl Content {
    /// Puts an index of these platforms under a tag; its digest.
    pub fn push(&mut self, tag: &str, platforms: &[&str]) -> Digest {
        let entries: Vec<Value> = platforms
            .iter()
            .map(|platform| {
                let mut words = platform.split('/');
                let (os, architecture) = (words.next().unwrap(), words.next().unwrap());
                value!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
                    "digest": Digest::of(format!("{tag} {platform}").as_bytes()),
                    "platform": {"os": os, "architecture": architecture, "variant": words.next()}})
            })
            .collect();
        self.put(tag, value!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string())
    }

    /// Puts these bytes under a tag; their digest.
    pub fn put(&mut self, tag: &str, bytes: impl Into<String>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(bytes.as_bytes());
        self.manifests.insert(digest.clone(), bytes);
        self.tags.insert(tag.to_owned(), digest.clone());
        digest
    }

    /// Puts a blob; its digest.
    pub fn put_blob(&mut self, bytes: &str) -> Digest {
        let digest = Digest::of(bytes.as_bytes());
        self.blobs.insert(digest.clone(), bytes.to_owned());
        digest
    }

    /// Puts a single image under a tag, with this configuration.
    pub fn push_single(&mut self, tag: &str, config: &str) {
        let digest = Digest::of(config.as_bytes());
        let image = value!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 1},
            "layers": []});
        self.blobs.insert(digest, config.to_owned());
        self.put(tag, image.to_string());
    }

    /// The bytes that a tag points at.
    pub fn bytes(&self, tag: &str) -> String {
        self.manifests[&self.tags[tag]].clone()
    }

    /// Lets it speak the referrers API; each of the contents refers to `subject`.
    pub fn refer(&mut self, subject: &Digest, contents: &[&str]) {
        let describe = |content: &&str| {
            value!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": content.len(),
                "digest": Digest::of(content.as_bytes()), "artifactType": "application/vnd.example.sbom"})
        };
        let all = self.referrers.get_or_insert_default();
        all.insert(subject.clone(), contents.iter().map(describe).collect());
    }

    /// Takes the referrers API away.
    pub fn forget_referrers(&mut self) {
        self.referrers = None;
    }

    /// Starts a registry with this content.
    pub async fn start(self) -> ContentRegistry {
        let content = Arc::new(Mutex::new(self));
        let shared = content.clone();
        let http = ScriptedRegistry::start(move |seen| shared.lock().unwrap().answer(seen)).await;
        ContentRegistry { http, content }
    }

    fn answer(&self, seen: &Seen) -> Response {
        let unknown = || json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#);
        let path = seen.target.split('?').next().unwrap_or_default();
        if path == "/v2/app/tags/list" {
            return json(
                200,
                value!({"name": "app", "tags": self.tags.keys().collect::<Vec<_>>()}).to_string(),
            );
        }
        if let Some(subject) = path.strip_prefix("/v2/app/referrers/") {
            return self.referrers_page(subject, seen);
        }
        let blob = path.strip_prefix("/v2/app/blobs/").and_then(|digest| digest.parse::<Digest>().ok());
        if let Some(bytes) = blob.and_then(|digest| self.blobs.get(&digest)) {
            return reply(200, &[], bytes.clone());
        }
        let what = path.strip_prefix("/v2/app/manifests/").unwrap_or_default();
        let digest = what.parse().ok().or_else(|| self.tags.get(what).cloned());
        let Some((digest, bytes)) = digest.and_then(|digest| self.manifests.get_key_value(&digest)) else {
            return unknown();
        };
        let body = if seen.method == "HEAD" { "" } else { bytes };
        let json: Value = serde_json::from_str(bytes).unwrap_or_default();
        let media_type = json["mediaType"].as_str().unwrap_or(INDEX);
        reply(
            200,
            &[("docker-content-digest", digest.as_str()), ("content-type", media_type)],
            body.to_owned(),
        )
    }

    /// Two on a page.
    fn referrers_page(&self, subject: &str, seen: &Seen) -> Response {
        // As Docker's own registry says it: a web server that knows no such path.
        let Some(referrers) = &self.referrers else {
            return reply(404, &[("content-type", "text/plain")], "404 page not found\n");
        };
        let all = subject.parse().ok().and_then(|subject: Digest| referrers.get(&subject));
        let all = all.cloned().unwrap_or_default();
        let from: usize = seen.query("from").map_or(0, |from| from.parse().unwrap());
        let page: Vec<Value> = all.iter().skip(from).take(2).cloned().collect();
        let body = value!({"schemaVersion": 2, "mediaType": INDEX, "manifests": page}).to_string();
        let next = format!("</v2/app/referrers/{subject}?from={}>; rel=\"next\"", from + 2);
        let mut headers = vec![("content-type", INDEX)];
        if from + 2 < all.len() {
            headers.push(("link", &next));
        }
        reply(200, &headers, body)
    }
}

impl ContentRegistry {
    /// The requests whose line begins so.
    pub fn count(&self, beginning: &str) -> usize {
        self.http.lines().iter().filter(|line| line.starts_with(beginning)).count()
    }
}
