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
async fn a_registry_that_drops_an_upload_of_which_a_chunk_breaks_off_gets_all_of_it_again() {
    let (case, graph) = (Case::new().await, one_large_layer());
    case.fill(&graph);
    case.destination.drop_broken_uploads();
    let chunk = break_one_chunk(10);
    case.destination.fail(move |_, line| chunk(line));
    let ran = case.copy(&graph).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
    assert_eq!(sent(&case), SIZE + 2 + 10 * 4_000 + 1_500);
}

#[tokio::test]
async fn a_registry_that_takes_no_chunks_gets_the_blob_as_a_whole() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    case.destination.refuse_chunks();
    assert!(case.copy(&graph).await.is_done());
    case.check(&graph);
}

/// Lets the first `times` requests that begin like this go wrong.
fn first(times: usize, beginning: &'static str, fault: Fault) -> impl Fn(usize, &str) -> Option<Fault> {
    let seen = AtomicUsize::new(0);
    move |_, line| {
        let goes_wrong = line.starts_with(beginning) && seen.fetch_add(1, Ordering::SeqCst) < times;
        goes_wrong.then_some(fault)
    }
}

/// How many bytes of blobs a registry was sent.
fn sent(case: &Case) -> usize {
    case.destination.asked().iter().map(|asked| asked.sent).sum()
}

#[tokio::test]
async fn an_upload_whose_end_is_answered_with_an_error_stays_and_is_ended_again() {
    let (mut case, graph) = (Case::new().await, one_large_layer());
    case.options.attempts = 8;
    case.fill(&graph);
    // More often than one request is sent again by itself.
    case.destination.fail(first(5, "PUT /v2/app/blobs/uploads/1?", Fault::Status(500)));
    let ran = case.copy(&graph).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
    assert_eq!(sent(&case), SIZE + 2, "each byte once");
    assert_eq!(case.source.count("GET /v2/app/blobs/"), 2);
}

#[tokio::test]
async fn a_blob_that_has_arrived_although_no_answer_came_is_not_sent_again() {
    for beginning in ["PUT /v2/app/blobs/uploads/1?", "PUT /v2/app/blobs/uploads/2?"] {
        let (case, graph) = (Case::new().await, one_image());
        case.fill(&graph);
        case.destination.fail(first(1, beginning, Fault::NoAnswer));
        let ran = case.copy(&graph).await;
        assert!(ran.is_done(), "{:?}", ran.outcomes);
        case.check(&graph);
        let all: usize = graph.blobs.iter().map(bytes::Bytes::len).sum();
        assert_eq!(sent(&case), all, "{beginning}");
    }
}

#[tokio::test]
async fn a_registry_that_does_not_say_how_much_it_has_is_asked_again_before_all_is_sent_anew() {
    let (mut case, graph) = (Case::new().await, one_large_layer());
    case.options.attempts = 8;
    case.fill(&graph);
    let chunk = break_one_chunk(15);
    let status = first(5, "GET /v2/app/blobs/uploads/", Fault::Status(503));
    case.destination.fail(move |number, line| chunk(line).or_else(|| status(number, line)));
    let ran = case.copy(&graph).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
    assert!(sent(&case) <= SIZE + 2 + 1_500, "{} of {SIZE}", sent(&case));
}

/// Breaks the `n`th chunk.
fn break_one_chunk(n: usize) -> impl Fn(&str) -> Option<Fault> {
    let chunks = AtomicUsize::new(0);
    move |line| {
        let is_it = line.starts_with("PATCH ") && chunks.fetch_add(1, Ordering::SeqCst) == n;
        is_it.then_some(Fault::Break(1_500))
    }
}

#[tokio::test]
async fn an_upload_of_an_earlier_process_survives_that_the_registry_does_not_answer() {
    let (mut case, graph) = (Case::new().await, one_large_layer());
    case.options.attempts = 1;
    case.fill(&graph);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("uploads.json");
    case.destination.fail(break_from_chunk(10));
    case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await;
    case.destination.fail(first(4, "GET /v2/app/blobs/uploads/", Fault::Status(503)));
    assert!(!case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await.is_done());
    case.destination.fail(|_, _| None);
    assert!(case.copy_with(&graph, Journal::of_file(&file, Timestamp::now())).await.is_done());
    assert!(sent(&case) < SIZE, "{}", sent(&case));
}

#[tokio::test]
async fn where_requests_must_be_small_blobs_go_in_chunks_that_are() {
    for limit in [3_000, 1_100] {
        let (case, graph) = (Case::new().await, one_image());
        case.fill(&graph);
        case.destination.limit_bodies(limit);
        let ran = case.copy(&graph).await;
        assert!(ran.is_done(), "{:?}", ran.outcomes);
        case.check(&graph);
        assert_eq!(case.destination.uploads(), 0);
    }
}

#[tokio::test]
async fn a_refusal_of_a_chunk_is_said_in_its_own_words_and_says_nothing_of_other_blobs() {
    let (case, graph) = (Case::new().await, one_large_layer());
    case.fill(&graph);
    case.destination.fail(|_, line| line.starts_with("PATCH ").then_some(Fault::Status(404)));
    let said = case.copy(&graph).await.failure();
    assert!(said.contains("404") && !said.contains("0 bytes"), "{said}");
}
