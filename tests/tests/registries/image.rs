//! A small image for two platforms, and how it gets into a registry.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, RepositoryClient};
use imgop_tests::connect::use_ring;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use crate::every_registry::{Registry, Way};

const OCI: &str = "application/vnd.oci.image";

/// An index, its two images, and the blobs that those name.
#[derive(Debug)]
pub struct Image {
    pub index: Manifest,
    pub platforms: Vec<Manifest>,
    pub blobs: Vec<Bytes>,
}

impl Image {
    /// Each salt makes another one.
    pub fn new(salt: &str) -> Self {
        let mut blobs = Vec::new();
        let mut platforms = Vec::new();
        let mut entries = Vec::new();
        for architecture in ["amd64", "arm64"] {
            // It is not unpacked: registries look at the digest alone.
            let layer = Bytes::from(format!("layer of {salt} for {architecture}"));
            let platform = json!({ "os": "linux", "architecture": architecture });
            let config = json!({ "os": "linux", "architecture": architecture, "config": {},
                "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).as_str()] } });
            let config = Bytes::from(config.to_string());
            let manifest = manifest(&json!({ "schemaVersion": 2,
                "mediaType": format!("{OCI}.manifest.v1+json"),
                "config": descriptor("config.v1+json", &config),
                "layers": [descriptor("layer.v1.tar", &layer)] }));
            let mut entry = descriptor("manifest.v1+json", &manifest.bytes);
            entry["platform"] = platform;
            entries.push(entry);
            platforms.push(manifest);
            blobs.extend([config, layer]);
        }
        let index = manifest(&json!({ "schemaVersion": 2,
            "mediaType": format!("{OCI}.index.v1+json"), "manifests": entries }));
        Self { index, platforms, blobs }
    }

    /// Puts all into a repository, and the index under these tags. Blobs go by plain requests: our
    /// client does not move them, skopeo does.
    pub async fn push(
        &self,
        registry: &Registry,
        path: &str,
        client: &RepositoryClient,
        tags: &[&str],
    ) -> anyhow::Result<()> {
        for blob in &self.blobs {
            upload(registry, path, blob).await.with_context(|| format!("a blob to {registry}"))?;
        }
        for manifest in &self.platforms {
            client.put_manifest(&ManifestRef::Digest(manifest.digest.clone()), manifest).await?;
        }
        for tag in tags {
            client.put_manifest(&ManifestRef::Tag(tag.parse()?), &self.index).await?;
        }
        Ok(())
    }
}

/// Returns the manifest of this text, under the media type that it names.
pub fn manifest(value: &Value) -> Manifest {
    let media_type = value["mediaType"].as_str().unwrap_or_default().to_owned();
    Manifest::new(media_type, value.to_string().into())
}

/// Returns what names these bytes: their media type is one of OCI's, of this kind.
pub fn descriptor(kind: &str, bytes: &Bytes) -> Value {
    json!({ "mediaType": format!("{OCI}.{kind}"), "digest": Digest::of(bytes).as_str(), "size": bytes.len() })
}

async fn upload(registry: &Registry, path: &str, blob: &Bytes) -> anyhow::Result<()> {
    use_ring();
    let (scheme, http) = match registry.way {
        Way::Open | Way::Token => ("http", reqwest::Client::builder().tls_certs_only([])),
        Way::Tls | Way::Password => {
            let ca = reqwest::Certificate::from_pem(&registry.ca)?;
            ("https", reqwest::Client::builder().tls_certs_only([ca]))
        }
    };
    let http = http.no_proxy().build()?;
    let token = registry.tokens.push_token(path)?;
    let authorized = |request: reqwest::RequestBuilder| match registry.way {
        Way::Open | Way::Tls => request,
        Way::Password => request.basic_auth(crate::every_registry::USER, Some(&registry.password)),
        Way::Token => request.bearer_auth(&token),
    };
    let base = Url::parse(&format!("{scheme}://{}/v2/{path}/blobs/uploads/", registry.address))?;
    let begun = authorized(http.post(base.clone())).send().await?.error_for_status()?;
    let location = begun.headers().get(LOCATION).context("nowhere to upload to")?;
    let mut target = base.join(location.to_str()?)?;
    target.query_pairs_mut().append_pair("digest", Digest::of(blob).as_str());
    let put = http.put(target).header(CONTENT_TYPE, "application/octet-stream").body(blob.clone());
    let done = authorized(put).send().await?.error_for_status()?;
    ensure!(done.status() == StatusCode::CREATED, "{}", done.status());
    Ok(())
}
