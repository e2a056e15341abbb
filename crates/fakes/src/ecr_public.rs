//! Amazon ECR Public: the distribution API of public.ecr.aws and `POST /describeImageTags` of the Gallery's
//! own API on another host.
//!
//! The Gallery takes the alias, the repository and a page size of at most 1,000 tags, and names the next
//! page by a token.

use axum::response::Response;

use super::{ScriptedRegistry, Seen, Tags, distribution, json};

/// ECR Public with one repository.
#[derive(Debug)]
pub struct EcrPublic {
    /// public.ecr.aws.
    pub registry: ScriptedRegistry,
    /// api.us-east-1.gallery.ecr.aws.
    pub gallery: ScriptedRegistry,
}

impl EcrPublic {
    /// With the repository `alias/repository`.
    pub async fn start(alias: &'static str, repository: &'static str, tags: Tags) -> Self {
        let listed = tags.clone();
        Self::answering(alias, repository, tags, move |seen| page(&listed, alias, repository, seen)).await
    }

    /// With a Gallery that answers like this.
    pub async fn answering(
        alias: &'static str,
        repository: &'static str,
        tags: Tags,
        gallery: impl Fn(&Seen) -> Response + Send + Sync + 'static,
    ) -> Self {
        let path = format!("{alias}/{repository}");
        let registry = ScriptedRegistry::start(move |seen| distribution(&tags, &path, seen)).await;
        Self { registry, gallery: ScriptedRegistry::start(gallery).await }
    }
}

/// One page of the Gallery.
pub fn page(tags: &Tags, alias: &str, repository: &str, seen: &Seen) -> Response {
    let question: serde_json::Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    if seen.line() != "POST /describeImageTags" || seen.header("content-type") != Some("application/json") {
        return json(404, r#"{"message":"Not Found"}"#);
    }
    if question["registryAliasName"] != alias || question["repositoryName"] != repository {
        return json(400, r#"{"__type":"RepositoryNotFoundException","message":"not found"}"#);
    }
    let size = usize::try_from(question["maxResults"].as_u64().unwrap_or(100)).unwrap();
    if size > 1000 {
        return json(400, r#"{"__type":"InvalidParameterException"}"#);
    }
    let first: usize = question["nextToken"].as_str().map_or(0, |token| token[6..].parse().unwrap());
    let details: Vec<_> = tags
        .iter()
        .skip(first)
        .take(size)
        .map(|(name, digest)| {
            serde_json::json!({
                "imageTag": name, "createdAt": "2024-07-10T22:29:00Z",
                "imageDetail": {"imageDigest": digest.as_str(), "imageSizeInBytes": 1,
                    "imagePushedAt": "2024-07-10T22:29:00Z",
                    "imageManifestMediaType": "application/vnd.oci.image.index.v1+json"},
            })
        })
        .collect();
    let mut body = serde_json::json!({ "imageTagDetails": details });
    if first + size < tags.len() {
        body["nextToken"] = format!("token-{}", first + size).into();
    }
    json(200, body.to_string())
}
