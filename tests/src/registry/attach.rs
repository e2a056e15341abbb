//! Artifacts that refer to an image: what signs it, or says what is in it.

use anyhow::{Context as _, bail, ensure};
use imgop_registry::reference::Digest;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};

use super::Registry;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image-spec, "Guidelines for Artifact Usage".
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

impl Registry {
    /// Pushes an artifact that refers to an image of this repository, as `oras attach` does, and says
    /// its digest. It gets no tag. Only registries that speak plain HTTP take this.
    pub async fn attach(&self, path: &str, subject: &Digest, content: &str) -> anyhow::Result<Digest> {
        let subject = self.entry(path, subject, json!({})).await?;
        for blob in ["{}", content] {
            self.upload(path, blob).await?;
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example.statement",
            "config": descriptor(EMPTY, "{}"),
            "layers": [descriptor("text/plain", content)],
            "subject": subject,
        })
        .to_string();
        self.put_manifest(path, None, MANIFEST, manifest).await
    }

    /// Pushes an index with these entries, under a tag or under its digest alone, and says its digest. Only
    /// registries that speak plain HTTP take this.
    pub async fn put_index(
        &self,
        path: &str,
        tag: Option<&str>,
        entries: &[Value],
    ) -> anyhow::Result<Digest> {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
        self.put_manifest(path, tag, INDEX, index).await
    }

    /// The entry of an index for a manifest of this repository; more fields are added to it.
    pub async fn entry(&self, path: &str, digest: &Digest, more: Value) -> anyhow::Result<Value> {
        let answer =
            self.ask(Method::GET, &format!("{path}/manifests/{digest}")).await?.error_for_status()?;
        let media_type = answer.headers().get(CONTENT_TYPE).context("no media type")?.to_str()?.to_owned();
        let mut entry = json!({ "mediaType": media_type, "digest": digest.as_str(), "size": answer.bytes().await?.len() });
        let (Some(entry_fields), Value::Object(more)) = (entry.as_object_mut(), more) else {
            bail!("no fields to add")
        };
        entry_fields.extend(more);
        Ok(entry)
    }

    async fn put_manifest(
        &self,
        path: &str,
        tag: Option<&str>,
        media_type: &str,
        manifest: String,
    ) -> anyhow::Result<Digest> {
        let digest = Digest::of(manifest.as_bytes());
        let url = self.url(&format!("{path}/manifests/{}", tag.unwrap_or(digest.as_str())))?;
        let put = self.http.put(url).header(CONTENT_TYPE, media_type).body(manifest).send().await?;
        put.error_for_status()?;
        Ok(digest)
    }

    /// What refers to an image, as the referrers API has it.
    pub async fn referrers(&self, path: &str, subject: &Digest) -> anyhow::Result<Vec<Digest>> {
        let answer = self.ask(Method::GET, &format!("{path}/referrers/{subject}")).await?;
        let index: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
        entries(&index)
    }

    /// Pushes an image of one layer with these bytes, and says its digest and that of the layer. Only registries that speak
    /// plain HTTP take this.
    pub async fn put_image(&self, path: &str, tag: &str, layer: Vec<u8>) -> anyhow::Result<[Digest; 2]> {
        let (digest, size) = (Digest::of(&layer), layer.len());
        self.upload(path, "{}").await?;
        self.upload(path, layer).await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", "{}"),
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest.as_str(), "size": size }],
        });
        let image = self.put_manifest(path, Some(tag), MANIFEST, manifest.to_string()).await?;
        Ok([image, digest])
    }

    async fn upload(&self, path: &str, blob: impl Into<Vec<u8>>) -> anyhow::Result<()> {
        let blob = blob.into();
        ensure!(self.login.is_none(), "{} wants a login", self.address);
        let base = self.url(&format!("{path}/blobs/uploads/"))?;
        let begun = self.http.post(base.clone()).send().await?.error_for_status()?;
        let location = begun.headers().get(LOCATION).context("nowhere to upload to")?;
        let mut target = base.join(location.to_str()?)?;
        target.query_pairs_mut().append_pair("digest", Digest::of(&blob).as_str());
        self.http.put(target).body(blob).send().await?.error_for_status()?;
        Ok(())
    }
}

/// The digests of the entries of an index, in order of their text.
pub fn entries(index: &Value) -> anyhow::Result<Vec<Digest>> {
    let entries = index["manifests"].as_array().with_context(|| format!("no index: {index}"))?;
    let digest = |entry: &Value| entry["digest"].as_str().context("no digest")?.parse().context("no digest");
    let mut digests = entries.iter().map(digest).collect::<anyhow::Result<Vec<Digest>>>()?;
    digests.sort();
    Ok(digests)
}

fn descriptor(media_type: &str, content: &str) -> Value {
    let digest = Digest::of(content.as_bytes());
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": content.len() })
}
