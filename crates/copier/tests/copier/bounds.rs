//! How much is held of manifests, however many and large they are.

use std::time::Duration;

use imgop_fakes::{Graph, IMAGE};
use imgop_registry::Manifest;
use imgop_registry::reference::Digest;
use serde_json::json;
use tokio::time::timeout;

use super::case::Case;

/// Bytes of a manifest that is larger than others.
const LARGE: usize = 300 << 10;

/// Indexes of two images each, whose manifests are large.
fn of_large_manifests(tags: usize) -> Graph {
    let mut graph = Graph::default();
    for number in 0..tags {
        let images = ["amd64", "arm64"].map(|architecture| {
            let config = graph.blob(format!(r#"{{"architecture":"{architecture}","n":{number}}}"#));
            let text = json!({ "schemaVersion": 2, "mediaType": IMAGE, "layers": [],
                "config": { "digest": Digest::of(&config), "size": config.len() },
                "annotations": { "padding": "x".repeat(LARGE) } });
            let manifest = Manifest::new(IMAGE, text.to_string().into());
            graph.manifests.push(manifest.clone());
            manifest
        });
        let index = graph.index(&images, false);
        graph.tags.push((format!("v{number}"), index.digest));
    }
    graph
}

#[tokio::test]
async fn contents_of_large_manifests_are_copied_one_after_the_other() {
    let (case, graph) = (Case::new().await, of_large_manifests(5));
    case.fill(&graph);
    let ran = timeout(Duration::from_mins(1), case.copy(&graph)).await.expect("none waits for ever");
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
    let read = case.source.count("GET /v2/app/manifests/");
    assert!(read >= graph.reached().len() + graph.tags.len(), "{read}: large ones once they may be held");
}

#[tokio::test]
async fn a_content_of_more_manifests_than_are_held_fails_and_the_others_are_copied() {
    let (mut case, mut graph) = (Case::new().await, of_large_manifests(1));
    case.options.max_manifest_bytes = 2 * LARGE;
    let config = graph.blob("{}");
    let other = graph.oci_image(&config, &[]);
    graph.tags.push(("other".to_owned(), other.digest));
    case.fill(&graph);
    let ran = case.copy(&graph).await;
    assert!(ran.outcomes[1].is_ok(), "{:?}", ran.outcomes);
    assert!(ran.failure().contains(&format!("more than {} bytes", 2 * LARGE)), "{}", ran.failure());
}
