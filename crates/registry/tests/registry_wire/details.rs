//! What an image is made of, as a user asks before copying it.

use imgop_fakes::{Content, client};
use imgop_registry::oci::Platforms;
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Puts an image of one platform, with a layer that is its own and one that all share. Returns its entry.
fn image(content: &mut Content, architecture: &str) -> Value {
    let config = json!({ "os": "linux", "architecture": architecture, "created": "2024-05-06T07:08:09Z" });
    let layer = |name: &str, size: u64| {
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": Digest::of(name.as_bytes()), "size": size })
    };
    let config_digest = content.put_blob(&config.to_string());
    let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": 10 },
        "layers": [layer("shared", 1000), layer(architecture, 200)] });
    let digest = content.put(architecture, manifest.to_string());
    json!({ "mediaType": IMAGE, "digest": digest, "size": 1,
        "platform": { "os": "linux", "architecture": architecture } })
}

fn content() -> (Content, Digest) {
    let mut content = Content::default();
    let entries = [image(&mut content, "amd64"), image(&mut content, "arm64")];
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries });
    let digest = content.put("1.0", index.to_string());
    (content, digest)
}

#[tokio::test]
async fn the_bytes_of_an_image_are_those_of_its_platforms_with_each_blob_once() {
    let (content, digest) = content();
    let registry = content.start().await;
    let client = client(&registry.http.repository("app"));
    let all = client.details(&digest, &Platforms::default()).await.unwrap();
    assert_eq!((all.size(), all.platforms.len()), (1000 + 2 * 210, 2));
    assert_eq!(all.created, Some("2024-05-06T07:08:09Z".parse().unwrap()));
    let one = Platforms::parse(&["linux/arm64".to_owned()]).unwrap();
    let one = client.details(&digest, &one).await.unwrap();
    assert_eq!((one.size(), one.platforms[0].to_string()), (1210, "linux/arm64".to_owned()));
}

#[tokio::test]
async fn whether_a_blob_is_there_costs_no_manifest() {
    let (mut content, _) = content();
    let there = content.put_blob("there");
    let registry = content.start().await;
    let client = client(&registry.http.repository("app"));
    assert!(client.has_blob(&there).await.unwrap());
    assert!(!client.has_blob(&Digest::of(b"absent")).await.unwrap());
    assert_eq!(registry.count("GET /v2/app/manifests"), 0);
}
