//! Registries that stop in the middle, and do not say so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use imgop_copier::{Copier, Item, Journal, Root, Target};
use imgop_fakes::{Fault, Graph, StoringRegistry, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries, Settings};

use super::case::{Case, check, one_image, run};

/// Lets the first request go wrong that begins and ends like this.
fn first(
    beginning: &'static str,
    end: String,
    fault: Fault,
) -> impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static {
    let is_seen = AtomicBool::new(false);
    move |_, line| {
        let is_it = line.starts_with(beginning) && line.ends_with(&end);
        (is_it && !is_seen.swap(true, Ordering::SeqCst)).then_some(fault)
    }
}

#[tokio::test]
async fn a_source_that_sends_nothing_any_more_is_read_on_from_there() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    let layer = Digest::of(&graph.blobs[3]).to_string();
    case.source.fail(first("GET /v2/app/blobs/", layer, Fault::Stall(20_000)));
    let registries = Registries::new(Settings { read_timeout: Duration::from_millis(500), ..settings() });
    let tags = [("v1", &graph.tags[0].1)];
    let ran = case.copy_by(&registries, &tags, true, Journal::in_memory()).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
    let ranges: Vec<String> = case.source.asked().into_iter().filter_map(|asked| asked.range).collect();
    // On a busy machine others may pause for as long.
    assert!(ranges.iter().any(|range| range == "bytes=20000-29999"), "{ranges:?}");
}

/// Returns an image with a layer of more than connections hold, and the end of the line of a PUT of that.
fn large_image() -> (Graph, String) {
    let mut graph = Graph::default();
    let (config, layer) = (graph.blob("{}"), graph.blob(vec![7; 12 << 20]));
    let end = Digest::of(&layer).to_string().replace(':', "%3A");
    let image = graph.oci_image(&config, &[layer]);
    graph.tags.push(("v1".to_owned(), image.digest));
    (graph, end)
}

#[tokio::test]
async fn a_destination_that_takes_nothing_and_does_not_end_the_upload_keeps_the_others_for_moments_only() {
    const LONG: Duration = Duration::from_hours(1);
    let (mut case, (graph, end)) = (Case::new().await, large_image());
    (case.options.whole, case.options.patience) = (u64::MAX, Duration::from_millis(500));
    case.fill(&graph);
    let silent = StoringRegistry::start().await;
    let first_put = first("PUT ", end, Fault::TakesNothing);
    silent.fail(move |number, line| {
        if line.starts_with("DELETE ") { Some(Fault::TakesNothing) } else { first_put(number, line) }
    });
    let registries = Registries::new(Settings { read_timeout: LONG, request_timeout: LONG, ..settings() });
    let client = |of: &StoringRegistry| registries.push_target(&of.repository("app"), &Access::default());
    let mut copier = Copier::new(case.options.clone(), Journal::in_memory());
    let source = copier.add_source(client(&case.source));
    let destinations = [&silent, &case.destination].map(|of| copier.add_destination(client(of), true));
    let target =
        |destination| Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: false };
    let (root, targets) = (Root::Digest(graph.tags[0].1.clone()), destinations.map(target).into());
    let items = [Item { source, root, targets }];
    let ran = tokio::time::timeout(Duration::from_mins(1), run(&copier, &items)).await.unwrap();
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    assert_eq!(silent.count("DELETE "), 1);
    for of in [&silent, &case.destination] {
        check(of, "app", &graph);
    }
}

#[tokio::test]
async fn a_destination_that_takes_nothing_any_more_is_sent_the_blob_again() {
    for (whole, method) in [(u64::MAX, "PUT "), (1 << 20, "PATCH ")] {
        let (mut case, (graph, end)) = (Case::new().await, large_image());
        (case.options.whole, case.options.chunk) = (whole, u64::MAX);
        case.options.patience = Duration::from_millis(500);
        case.fill(&graph);
        // Chunks do not name the blob, and the configuration is sent in none.
        let end = if method == "PUT " { end } else { String::new() };
        case.destination.fail(first(method, end, Fault::TakesNothing));
        let ran = case.copy(&graph).await;
        assert!(ran.is_done(), "{method}: {:?}", ran.outcomes);
        case.check(&graph);
        assert_eq!(case.destination.uploads(), 0, "{method}: {:?}", case.destination.asked());
    }
}
