//! Whatever goes wrong once, everything arrives; what stays wrong is an error, and never a wrong image.

use imgop_fakes::{Fault, StoringRegistry};

use super::case::{Case, one_image, only};

/// Copies one image while the `number`th request at the source or the destination goes wrong.
async fn copied_despite(at_source: bool, number: usize, fault: Fault) -> usize {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    let failing = if at_source { &case.source } else { &case.destination };
    failing.fail(only(number, fault));
    let ran = case.copy(&graph).await;
    assert!(ran.is_done(), "{fault:?} of request {number} at source {at_source}: {:?}", ran.outcomes);
    case.check(&graph);
    assert_eq!(case.destination.uploads(), 0, "nothing is left behind");
    failing.asked().len()
}

/// Copies with each request going wrong, one after the other.
async fn each_request(at_source: bool, fault: Fault) {
    let mut number = 0;
    while number < copied_despite(at_source, number, fault).await {
        number += 1;
    }
    assert!(number >= 5, "{number} requests");
}

#[tokio::test]
async fn one_server_error_at_any_request_changes_nothing() {
    for status in [500, 503] {
        each_request(true, Fault::Status(status)).await;
        each_request(false, Fault::Status(status)).await;
    }
}

#[tokio::test]
async fn one_refusal_of_too_many_requests_changes_nothing() {
    each_request(true, Fault::TooMany).await;
    each_request(false, Fault::TooMany).await;
}

#[tokio::test]
async fn a_source_that_breaks_off_at_any_class_of_byte_is_read_on_from_there() {
    for after in [0, 1, 49, 50, 4_096, 29_999] {
        each_request(true, Fault::Cut(after)).await;
    }
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    case.source.fail(|_, line| line.contains("/blobs/").then_some(Fault::Cut(20_000)));
    assert!(case.copy(&graph).await.is_done());
    let ranges: Vec<String> = case.source.asked().into_iter().filter_map(|asked| asked.range).collect();
    assert_eq!(ranges, ["bytes=20000-29999"], "what has arrived is not read again");
}

#[tokio::test]
async fn a_destination_that_breaks_off_at_any_class_of_byte_gets_what_it_lacks() {
    for after in [0, 1, 49, 3_999, 4_999] {
        let (case, graph) = (Case::new().await, one_image());
        case.fill(&graph);
        let first = std::sync::atomic::AtomicBool::new(true);
        case.destination.fail(move |_, line| {
            let is_sent = line.starts_with("PATCH ") || line.starts_with("PUT /v2/app/blobs");
            let breaks = is_sent && first.swap(false, std::sync::atomic::Ordering::SeqCst);
            breaks.then_some(Fault::Break(after))
        });
        let ran = case.copy(&graph).await;
        assert!(ran.is_done(), "after {after} bytes: {:?}", ran.outcomes);
        case.check(&graph);
    }
}

#[tokio::test]
async fn a_manifest_that_is_refused_while_a_part_of_it_is_written_is_put_again() {
    for code in ["MANIFEST_BLOB_UNKNOWN", "DIGEST_INVALID"] {
        let (case, graph) = (Case::new().await, one_image());
        case.fill(&graph);
        let first = std::sync::atomic::AtomicBool::new(true);
        case.destination.fail(move |_, line| {
            let refuses = line.starts_with("PUT /v2/app/manifests")
                && first.swap(false, std::sync::atomic::Ordering::SeqCst);
            refuses.then_some(Fault::Refused(code))
        });
        let ran = case.copy(&graph).await;
        assert!(ran.is_done(), "{code}: {:?}", ran.outcomes);
        case.check(&graph);
    }
}

#[tokio::test]
async fn a_token_that_expires_at_any_request_is_renewed() {
    let mut number = 0;
    loop {
        let mut case =
            Case::of(StoringRegistry::start_with_tokens().await, StoringRegistry::start_with_tokens().await);
        // One after the other, so that no two of them fetch the first token together.
        case.options.blobs = 1;
        let graph = one_image();
        case.fill(&graph);
        case.destination.fail(only(number, Fault::ExpireToken));
        case.source.fail(only(number, Fault::ExpireToken));
        let ran = case.copy(&graph).await;
        assert!(ran.is_done(), "at request {number}: {:?}", ran.outcomes);
        case.check(&graph);
        number += 1;
        if number > case.source.asked().len().max(case.destination.asked().len()) {
            break;
        }
    }
    assert!(number > 5);
}

#[tokio::test]
async fn wrong_bytes_never_arrive_as_an_image() {
    for (fault, checks) in [
        (Fault::OtherBytes, true),
        (Fault::OtherBytes, false),
        (Fault::Short(20), true),
        (Fault::Short(20), false),
    ] {
        let (case, graph) = (Case::new().await, one_image());
        case.fill(&graph);
        if !checks {
            case.destination.trust_digests();
        }
        case.source.fail(move |_, line| line.contains("/blobs/").then_some(fault));
        let ran = case.copy(&graph).await;
        assert!(!ran.is_done());
        let said = ran.failure();
        assert!(said.contains("the source sends"), "{said}");
        assert_eq!(case.destination.blobs("app").len(), 0, "{fault:?}");
        assert_eq!(case.destination.manifests("app").len(), 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_destination_that_is_full_is_said_so_and_no_tag_is_put() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    case.destination.fail(|_, line| {
        (line.starts_with("PATCH ") || line.starts_with("PUT ")).then_some(Fault::Status(507))
    });
    let ran = case.copy(&graph).await;
    assert!(ran.failure().contains("507"), "{}", ran.failure());
    assert_eq!(case.destination.manifests("app").len(), 0);
}

#[tokio::test]
async fn one_blob_that_is_gone_fails_its_tags_and_no_others() {
    let (case, mut graph) = (Case::new().await, one_image());
    let config = graph.blob("{}");
    let other = graph.oci_image(&config, &[]);
    graph.tags.push(("v2".to_owned(), other.digest));
    case.fill(&graph);
    let lost = imgop_registry::reference::Digest::of(&graph.blobs[2]);
    case.source.lose_blob("app", &lost);
    let ran = case.copy(&graph).await;
    assert!(ran.outcomes[1].is_ok(), "{:?}", ran.outcomes);
    assert!(ran.failure().contains(lost.as_str()));
}

#[tokio::test]
async fn whichever_request_is_refused_a_tag_is_whole_or_not_there() {
    for (status, at_source) in [400, 401, 403, 404].into_iter().flat_map(|s| [(s, true), (s, false)]) {
        let requests = copied_despite(at_source, usize::MAX, Fault::Status(status)).await;
        let mut failed = 0;
        for number in 0..requests {
            let (case, graph) = (Case::new().await, one_image());
            case.fill(&graph);
            let failing = if at_source { &case.source } else { &case.destination };
            failing.fail(only(number, Fault::Status(status)));
            let ran = case.copy(&graph).await;
            if ran.is_done() {
                case.check(&graph);
            } else {
                failed += 1;
                assert!(!case.destination.manifests("app").contains_key("v1"), "{status} of {number}");
            }
        }
        assert!(failed > 0, "none of {requests}: {status} at source {at_source}");
    }
}
