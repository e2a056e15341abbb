//! Images that charts use.

use imgop_core::sources::{Chart, ChartLocation, HelmCharts, ImageTier, Note, VersionSource};

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
