//! What a destination has already, several sources of one repository, and several targets of one content.

use imgop_copier::{Copied, Copier, Item, Journal, Options, Root, Target};
use imgop_fakes::{Fault, Graph, StoringRegistry};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries, RepositoryClient};

use super::case::{Case, check, noise, one_image, registries, run, small_sizes};

fn client(registries: &Registries, of: &StoringRegistry, path: &str) -> RepositoryClient {
    registries.push_target(&of.repository(path), &Access::default())
}

#[tokio::test]
async fn one_content_is_read_once_whatever_its_tags_and_however_many_registries_it_goes_to() {
    let (case, second) = (Case::new().await, StoringRegistry::start().await);
    let mut graph = Graph::of_six_platforms();
    graph.tags.truncate(1);
    let digest = graph.tags[0].1.clone();
    graph.tags = ["1", "1.27", "latest"].map(|tag| (tag.to_owned(), digest.clone())).into();
    case.fill(&graph);
    let registries = registries();
    let mut copier = Copier::new(small_sizes(), Journal::in_memory());
    let source = copier.add_source(client(&registries, &case.source, "app"));
    let destinations = [&case.destination, &second]
        .map(|registry| copier.add_destination(client(&registries, registry, "app"), true));
    let mut items = Vec::new();
    for destination in destinations {
        for (tag, _) in &graph.tags {
            let target = Target { destination, tag: Some(tag.parse().unwrap()), keeps_existing: false };
            items.push(Item { source, root: Root::Digest(digest.clone()), targets: vec![target] });
        }
    }
    let ran = run(&copier, &items).await;
    assert_eq!(ran.outcomes.len(), 6);
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    for registry in [&case.destination, &second] {
        check(registry, "app", &graph);
    }
    let reached: usize =
        graph.reached().iter().map(|manifest| manifest.blob_descriptors().unwrap().len()).sum();
    assert_eq!(case.source.count("GET /v2/app/blobs/"), reached);
    assert_eq!(case.source.count("GET /v2/app/manifests/"), 7);
}

#[tokio::test]
async fn layers_that_contents_share_are_read_once_for_all_repositories_of_several_registries() {
    let (case, second) = (Case::new().await, StoringRegistry::start().await);
    let mut graph = Graph::with_shared_layers();
    graph.tags.truncate(6);
    case.fill(&graph);
    let registries = registries();
    let mut copier = Copier::new(small_sizes(), Journal::in_memory());
    let source = copier.add_source(client(&registries, &case.source, "app"));
    let mut items = Vec::new();
    for (number, (tag, digest)) in graph.tags.iter().enumerate() {
        let mut to = [&case.destination, &second];
        // The order in which a target names them means nothing.
        to.rotate_left(number % 2);
        let targets = to.map(|registry| {
            let client = client(&registries, registry, &format!("app{number}"));
            let destination = copier.add_destination(client, true);
            Target { destination, tag: Some(tag.parse().unwrap()), keeps_existing: false }
        });
        items.push(Item { source, root: Root::Digest(digest.clone()), targets: targets.into() });
    }
    let ran = run(&copier, &items).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    assert_eq!(case.source.count("GET /v2/app/blobs/"), 2 + 2 * graph.tags.len());
}

#[tokio::test]
async fn where_nothing_is_mounted_a_blob_that_is_there_is_not_sent() {
    let (case, graph) = (Case::new().await, one_image());
    without_mounts(&case, &graph).await;
    let sent: usize = case.source.asked().iter().map(|asked| asked.sent).sum();
    // The configuration is that of this image, and not looked for.
    assert_eq!((sent, case.source.uploads()), (graph.blobs[0].len(), 0));
}

#[tokio::test]
async fn where_mounts_pause_a_blob_that_is_there_is_found_without_one() {
    let (case, mut graph) = (Case::new().await, Graph::default());
    let config = graph.blob(r#"{"os":"linux"}"#);
    let layers: Vec<_> = (0..12).map(|number| graph.blob(noise(200 + number))).collect();
    let image = graph.oci_image(&config, &layers);
    graph.tags.push(("v1".to_owned(), image.digest));
    without_mounts(&case, &graph).await;
    // They pause after five refusals; the configuration is sent.
    assert_eq!(case.source.count("POST "), 5 + 1);
}

/// Copies `v1` within a registry that mounts nothing, to a repository that has all its blobs.
async fn without_mounts(case: &Case, graph: &Graph) {
    case.fill(graph);
    case.source.refuse_mounts();
    for blob in &graph.blobs {
        case.source.hold_blob("mirror", blob.clone());
    }
    let registries = registries();
    let mut copier = Copier::new(Options { blobs: 1, ..small_sizes() }, Journal::in_memory());
    let source = copier.add_source(registries.repository(&case.source.repository("app"), &Access::default()));
    let destination = copier.add_destination(client(&registries, &case.source, "mirror"), false);
    let target = Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: false };
    let item = Item { source, root: Root::Digest(graph.tags[0].1.clone()), targets: vec![target] };
    assert!(run(&copier, &[item]).await.is_done());
}

#[tokio::test]
async fn what_one_source_lacks_comes_from_another_one() {
    // One after the other, and both at once.
    for items in [1, 2] {
        let (case, other) = (Case::new().await, StoringRegistry::start().await);
        let mut graph = one_image();
        let config = graph.blob(r#"{"os":"linux","architecture":"arm64"}"#);
        let layer = graph.blobs[3].clone();
        let second = graph.oci_image(&config, std::slice::from_ref(&layer));
        case.fill(&graph);
        for blob in [&config, &layer] {
            other.hold_blob("app", blob.clone());
        }
        other.hold_manifest("app", &["v2"], &second.media_type, second.bytes.clone());
        let lost = Digest::of(&layer);
        case.source.lose_blob("app", &lost);
        // It says so after a while, in which the other one waits for what becomes of it.
        let asked = std::sync::atomic::AtomicUsize::new(0);
        case.source.fail(move |_, line| {
            let is_first =
                line.ends_with(lost.as_str()) && asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
            is_first.then_some(Fault::TooManyFor(1))
        });
        let registries = registries();
        let mut copier = Copier::new(Options { items, ..small_sizes() }, Journal::in_memory());
        let sources = [&case.source, &other].map(|of| copier.add_source(client(&registries, of, "app")));
        let destination = copier.add_destination(client(&registries, &case.destination, "app"), true);
        let item = |source, digest: &Digest, tag: &str| {
            let target = Target { destination, tag: Some(tag.parse().unwrap()), keeps_existing: false };
            Item { source, root: Root::Digest(digest.clone()), targets: vec![target] }
        };
        let items = [item(sources[0], &graph.tags[0].1, "v1"), item(sources[1], &second.digest, "v2")];
        let ran = run(&copier, &items).await;
        assert_eq!(ran.outcomes[1].as_ref().unwrap(), &Copied::Done(second.digest.clone()));
    }
}

#[tokio::test]
async fn a_trouble_that_passes_fails_the_tags_of_its_time_alone() {
    let (mut case, mut graph) = (Case::new().await, one_image());
    let config = graph.blob(r#"{"os":"linux","architecture":"arm64"}"#);
    let layers = graph.blobs[1..4].to_vec();
    let second = graph.oci_image(&config, &layers);
    graph.tags.push(("v2".to_owned(), second.digest));
    case.fill(&graph);
    (case.options.items, case.options.attempts) = (1, 1);
    let shared = Digest::of(&graph.blobs[3]);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    case.source.fail(move |_, line| {
        let is_it = line.ends_with(shared.as_str());
        // As often as one request is sent again by itself.
        let fails = is_it && asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 4;
        fails.then_some(Fault::Status(503))
    });
    let ran = case.copy(&graph).await;
    assert!(ran.outcomes[0].is_err() && ran.outcomes[1].is_ok(), "{:?}", ran.outcomes);
}

#[tokio::test]
async fn an_index_that_is_there_gets_the_images_that_it_lacks() {
    let (case, mut graph) = (Case::new().await, Graph::of_six_platforms());
    graph.tags.truncate(1);
    case.fill(&graph);
    let index = graph.shown(&graph.tags[0].1);
    case.destination.hold_manifest("app", &[], &index.media_type, index.bytes.clone());
    let tags = [(graph.tags[0].0.as_str(), &graph.tags[0].1)];
    assert!(case.copy_tags(&tags, false, Journal::in_memory()).await.is_done());
    case.check(&graph);
}

#[tokio::test]
async fn an_index_within_an_index_that_is_there_gets_the_images_that_it_lacks() {
    let (case, mut graph) = (Case::new().await, Graph::default());
    let images = ["amd64", "arm64"].map(|architecture| {
        let config = graph.blob(format!(r#"{{"architecture":"{architecture}"}}"#));
        graph.oci_image(&config, &[])
    });
    let inner = graph.index(&images, false);
    let root = graph.index(std::slice::from_ref(&inner), false);
    graph.tags.push(("v1".to_owned(), root.digest.clone()));
    case.fill(&graph);
    for index in [inner, root] {
        case.destination.hold_manifest("app", &[], &index.media_type, index.bytes);
    }
    let tags = [("v1", &graph.tags[0].1)];
    assert!(case.copy_tags(&tags, false, Journal::in_memory()).await.is_done());
    case.check(&graph);
}

#[tokio::test]
async fn a_tag_that_shows_the_content_meanwhile_is_done() {
    let (case, graph) = (Case::new().await, one_image());
    case.fill(&graph);
    let digest = graph.tags[0].1.clone();
    let there = graph.shown(&digest);
    case.destination.hold_manifest("app", &["v1"], &there.media_type, there.bytes.clone());
    let registries = registries();
    let mut copier = Copier::new(small_sizes(), Journal::in_memory());
    let source = copier.add_source(client(&registries, &case.source, "app"));
    let destination = copier.add_destination(client(&registries, &case.destination, "app"), false);
    let target = Target { destination, tag: Some("v1".parse().unwrap()), keeps_existing: true };
    let item = Item { source, root: Root::Digest(digest.clone()), targets: vec![target] };
    assert_eq!(run(&copier, &[item]).await.outcomes[0].as_ref().unwrap(), &Copied::Done(digest));
}

#[tokio::test]
async fn the_empty_configuration_of_artifacts_is_sent_once_to_a_repository() {
    let (case, mut graph) = (Case::new().await, Graph::default());
    let (empty, layer) = (graph.blob("{}"), graph.blob("chart"));
    let manifest = graph.oci_image(&empty, &[layer]);
    graph.tags.push(("v1".to_owned(), manifest.digest));
    case.fill(&graph);
    case.destination.hold_blob("app", empty.clone());
    let tags = [("v1", &graph.tags[0].1)];
    assert!(case.copy_tags(&tags, false, Journal::in_memory()).await.is_done());
    assert_eq!(case.destination.count("POST "), 1);
}

#[tokio::test]
async fn an_index_that_lists_layers_as_a_cache_does_is_copied_with_them() {
    let case = Case::new().await;
    let (layer, config) = (noise(300), noise(200));
    let entry = |bytes: &[u8], media_type: &str| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, Digest::of(bytes), bytes.len())
    };
    let entries = [
        entry(&layer, "application/vnd.oci.image.layer.v1.tar+gzip"),
        entry(&config, "application/vnd.buildkit.cacheconfig.v0"),
    ];
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    case.source.hold_blob("app", layer);
    case.source.hold_blob("app", config);
    let digest = case.source.hold_manifest("app", &["cache"], imgop_fakes::INDEX, index);
    let ran = case.copy_tags(&[("cache", &digest)], true, Journal::in_memory()).await;
    assert!(ran.is_done(), "{:?}", ran.outcomes);
    assert_eq!(case.destination.blobs("app").len(), 2);
}
