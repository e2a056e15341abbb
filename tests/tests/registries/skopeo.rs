//! What a Job's Skopeo copies as a whole, from one real registry to another: it arrives with its digest.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use imgop_core::commands::{Endpoint, SkopeoCopy};
use imgop_registry::oci::index_parts;
use imgop_registry::reference::{Digest, ManifestRef, Tag};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::every_registry::{Registry, Way, registries};
use crate::image::{Image, descriptor, manifest};

const CHART: &str = "application/vnd.cncf.helm.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

#[tokio::test]
async fn charts_artifacts_and_unusual_indexes_are_copied_as_a_whole_with_their_digests() -> anyhow::Result<()>
{
    let open: Vec<&Registry> = registries(Way::Open).await?.collect();
    let tag: Tag = "v1".parse()?;
    for (from, to) in [(open[0], open[1]), (open[1], open[0])] {
        for (name, content) in contents() {
            let what = format!("{name} from {from} to {to}");
            ensure!(index_parts(&content.index)?.is_none(), "{name} is copied by its entries");
            let path = format!("skopeo/{name}");
            let source = from.client(&path, &from.access())?.1;
            content.push(from, &path, &source, &["v1"]).await.with_context(|| what.clone())?;
            // As where the agent sets the tag, and as where Skopeo does.
            for tag in [None, Some(tag.clone())] {
                let copied = copy((from, &path), (to, &path), &content.index.digest, tag).await;
                copied.with_context(|| what.clone())?;
            }
            let copied = to.client(&path, &to.access())?.1;
            let found = copied.manifest(&ManifestRef::Tag(tag.clone())).await?;
            assert_eq!(found.as_ref(), Some(&content.index), "{what}");
            for image in &content.platforms {
                let found = copied.manifest(&ManifestRef::Digest(image.digest.clone())).await?;
                assert_eq!(found.as_ref(), Some(image), "{what}");
            }
        }
    }
    Ok(())
}

/// Runs Skopeo as a Job does.
pub async fn copy(
    from: (&Registry, &str),
    to: (&Registry, &str),
    digest: &Digest,
    tag: Option<Tag>,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let digest_file = folder.path().join("digest");
    let side = |(registry, path): (&Registry, &str)| -> anyhow::Result<Endpoint> {
        let repository = registry.repository(path)?;
        Ok(Endpoint { repository, auth_file: None, certificates: None, verify_tls: false })
    };
    let command = SkopeoCopy {
        source: side(from)?,
        destination: side(to)?,
        digest: digest.clone(),
        tag,
        digest_file: digest_file.clone(),
        timeout: Duration::from_mins(1),
    };
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(command.arguments())
        .output()
        .await
        .context("Skopeo does not start")?;
    ensure!(output.status.success(), "Skopeo: {}", String::from_utf8_lossy(&output.stderr));
    ensure!(read(&digest_file)? == digest.as_str(), "Skopeo has written another digest");
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(file)?.trim_end().to_owned())
}

fn contents() -> [(&'static str, Image); 5] {
    let twice = |index: &mut Value, _: &Value| {
        let first = index["manifests"][0].clone();
        push(&mut index["manifests"], first);
    };
    let docker_list = |index: &mut Value, _: &Value| index["mediaType"] = DOCKER_LIST.into();
    let with_zstd = |index: &mut Value, image: &Value| {
        let mut entry = image.clone();
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        entry["annotations"] = json!({ "io.github.containers.compression.zstd": "true" });
        push(&mut index["manifests"], entry);
    };
    [
        ("chart", single(CHART, r#"{"name":"app","version":"1.0.0"}"#)),
        ("empty-configuration", single(EMPTY, "{}")),
        ("image-twice", index_of("twice", twice)),
        ("docker-list", index_of("list", docker_list)),
        ("zstd", index_of("zstd", with_zstd)),
    ]
}

fn push(list: &mut Value, entry: Value) {
    if let Value::Array(list) = list {
        list.push(entry);
    }
}

/// One manifest whose configuration is none of an image.
fn single(config_type: &str, config: &'static str) -> Image {
    let (config, layer) = (Bytes::from_static(config.as_bytes()), Bytes::from_static(b"content"));
    let mut of_config = descriptor("config.v1+json", &config);
    of_config["mediaType"] = config_type.into();
    let single = manifest(&json!({ "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": of_config, "layers": [descriptor("layer.v1.tar+gzip", &layer)] }));
    Image { index: single, platforms: Vec::new(), blobs: vec![config, layer] }
}

/// An index that was changed, beside an image with a layer in zstd that it may name.
fn index_of(salt: &str, change: impl Fn(&mut Value, &Value)) -> Image {
    let Image { index, mut platforms, mut blobs } = Image::new(salt);
    let layer = zstd(*b"layer");
    let config = Bytes::from(r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers"}}"#);
    let image = manifest(&json!({ "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+zstd", &layer)] }));
    let entry = descriptor("manifest.v1+json", &image.bytes);
    let mut changed: Value = serde_json::from_slice(&index.bytes).unwrap_or_default();
    change(&mut changed, &entry);
    if changed.to_string().contains(image.digest.as_str()) {
        platforms.push(image);
        blobs.extend([config, layer]);
    }
    Image { index: manifest(&changed), platforms, blobs }
}

/// A frame with one block that is not compressed (RFC 8878, 3.1.1): a header with the size in a byte.
fn zstd(content: [u8; 5]) -> Bytes {
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 5];
    let last_raw_block = [(5 << 3) | 1, 0, 0];
    [&header[..], &last_raw_block, &content].concat().into()
}
