//! Images that charts use: what Helm renders, and what is read in repositories and registries without it.

use std::collections::BTreeMap;

use flate2::Compression;
use flate2::write::GzEncoder;
use imgop_core::sources::{Chart, ChartLimits, ChartLocation, HelmCharts, ImageTier, Note, VersionSource};
use imgop_fakes::{ScriptedRegistry, reply, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Registries, Settings};
use serde_json::json;

use crate::world::{World, references, update};

const RENDERED: &str = "\
containers:
- image: ghcr.io/a/b:1@sha256:0000000000000000000000000000000000000000000000000000000000000000
- image: host:5000/c:2
- image: d
- image: x/denied:1
- image: x/unknown:1
---
kind: ConfigMap
data: {text: 'image: e/f:1'}
";

fn charts(denylist: &[&str]) -> VersionSource {
    VersionSource::HelmChart(HelmCharts {
        location: ChartLocation::Repository("https://charts.example.com".to_owned()),
        charts: vec![Chart { name: "web".to_owned(), ..Chart::default() }],
        denylist: denylist.iter().map(|image| (*image).to_owned()).collect(),
        images_from: vec![ImageTier::Template],
        is_loose: false,
    })
}

#[tokio::test]
async fn an_image_that_cannot_be_taken_is_noted_and_does_not_keep_others_away() {
    let world = World { rendered: RENDERED.to_owned(), ..World::without_github().await };
    let update = update(charts(&["docker.io/x/denied"]), &["ghcr.io/a/b", "host:5000/c"]);
    let found = world.find(&update).await.unwrap();
    assert_eq!(references(&found), ["ghcr.io/a/b:1", "host:5000/c:2"]);
    assert_eq!(found.notes, [Note::Untagged("d".to_owned()), Note::NotListed("x/unknown".to_owned())]);
}

#[tokio::test]
async fn a_helm_that_fails_is_an_error_with_the_name_of_the_chart() {
    let world = World::without_github().await;
    let error = world.find(&update(charts(&[]), &["ghcr.io/a/b"])).await.unwrap_err();
    assert_eq!(error.to_string(), "chart web: helm is not there");
}

const METADATA: &str = "name: web\nversion: 1.2.3\nappVersion: v7\nannotations:\n  artifacthub.io/images: |\n    - image: \
                        ghcr.io/a/listed:1\n";
const VALUES: &str = "image: {repository: ghcr.io/a/web}\n";

/// The archive of a chart with a subchart.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in [
        ("web/Chart.yaml", METADATA),
        ("web/values.yaml", VALUES),
        ("web/charts/db/Chart.yaml", "name: db\nappVersion: '16'\n"),
        ("web/charts/db/values.yaml", "image: {repository: ghcr.io/a/db}\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A server that has these documents.
async fn serving(documents: BTreeMap<String, Vec<u8>>) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match documents.get(&seen.target) {
        Some(body) => reply(200, &[], body.clone()),
        None => reply(404, &[], ""),
    })
    .await
}

fn read(
    location: ChartLocation,
    name: &str,
    version: Option<&str>,
    images_from: &[ImageTier],
) -> VersionSource {
    VersionSource::HelmChart(HelmCharts {
        location,
        charts: vec![Chart {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            ..Chart::default()
        }],
        denylist: Vec::new(),
        images_from: images_from.to_vec(),
        is_loose: false,
    })
}

const INDEX: &str = "\
entries:
  web:
  - {version: 2.0.0-rc.1, urls: [no/such.tgz]}
  - version: 1.2.3
    urls: [files/web-1.2.3.tgz]
    annotations: {artifacthub.io/images: '- image: ghcr.io/a/listed:1'}
  - {version: 1.1.0, urls: [no/such.tgz], annotations: {artifacthub.io/images: '- image: ghcr.io/a/listed:0'}}
";

async fn repository() -> (ScriptedRegistry, ChartLocation) {
    let documents = [
        ("/charts/index.yaml".to_owned(), INDEX.as_bytes().to_vec()),
        ("/charts/files/web-1.2.3.tgz".to_owned(), archive()),
    ];
    let server = serving(documents.into()).await;
    let location = ChartLocation::Repository(format!("http://{}/charts", server.address));
    (server, location)
}

const ENTRIES: [&str; 3] = ["ghcr.io/a/listed", "ghcr.io/a/web", "ghcr.io/a/db"];

#[tokio::test]
async fn what_a_chart_lists_is_read_in_the_index_of_its_repository_with_one_request() {
    let (server, location) = repository().await;
    let world = World::without_github().await;
    let of = |version| update(read(location.clone(), "web", version, &[ImageTier::Annotation]), &ENTRIES);
    assert_eq!(world.found(&of(None)).await, ["ghcr.io/a/listed:1"]);
    assert_eq!(server.seen().len(), 1);
    assert_eq!(world.found(&of(Some("~1.1"))).await, ["ghcr.io/a/listed:0"]);
}

#[tokio::test]
async fn values_are_read_in_the_archive_that_the_index_names_those_of_subcharts_too() {
    let (_server, location) = repository().await;
    let world = World::without_github().await;
    let both = [ImageTier::Annotation, ImageTier::Values];
    let found = world.found(&update(read(location, "web", None, &both), &ENTRIES)).await;
    assert_eq!(found, ["ghcr.io/a/listed:1", "ghcr.io/a/web:v7", "ghcr.io/a/db:16"]);
}

#[tokio::test]
async fn a_chart_or_version_that_is_not_there_and_a_repository_that_is_none_are_said() {
    let (server, location) = repository().await;
    let world = World {
        charts: ChartLimits { index_bytes: 1 << 10, ..ChartLimits::default() },
        ..World::without_github().await
    };
    let error = async |location: &ChartLocation, name: &str, version| {
        let source = read(location.clone(), name, version, &[ImageTier::Annotation]);
        world.find(&update(source, &ENTRIES)).await.unwrap_err().to_string()
    };
    assert_eq!(error(&location, "none", None).await, "chart none: it is not there, or in pre-releases alone");
    assert_eq!(error(&location, "web", Some("^3")).await, "chart web: it is not there in a version ^3");
    let elsewhere = ChartLocation::Repository(format!("http://{}/other", server.address));
    assert_eq!(error(&elsewhere, "web", None).await, "chart repository: 127.0.0.1 has no index.yaml");
    let large = serving([("/index.yaml".to_owned(), vec![b'#'; 2 << 10])].into()).await;
    let large = ChartLocation::Repository(format!("http://{}", large.address));
    assert!(error(&large, "web", None).await.starts_with("chart repository: 127.0.0.1: "));
}

#[tokio::test]
async fn an_archive_may_be_where_the_index_and_a_redirect_lead_but_not_at_a_private_address() {
    let archives = serving([("/web.tgz".to_owned(), archive())].into()).await;
    let releases =
        ScriptedRegistry::start(|_| reply(302, &[("location", "http://objects.example.net/web.tgz")], ""))
            .await;
    let private = format!("http://{}/web.tgz", archives.address);
    let index = |url: &str| format!("entries: {{web: [{{version: 1.0.0, urls: ['{url}']}}]}}").into_bytes();
    let oci = format!("oci://{}/charts/web:1.0.0", archives.address);
    let charts = serving(
        [
            ("/a/index.yaml".to_owned(), index("http://releases.example.org/web.tgz")),
            ("/b/index.yaml".to_owned(), index(&private)),
            ("/c/index.yaml".to_owned(), index(&oci)),
        ]
        .into(),
    )
    .await;
    let addresses = [("objects.example.net", archives.address), ("releases.example.org", releases.address)];
    let addresses = addresses.map(|(name, address)| (name.to_owned(), address)).into();
    let world = World {
        registries: Registries::new(Settings { addresses, ..settings() }),
        ..World::without_github().await
    };
    let of = |folder: &str| {
        let location = ChartLocation::Repository(format!("http://{}/{folder}", charts.address));
        update(read(location, "web", None, &[ImageTier::Values]), &ENTRIES)
    };
    assert_eq!(world.found(&of("a")).await, ["ghcr.io/a/web:v7", "ghcr.io/a/db:16"]);
    let asked = archives.seen().len();
    for folder in ["b", "c"] {
        assert!(world.find(&of(folder)).await.is_err(), "{folder}");
    }
    assert_eq!(archives.seen().len(), asked, "nothing is asked there");
}

/// A registry with a chart under these tags.
async fn registry(tags: &[&str]) -> ScriptedRegistry {
    let config = serde_json::to_vec(&json!({ "name": "web", "version": "1.2.3",
        "annotations": { "artifacthub.io/images": "- image: ghcr.io/a/listed:1" } }))
    .unwrap();
    let blob = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() });
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.cncf.helm.config.v1+json", &config),
        "layers": [blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &archive())],
    }))
    .unwrap();
    let mut documents = BTreeMap::from([
        ("/v2/".to_owned(), b"{}".to_vec()),
        (format!("/v2/charts/web/blobs/{}", Digest::of(&config)), config),
        (format!("/v2/charts/web/blobs/{}", Digest::of(&archive())), archive()),
    ]);
    for tag in tags {
        documents.insert(format!("/v2/charts/web/manifests/{tag}"), manifest.clone());
    }
    let list = serde_json::to_vec(&json!({ "name": "charts/web", "tags": tags })).unwrap();
    ScriptedRegistry::start(move |seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        match documents.get(path) {
            Some(body) if path.contains("/manifests/") => {
                reply(200, &[("content-type", "application/vnd.oci.image.manifest.v1+json")], body.clone())
            }
            Some(body) => reply(200, &[], body.clone()),
            None if path.ends_with("/tags/list") => {
                reply(200, &[("content-type", "application/json")], list.clone())
            }
            None => reply(404, &[], ""),
        }
    })
    .await
}

#[tokio::test]
async fn a_chart_of_a_registry_is_the_newest_of_its_tags_and_its_images_stand_in_its_configuration_or_its_archive()
 {
    let registry = registry(&["1.2.3", "2.0.0-rc.1", "1.3.0_build", "latest"]).await;
    let world = World::without_github().await;
    let name = format!("oci://{}/charts/web", registry.address);
    let of = |version, tiers: &[ImageTier]| update(read(ChartLocation::Oci, &name, version, tiers), &ENTRIES);
    let manifests = || {
        let seen = registry.seen();
        let manifests = seen.iter().filter_map(|seen| seen.target.split_once("/manifests/"));
        manifests.map(|(_, tag)| tag.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(world.found(&of(None, &[ImageTier::Annotation])).await, ["ghcr.io/a/listed:1"]);
    assert_eq!(manifests(), ["1.3.0_build"]);
    let found = world.found(&of(Some("1.2.3"), &[ImageTier::Values])).await;
    assert_eq!(found, ["ghcr.io/a/web:v7", "ghcr.io/a/db:16"]);
    assert_eq!(manifests(), ["1.3.0_build", "1.2.3"]);
    let error = world.find(&of(Some("9.9.9"), &[ImageTier::Annotation])).await.unwrap_err().to_string();
    assert!(error.ends_with("charts/web:9.9.9 is no chart, or not there"), "{error}");
}
