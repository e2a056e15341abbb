//! Registries that want fewer requests, or have no place for another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use imgop_copier::{Copier, Item, Journal, Root, Target};
use imgop_fakes::{Fault, Graph, StoringRegistry, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries, Settings};
use tokio::time::timeout;

use super::case::{Case, noise, run};

/// One image of several layers, each sent as a whole.
fn of_layers(layers: usize) -> Graph {
    of_sizes((0..layers).map(|number| 9_000 + number))
}

/// One image of layers of these sizes.
fn of_sizes(sizes: impl Iterator<Item = usize>) -> Graph {
    let mut graph = Graph::default();
    let config = graph.blob(r#"{"os":"linux"}"#);
    let layers: Vec<_> = sizes.map(|size| graph.blob(noise(size))).collect();
    let manifest = graph.oci_image(&config, &layers);
    graph.tags.push(("v1".to_owned(), manifest.digest));
    graph
}

/// Lets the first uploads be refused.
fn too_many(times: usize) -> impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static {
    let seen = AtomicUsize::new(0);
    move |_, line| {
        let sends = line.starts_with("PUT /v2/app/blobs/") || line.starts_with("PATCH ");
        let is_refused = sends && seen.fetch_add(1, Ordering::SeqCst) < times;
        is_refused.then_some(Fault::TooMany)
    }
}

#[tokio::test]
async fn downloads_and_uploads_do_not_wait_for_each_other_where_few_requests_are_allowed() {
    // As a whole, and in chunks.
    for (refusals, size) in [(2, 9_000), (3, 9_000), (4, 9_000), (2, 12_000), (4, 12_000)] {
        let (case, graph) = (Case::new().await, of_sizes((0..8).map(|number| size + number)));
        case.fill(&graph);
        case.destination.fail(too_many(refusals));
        let registries = Registries::new(Settings { concurrency_per_registry: 2, ..settings() });
        let tags = [("v1", &graph.tags[0].1)];
        let copied = case.copy_by(&registries, &tags, true, Journal::in_memory());
        let ran = timeout(Duration::from_secs(20), copied).await.expect("none waits for ever");
        assert!(ran.is_done(), "{:?}", ran.outcomes);
        case.check(&graph);
        assert_eq!(case.destination.uploads(), 0, "nothing is left behind");
    }
}

#[tokio::test]
async fn what_waits_for_its_destination_keeps_nothing_else_from_being_read() {
    // Held, as a whole, and in chunks.
    for size in [60, 9_000, 12_000] {
        let (case, second) = (Case::new().await, StoringRegistry::start().await);
        let graphs = [size, size + 1].map(|size| of_sizes([size].into_iter()));
        for graph in &graphs {
            case.fill(graph);
        }
        let layer = Digest::of(&graphs[1].blobs[1]).to_string().replace(':', "%3A");
        let has_arrived = Arc::new(AtomicBool::new(false));
        let arrives = has_arrived.clone();
        second.fail(move |_, line| {
            arrives.fetch_or(line.starts_with("PUT ") && line.ends_with(&layer), Ordering::SeqCst);
            None
        });
        case.destination.fail(move |_, line| {
            let is_sent = line.starts_with("PATCH ") || line.starts_with("PUT /v2/app/blobs/");
            (is_sent && !has_arrived.load(Ordering::SeqCst)).then_some(Fault::TooMany)
        });
        let registries = Registries::new(Settings { concurrency_per_registry: 1, ..settings() });
        let client = |of: &StoringRegistry| registries.push_target(&of.repository("app"), &Access::default());
        let mut copier = Copier::new(case.options.clone(), Journal::in_memory());
        let source = copier.add_source(client(&case.source));
        let items = [(&case.destination, &graphs[0]), (&second, &graphs[1])].map(|(to, graph)| {
            let destination = copier.add_destination(client(to), true);
            let target = Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: false };
            Item { source, root: Root::Digest(graph.tags[0].1.clone()), targets: vec![target] }
        });
        let ran = timeout(Duration::from_secs(20), run(&copier, &items)).await;
        let ran = ran.expect("one waits for the other");
        assert!(ran.is_done(), "{size}: {:?}", ran.outcomes);
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_at_a_destination_has_not_stalled() {
    let (mut case, graph) = (Case::new().await, of_sizes((0..4).map(|number| 1_000_000 + number)));
    // What stalls is not tried again here.
    (case.options.whole, case.options.attempts) = (u64::MAX, 1);
    case.options.patience = Duration::from_secs(1);
    case.fill(&graph);
    // One pause after the other, together longer than that.
    let seen = AtomicUsize::new(0);
    case.destination.fail(move |_, line| {
        let is_refused = line.starts_with("PUT /v2/app/blobs/") && seen.fetch_add(1, Ordering::SeqCst) < 6;
        is_refused.then_some(Fault::TooManyFor(1))
    });
    let registries = Registries::new(Settings { concurrency_per_registry: 2, ..settings() });
    let tags = [("v1", &graph.tags[0].1)];
    let ran = case.copy_by(&registries, &tags, true, Journal::in_memory()).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
}

#[tokio::test]
async fn a_registry_that_wants_no_requests_for_longer_than_is_waited_for_is_sent_none_to_drop_an_upload() {
    let (mut case, graph) = (Case::new().await, of_layers(1));
    case.options.patience = Duration::from_secs(1);
    case.fill(&graph);
    let layer = Digest::of(&graph.blobs[1]).to_string().replace(':', "%3A");
    case.destination.fail(move |_, line| {
        let is_it = line.starts_with("PUT ") && line.ends_with(&layer);
        is_it.then_some(Fault::TooManyFor(2))
    });
    assert!(!case.copy(&graph).await.is_done());
    assert_eq!(case.destination.count("DELETE "), 0, "{:?}", case.destination.asked());
}

#[tokio::test]
async fn a_registry_that_wants_fewer_requests_is_waited_for_longer_than_one_that_fails() {
    let (case, graph) = (Case::new().await, of_layers(1));
    case.fill(&graph);
    case.destination.fail(too_many(10));
    let ran = case.copy(&graph).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    assert_eq!((case.destination.count("POST "), case.destination.count("DELETE ")), (2, 0));
}

#[tokio::test]
async fn a_source_that_fails_costs_the_destination_one_upload() {
    let (case, graph) = (Case::new().await, of_layers(1));
    case.fill(&graph);
    let layer = Digest::of(&graph.blobs[1]);
    case.source.fail(move |_, line| line.ends_with(layer.as_str()).then_some(Fault::Status(503)));
    assert!(!case.copy(&graph).await.is_done());
    let counts = ["POST ", "PUT ", "DELETE "].map(|method| case.destination.count(method));
    assert_eq!((counts, case.destination.uploads()), ([2, 1, 1], 0), "{:?}", case.destination.asked());
    // Four requests each time.
    assert_eq!(case.source.count(&format!("GET /v2/app/blobs/{}", Digest::of(&graph.blobs[1]))), 8);
}

#[tokio::test]
async fn a_destination_that_fails_is_asked_again_once_by_requests_that_are_repeated_anyway() {
    let (case, graph) = (Case::new().await, of_layers(1));
    case.fill(&graph);
    case.destination.fail(|_, line| line.starts_with("POST ").then_some(Fault::Status(503)));
    assert!(!case.copy(&graph).await.is_done());
    // Of the configuration and of the layer.
    assert_eq!(case.destination.count("POST "), 2 * 8);
}

#[tokio::test]
async fn registries_that_want_fewer_requests_of_any_kind_are_waited_for() {
    for (at_source, beginning) in [
        (true, "GET /v2/app/manifests"),
        (true, "GET /v2/app/blobs"),
        (false, "HEAD /v2/app/manifests"),
        (false, "HEAD /v2/app/blobs"),
        (false, "POST "),
        (false, "PUT /v2/app/manifests"),
    ] {
        let (case, graph) = (Case::new().await, of_layers(1));
        case.fill(&graph);
        let seen = AtomicUsize::new(0);
        let throttling = if at_source { &case.source } else { &case.destination };
        throttling.fail(move |_, line| {
            // More often than one request is sent again by itself.
            let is_refused = line.starts_with(beginning) && seen.fetch_add(1, Ordering::SeqCst) < 10;
            is_refused.then_some(Fault::TooMany)
        });
        let tags = [("v1", &graph.tags[0].1)];
        let ran = case.copy_tags(&tags, false, Journal::in_memory()).await;
        assert!(ran.is_done(), "{beginning}: {:?}", ran.outcomes);
        case.check(&graph);
    }
}

#[tokio::test]
async fn wrong_bytes_are_read_twice_for_all_tags_together() {
    let (mut case, mut graph) = (Case::new().await, of_layers(1));
    let second = graph.blob(r#"{"os":"windows"}"#);
    let digest = Digest::of(&graph.blobs[1]);
    let layer = graph.blobs[1].clone();
    let other = graph.oci_image(&second, &[layer]);
    graph.tags.push(("v2".to_owned(), other.digest));
    case.options.items = 1;
    case.fill(&graph);
    case.source.fail(move |_, line| line.ends_with(digest.as_str()).then_some(Fault::OtherBytes));
    let ran = case.copy(&graph).await;
    assert!(ran.outcomes.iter().all(Result::is_err), "{:?}", ran.outcomes);
    let layer = Digest::of(&graph.blobs[1]);
    assert_eq!(case.source.count(&format!("GET /v2/app/blobs/{layer}")), 2);
}
