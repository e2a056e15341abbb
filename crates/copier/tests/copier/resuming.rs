//! Large blobs that break off go on, in this process and in the next one.

use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_copier::Journal;
use imgop_fakes::{Fault, Graph};
use jiff::Timestamp;

use super::case::{Case, noise, one_image};

/// The size of the one layer, of which a chunk is a twentieth.
const SIZE: usize = 80_000;

fn one_large_layer() -> Graph {
    let mut graph = Graph::default();
    let (config, layer) = (graph.blob("{}"), graph.blob(noise(SIZE)));
    let manifest = graph.oci_image(&config, &[layer]);
    graph.tags.push(("v1".to_owned(), manifest.digest));
    graph
}

/// Lets everything from the `n`th chunk on break within it.
fn break_from_chunk(n: usize) -> impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static {
    let chunks = AtomicUsize::new(0);
    move |_, line| {
        let is_chunk = line.starts_with("PATCH ");
        let number =
            if is_chunk { chunks.fetch_add(1, Ordering::SeqCst) } else { chunks.load(Ordering::SeqCst) };
        let is_down = number >= n && (is_chunk || line.contains("/uploads/"));
        is_down.then_some(if is_chunk { Fault::Break(1_000) } else { Fault::Status(500) })
    }
}

#[tokio::test]
async fn a_copy_that_is_broken_off_at_half_sends_the_other_half_the_next_time() {
    let (mut case, graph) = (Case::new().await, one_large_layer());
    case.options.attempts = 1;
    case.fill(&graph);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache/uploads.json");
    case.destination.fail(break_from_chunk(SIZE / 4_000 / 2));
    let broken = case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await;
    assert!(!broken.is_done());
    assert!(file.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    case.destination.fail(|_, _| None);
    case.source.fail(|_, _| None);
    let again = case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await;
    assert!(again.is_done(), "{:?}", again.outcomes);
    case.check(&graph);
    let moved = |asked: usize| asked <= SIZE * 6 / 10 + 10;
    let sent: usize = case.destination.asked().iter().map(|asked| asked.sent).sum();
    let read: usize = case.source.asked().iter().map(|asked| asked.answered).sum();
    assert!(moved(sent) && moved(read), "{sent} sent and {read} read of {SIZE}");
    assert!(again.progress.resumed_bytes() >= 40_000);
    assert!(!file.exists(), "nothing is under way any more");
}

#[tokio::test]
async fn an_upload_that_the_registry_no_longer_knows_begins_anew() {
    let (mut case, graph) = (Case::new().await, one_large_layer());
    case.options.attempts = 1;
    case.fill(&graph);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("uploads.json");
    case.destination.fail(break_from_chunk(10));
    case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await;
    case.destination.heal();
    case.destination.drop_uploads();
    assert!(case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await.is_done());
    case.check(&graph);
}

#[tokio::test]
async fn what_was_uploaded_of_something_else_is_noticed_and_sent_anew() {
    let (mut case, graph) = (Case::new().await, one_large_layer());
    case.options.attempts = 1;
    case.fill(&graph);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("uploads.json");
    case.destination.fail(break_from_chunk(10));
    case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await;
    case.destination.heal();
    case.destination.spoil_uploads();
    case.options.attempts = 3;
    assert!(case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await.is_done());
    case.check(&graph);
}

#[tokio::test]
async fn within_a_process_a_broken_chunk_goes_on_where_the_registry_says() {
    let (case, graph) = (Case::new().await, one_large_layer());
    case.fill(&graph);
    let broken = AtomicUsize::new(0);
    case.destination.fail(move |_, line| {
        let is_third = line.starts_with("PATCH ") && broken.fetch_add(1, Ordering::SeqCst) == 2;
        is_third.then_some(Fault::Break(1_500))
    });
    assert!(case.copy(&graph).await.is_done());
    case.check(&graph);
    let ranges: Vec<String> = case.destination.asked().into_iter().filter_map(|asked| asked.range).collect();
    assert_eq!(ranges[2..4], ["8000-11999", "9500-13499"]);
}

#[tokio::test]
async fn a_registry_that_takes_no_chunks_gets_the_blob_as_a_whole() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    case.destination.refuse_chunks();
    assert!(case.copy(&graph).await.is_done());
    case.check(&graph);
}
