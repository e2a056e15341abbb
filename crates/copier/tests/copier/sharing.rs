//! What several want is read once, and what a registry has is not sent to it.

use imgop_copier::{Copied, Copier, Item, Journal, Root, Target};
use imgop_fakes::{Fault, StoringRegistry};
use imgop_registry::Access;

use super::case::{Case, check, one_image, registries, run, small_sizes};

/// Copies `v1` into these repositories at once.
async fn to_several(case: &Case, to: &[(&StoringRegistry, &str)]) -> super::case::Ran {
    let graph = one_image();
    case.fill(&graph);
    let registries = registries();
    let mut copier = Copier::new(small_sizes(), Journal::in_memory());
    let source = copier.add_source(registries.repository(&case.source.repository("app"), &Access::default()));
    let mut targets = Vec::new();
    for (registry, path) in to {
        let client = registries.push_target(&registry.repository(path), &Access::default());
        let destination = copier.add_destination(client, true);
        targets.push(Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: false });
    }
    let item = Item { source, root: Root::Digest(graph.tags[0].1.clone()), targets };
    run(&copier, &[item]).await
}

#[tokio::test]
async fn several_destinations_of_one_source_read_it_once() {
    let (case, second, third) =
        (Case::new().await, StoringRegistry::start().await, StoringRegistry::start().await);
    let to = [(&case.destination, "a"), (&second, "b"), (&third, "c")];
    let ran = to_several(&case, &to).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    for (registry, path) in to {
        check(registry, path, &one_image());
    }
    assert_eq!(case.source.count("GET /v2/app/blobs/"), one_image().blobs.len());
}

#[tokio::test]
async fn one_destination_that_breaks_off_costs_the_others_nothing() {
    let (case, second) = (Case::new().await, StoringRegistry::start().await);
    second.fail(|_, line| {
        (line.starts_with("PATCH ") || line.contains("/uploads/")).then_some(Fault::Status(403))
    });
    let ran = to_several(&case, &[(&case.destination, "a"), (&second, "b")]).await;
    assert!(matches!(ran.outcomes[0], Ok(Copied::Done(_))), "{:?}", ran.outcomes);
    assert!(ran.failure().contains("403"), "{}", ran.failure());
    check(&case.destination, "a", &one_image());
}

#[tokio::test]
async fn of_two_repositories_of_one_registry_the_second_mounts_what_the_first_got() {
    let case = Case::new().await;
    let ran = to_several(&case, &[(&case.destination, "a"), (&case.destination, "b")]).await;
    assert!(ran.is_done());
    let sent: usize = case.destination.asked().iter().map(|asked| asked.sent).sum();
    assert_eq!(sent, one_image().blobs.iter().map(bytes::Bytes::len).sum::<usize>());
    assert_eq!(ran.progress.mounted_blobs(), 4);
}

#[tokio::test]
async fn what_several_items_bring_to_one_registry_is_read_once() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    let registries = registries();
    let mut copier = Copier::new(small_sizes(), Journal::in_memory());
    let source = copier.add_source(registries.repository(&case.source.repository("app"), &Access::default()));
    let mut items = Vec::new();
    for path in ["a", "b", "c"] {
        let client = registries.push_target(&case.destination.repository(path), &Access::default());
        let destination = copier.add_destination(client, true);
        let targets = vec![Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: false }];
        items.push(Item { source, root: Root::Digest(graph.tags[0].1.clone()), targets });
    }
    assert!(run(&copier, &items).await.is_done());
    assert_eq!(case.source.count("GET /v2/app/blobs/"), 4, "each once");
    for path in ["a", "b", "c"] {
        check(&case.destination, path, &graph);
    }
}

#[tokio::test]
async fn within_one_registry_no_byte_moves() {
    let case = Case::of(StoringRegistry::start().await, StoringRegistry::start().await);
    let ran = to_several(&case, &[(&case.source, "mirror")]).await;
    assert!(ran.is_done());
    check(&case.source, "mirror", &one_image());
    assert_eq!(case.source.count("GET /v2/app/blobs/"), 0);
    assert_eq!(case.source.count("POST "), 4, "one request a blob");
}

#[tokio::test]
async fn a_registry_that_mounts_nothing_is_sent_the_blobs_in_the_uploads_that_it_began_instead() {
    let case = Case::new().await;
    case.source.refuse_mounts();
    let ran = to_several(&case, &[(&case.source, "mirror")]).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    check(&case.source, "mirror", &one_image());
    assert_eq!(case.source.count("POST "), 4, "{:?}", case.source.asked());
    assert_eq!(case.source.uploads(), 0);
}

#[tokio::test]
async fn a_tag_that_is_there_meanwhile_stays_where_it_is_to_be_kept() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    let other = case.destination.hold_manifest("app", &["v1"], imgop_fakes::IMAGE, "{}");
    let registries = registries();
    let mut copier = Copier::new(small_sizes(), Journal::in_memory());
    let client = |of: &StoringRegistry| registries.push_target(&of.repository("app"), &Access::default());
    let source = copier.add_source(client(&case.source));
    let destination = copier.add_destination(client(&case.destination), false);
    let target = Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: true };
    let item = Item { source, root: Root::Digest(graph.tags[0].1.clone()), targets: vec![target] };
    let ran = run(&copier, &[item]).await;
    assert_eq!(ran.outcomes[0].as_ref().unwrap(), &Copied::Kept(other));
}

#[tokio::test]
async fn what_a_registry_lost_meanwhile_is_sent_again_once() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    // It says that it has the largest layer, and does not when the manifest comes.
    let blob = graph.blobs[3].clone();
    case.destination.hold_blob("app", blob.clone());
    let lost = imgop_registry::reference::Digest::of(&blob);
    case.destination.lose_after_head("app", &lost);
    let ran = case.copy_tags(&[("v1", &graph.tags[0].1)], false, Journal::in_memory()).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    check(&case.destination, "app", &graph);
}

#[tokio::test]
async fn two_processes_copy_the_same_to_one_repository_at_once() {
    let (case, mut graph) = (Case::new().await, imgop_fakes::Graph::with_shared_layers());
    graph.tags.truncate(6);
    case.fill(&graph);
    let folder = tempfile::tempdir().unwrap();
    let journal = || Journal::of_file(&folder.path().join("uploads.json"), jiff::Timestamp::now());
    let (one, other) = (case.copy_with(&graph, journal()), case.copy_with(&graph, journal()));
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_done() && other.is_done(), "{:?} {:?}", one.outcomes, other.outcomes);
    case.check(&graph);
    assert_eq!(case.destination.uploads(), 0);
}
