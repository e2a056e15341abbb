//! Registries that stop in the middle, and do not say so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use imgop_copier::Journal;
use imgop_fakes::{Fault, Graph, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Registries, Settings};

use super::case::{Case, one_image};

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

#[tokio::test]
async fn a_destination_that_takes_nothing_any_more_is_sent_the_blob_again() {
    // More than connections hold.
    const SIZE: usize = 12 << 20;
    for (whole, method) in [(u64::MAX, "PUT "), (1 << 20, "PATCH ")] {
        let (mut case, mut graph) = (Case::new().await, Graph::default());
        let (config, layer) = (graph.blob("{}"), graph.blob(vec![7; SIZE]));
        let end = Digest::of(&layer).to_string().replace(':', "%3A");
        let image = graph.oci_image(&config, &[layer]);
        graph.tags.push(("v1".to_owned(), image.digest));
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
