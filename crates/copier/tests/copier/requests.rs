//! How many requests a first copy takes: no more than the protocol needs.

use imgop_copier::Journal;
use imgop_fakes::Graph;

use super::case::{Case, one_image};

#[tokio::test]
async fn a_hundred_tags_with_shared_layers_take_two_requests_a_blob_and_one_a_manifest() {
    let (case, graph) = (Case::new().await, Graph::with_shared_layers());
    case.fill(&graph);
    assert!(case.copy(&graph).await.is_done());
    case.check(&graph);
    let blobs = graph.blobs.len();
    assert_eq!((blobs, graph.manifests.len()), (202, 100));
    assert_eq!(case.source.count("GET /v2/app/blobs/"), blobs, "each once");
    assert_eq!(case.source.asked().len(), blobs + 100);
    // Some of them are sent in chunks here: two more each.
    let chunked = case.destination.count("PATCH ");
    assert_eq!(case.destination.asked().len() - chunked, 2 * blobs + 100);
    // Besides, a list on each side.
    let all = case.source.asked().len() + case.destination.asked().len() - chunked + 2;
    assert!(all <= 820, "{all}");
    let sent: usize = case.destination.asked().iter().map(|asked| asked.sent).sum();
    assert_eq!(sent, graph.blobs.iter().map(bytes::Bytes::len).sum::<usize>(), "each byte once");
}

#[tokio::test]
async fn twenty_tags_of_six_platforms_are_copied_at_the_floor() {
    let (case, graph) = (Case::new().await, Graph::of_six_platforms());
    case.fill(&graph);
    assert!(case.copy(&graph).await.is_done());
    case.check(&graph);
    assert_eq!((graph.blobs.len(), graph.manifests.len()), (246, 140));
    let chunked = case.destination.count("PATCH ");
    let all = case.source.asked().len() + case.destination.asked().len() - chunked + 2;
    assert!(all <= 1_030, "{all}");
    assert_eq!(case.destination.count("HEAD "), 0);
}

#[tokio::test]
async fn a_new_tag_of_a_repository_that_is_known_sends_only_what_is_new() {
    let (case, mut graph) = (Case::new().await, Graph::with_shared_layers());
    graph.tags.truncate(2);
    case.fill(&graph);
    let first = &graph.tags[..1];
    let tags: Vec<_> = first.iter().map(|(tag, digest)| (tag.as_str(), digest)).collect();
    assert!(case.copy_tags(&tags, true, Journal::in_memory()).await.is_done());
    case.destination.fail(|_, _| None);
    let second: Vec<_> = graph.tags[1..].iter().map(|(tag, digest)| (tag.as_str(), digest)).collect();
    let ran = case.copy_tags(&second, false, Journal::in_memory()).await;
    assert!(ran.is_done());
    assert_eq!(case.destination.count("POST "), 2, "a layer and a configuration");
    case.destination.fail(|_, _| None);
    let again = case.copy_tags(&[("again", second[0].1)], false, Journal::in_memory()).await;
    assert!(again.is_done());
    let lines: Vec<String> = case.destination.asked().into_iter().map(|asked| asked.line).collect();
    let digest = second[0].1;
    let expected = [format!("HEAD /v2/app/manifests/{digest}"), "PUT /v2/app/manifests/again".to_owned()];
    assert_eq!(lines, expected, "content that is there needs a tag and nothing else");
}

#[tokio::test]
async fn where_it_is_known_what_all_tags_show_no_image_is_looked_for() {
    let (mut case, mut graph) = (Case::new().await, Graph::with_shared_layers());
    graph.tags.truncate(2);
    case.fill(&graph);
    let [(first, known), (second, new)] = &graph.tags[..] else { panic!("two tags") };
    assert!(case.copy_tags(&[(first.as_str(), known)], true, Journal::in_memory()).await.is_done());
    case.destination.fail(|_, _| None);
    case.shown = Some(vec![known.clone()]);
    let ran = case.copy_tags(&[("again", known), (second.as_str(), new)], false, Journal::in_memory()).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    let counts = ["HEAD /v2/app/manifests/", "HEAD /v2/app/blobs/", "POST ", "PUT /v2/app/manifests/"];
    let counts = counts.map(|beginning| case.destination.count(beginning));
    assert_eq!(counts, [0, 3, 2, 2], "three layers, of which one is new: {:?}", case.destination.asked());
}

#[tokio::test]
async fn an_image_that_is_gone_although_a_tag_has_shown_it_is_copied_all_the_same() {
    let (mut case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    let digest = &graph.tags[0].1;
    case.shown = Some(vec![digest.clone()]);
    let ran = case.copy_tags(&[("v1", digest)], false, Journal::in_memory()).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    case.check(&graph);
}
