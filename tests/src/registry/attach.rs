//! Artifacts that refer to an image: what signs it, or says what is in it.

use anyhow::{Context as _, ensure};
use imgop_registry::reference::Digest;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};

use super::Registry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image-spec, "Guidelines for Artifact Usage".
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

impl Registry {
    /// Pushes an artifact that refers to an image of this repository, as `oras attach` does, and says
    /// its digest. It gets no tag. Only registries that speak plain HTTP take this.
    pub async fn attach(&self, path: &str, subject: &Digest, content: &str) -> anyhow::Result<Digest> {
        let image =
            self.ask(Method::GET, &format!("{path}/manifests/{subject}")).await?.error_for_status()?;
        let media_type = image.headers().get(CONTENT_TYPE).context("no media type")?.to_str()?.to_owned();
        let size = image.bytes().await?.len();
        for blob in ["{}", content] {
            self.upload(path, blob).await?;
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example.statement",
            "config": descriptor(EMPTY, "{}"),
            "layers": [descriptor("text/plain", content)],
            "subject": { "mediaType": media_type, "digest": subject.as_str(), "size": size },
        })
        .to_string();
        let digest = Digest::of(manifest.as_bytes());
        let url = self.url(&format!("{path}/manifests/{digest}"))?;
        let put = self.http.put(url).header(CONTENT_TYPE, MANIFEST).body(manifest).send().await?;
        put.error_for_status()?;
        Ok(digest)
    }

    /// What refers to an image, as the referrers API has it.
    pub async fn referrers(&self, path: &str, subject: &Digest) -> anyhow::Result<Vec<Digest>> {
        let answer = self.ask(Method::GET, &format!("{path}/referrers/{subject}")).await?;
        let index: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
        entries(&index)
    }

    async fn upload(&self, path: &str, blob: &str) -> anyhow::Result<()> {
        ensure!(self.login.is_none(), "{} wants a login", self.address);
        let base = self.url(&format!("{path}/blobs/uploads/"))?;
        let begun = self.http.post(base.clone()).send().await?.error_for_status()?;
        let location = begun.headers().get(LOCATION).context("nowhere to upload to")?;
        let mut target = base.join(location.to_str()?)?;
        target.query_pairs_mut().append_pair("digest", Digest::of(blob.as_bytes()).as_str());
        self.http.put(target).body(blob.to_owned()).send().await?.error_for_status()?;
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
