//! Mounts at a registry on loopback, request by request.

use std::sync::LazyLock;

use imgop_fakes::{IMAGE, INDEX, WritableRegistry, basic, settings};
use imgop_registry::{Access, Registries};
use proptest::prelude::*;

use super::*;
use crate::copy::fixtures::request;

/// A registry that holds one index of two images in the repositories `a` and `b`.
struct Fake {
    registry: WritableRegistry,
    index: Digest,
    base: Digest,
}

fn image(name: &str, base: &Digest) -> String {
    let blob = |digest: &Digest| format!(r#"{{"digest":"{digest}","size":1,"mediaType":"x"}}"#);
    let (config, own) = (Digest::of(format!("config of {name}").as_bytes()), Digest::of(name.as_bytes()));
    format!(
        r#"{{"mediaType":"{IMAGE}","config":{},"layers":[{},{}]}}"#,
        blob(&config),
        blob(base),
        blob(&own)
    )
}

impl Fake {
    async fn start() -> Self {
        let base = Digest::of(b"base");
        Self::of(&["amd64", "arm64"].map(|name| image(name, &base))).await
    }

    /// It holds an index of these images.
    async fn of(images: &[String]) -> Self {
        let entry = |image: &String| {
            let digest = Digest::of(image.as_bytes());
            format!(r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":{}}}"#, image.len())
        };
        let entries: Vec<String> = images.iter().map(entry).collect();
        let list = format!(r#"{{"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","));
        let registry = WritableRegistry::start().await;
        for repository in ["a", "b"] {
            images.iter().chain([&list]).for_each(|text| drop(registry.hold_content(repository, text)));
        }
        Self { registry, index: Digest::of(list.as_bytes()), base: Digest::of(b"base") }
    }

    fn repository(&self, path: &str) -> Repository {
        self.registry.repository(path)
    }

    fn count(&self, method: &str) -> usize {
        self.registry.count(method)
    }
}

fn client(repository: &Repository, access: &Access) -> RepositoryClient {
    Registries::new(settings()).repository(repository, access)
}

fn copy_of(content: &Digest) -> Copy {
    Copy { digest: content.clone(), ..crate::copy::fixtures::copy("v2.13.1", 1) }
}

/// Mounts for a copy of this content from one repository to another, for a namespace. Returns how many blobs
/// were mounted.
async fn mounts(
    known: &KnownBlobs,
    namespace: &str,
    (source, source_access): (&Repository, &Access),
    (destination, destination_access): (&Repository, &Access),
    content: &Digest,
) -> u64 {
    let mut request = request("v2.13.x");
    (request.source, request.destination) = (source.clone(), destination.clone());
    let registries = Registries::new(settings());
    let (from, to) = (
        registries.repository(source, source_access),
        registries.repository(destination, destination_access),
    );
    // As an observation does, whose answer shows whether pulls are counted.
    from.head(&ManifestRef::Digest(content.clone())).await.unwrap();
    let route = Route { request: &request, source: &from, destination: &to, read_ahead: None };
    let (copies, mut tried) = ([copy_of(content)], HashSet::new());
    let mounted = mount(route, &copies, &mut tried, (namespace, known), SourceMounts::Before).await;
    assert_eq!(
        mount(route, &copies, &mut tried, (namespace, known), SourceMounts::Before).await,
        0,
        "never twice for one content"
    );
    mounted
}

#[tokio::test]
async fn within_one_registry_every_blob_is_mounted_once() {
    let registry = Fake::start().await;
    let (a, b) = (registry.repository("a"), registry.repository("b"));
    let (same, other) = (basic("u", "p"), basic("other", "p"));
    let known = KnownBlobs::default();
    assert_eq!(mounts(&known, "team-a", (&a, &same), (&b, &same), &registry.index).await, 5);
    assert_eq!((registry.count("GET"), registry.count("POST")), (3, 5), "an index, two images; five blobs");
    // Another account may read what this one may not.
    assert_eq!(mounts(&known, "team-a", (&a, &other), (&b, &same), &registry.index).await, 0);
    assert_eq!((registry.count("GET"), registry.count("POST")), (3, 5));
}

#[tokio::test]
async fn what_is_mounted_while_it_is_copied_is_neither_read_nor_mounted_before() {
    let registry = Fake::start().await;
    let mut request = request("v2.13.x");
    (request.source, request.destination) = (registry.repository("a"), registry.repository("b"));
    let (user, registries) = (basic("u", "p"), Registries::new(settings()));
    let [from, to] =
        [&request.source, &request.destination].map(|repository| registries.repository(repository, &user));
    from.head(&ManifestRef::Digest(registry.index.clone())).await.unwrap();
    let route = Route { request: &request, source: &from, destination: &to, read_ahead: None };
    let copies = [copy_of(&registry.index)];
    for (of_source, mounted) in [(SourceMounts::WhileCopying, 0), (SourceMounts::Before, 5)] {
        let known = KnownBlobs::default();
        let count = mount(route, &copies, &mut HashSet::new(), ("team-a", &known), of_source).await;
        assert_eq!((count, registry.count("POST")), (mounted, 5 * usize::from(mounted > 0)), "{of_source:?}");
        assert_eq!(registry.count("GET"), 3 * usize::from(mounted > 0), "{of_source:?}");
    }
}

#[tokio::test]
async fn a_copy_within_one_repository_needs_no_mount() {
    let registry = Fake::start().await;
    let (a, user) = (registry.repository("a"), basic("u", "p"));
    assert_eq!(mounts(&KnownBlobs::default(), "team-a", (&a, &user), (&a, &user), &registry.index).await, 0);
    assert_eq!((registry.count("GET"), registry.count("POST")), (0, 0));
}

#[tokio::test]
async fn of_another_registry_a_known_base_layer_is_mounted_and_no_other_scopes_knowledge_is_used() {
    let (source, registry) = (Fake::start().await, Fake::start().await);
    let (from, to) = (source.repository("a"), registry.repository("b"));
    let (known, push) = (KnownBlobs::default(), basic("push", "p"));
    let scope = Arc::new(Scope::new(&client(&to, &push), "team-a"));
    known.0.lock().learn(&scope, &Arc::new(registry.repository("other")), registry.base.clone());
    let run = async |namespace, access: &Access| {
        mounts(&known, namespace, (&from, &Access::default()), (&to, access), &source.index).await
    };
    assert_eq!(run("team-b", &push).await, 0, "another namespace");
    assert_eq!(run("team-a", &basic("someone", "p")).await, 0, "another credential");
    assert_eq!((source.count("GET"), registry.count("POST")), (0, 0));
    assert_eq!(run("team-a", &push).await, 1);
    assert_eq!((source.count("GET"), registry.count("POST")), (3, 1));
    assert!(registry.registry.requests()[0].ends_with("&from=other"));
}

#[tokio::test]
async fn what_was_published_is_mounted_from_there_later() {
    let (source, registry) = (Fake::start().await, Fake::start().await);
    let (known, user) = (KnownBlobs::default(), basic("u", "p"));
    let mut request = request("v2.13.x");
    (request.source, request.destination) = (source.repository("a"), registry.repository("a"));
    let (from, to) = (client(&request.source, &user), client(&request.destination, &user));
    let route = Route { request: &request, source: &from, destination: &to, read_ahead: None };
    let published = || vec![(registry.index.clone(), None)];
    let learned = learn(route, published(), "team-a", &known).await.unwrap();
    assert!(learned.manifests == 3 && learned.new_bytes > 0, "{learned:?}");
    let again = learn(route, published(), "team-a", &known).await.unwrap();
    assert_eq!(again.new_bytes, 0, "they are there already");
    let other = registry.repository("other");
    assert_eq!(mounts(&known, "team-a", (&request.source, &user), (&other, &user), &source.index).await, 5);
}

#[tokio::test]
async fn a_manifest_that_is_at_hand_is_not_read_again() {
    let registry = Fake::start().await;
    let client = client(&registry.repository("a"), &Access::default());
    let index = client.manifest(&ManifestRef::Digest(registry.index.clone())).await.unwrap();
    let contents = read(&client, [(registry.index.clone(), None)]).await;
    assert_eq!(registry.count("GET"), 1 + 3, "an index and two images");
    assert_eq!(read(&client, [(registry.index.clone(), index)]).await, contents);
    assert_eq!(registry.count("GET"), 1 + 3 + 2, "two images");
    assert_eq!((contents.manifests, contents.blobs.len()), (3, 5), "the base that both share once");
}

#[tokio::test]
async fn where_pulls_are_counted_no_manifest_is_read_for_this() {
    let registry = Fake::start().await;
    registry.registry.count_pulls();
    let (a, b, user) = (registry.repository("a"), registry.repository("b"), basic("u", "p"));
    assert_eq!(mounts(&KnownBlobs::default(), "team-a", (&a, &user), (&b, &user), &registry.index).await, 0);
    assert_eq!((registry.count("GET"), registry.count("POST")), (0, 0));
}

#[tokio::test]
async fn of_a_source_that_lists_blobs_without_end_only_so_many_are_read() {
    let images: Vec<String> = (0..10)
        .map(|image| {
            let blob = |n: usize| {
                let digest = Digest::of(format!("{image} {n}").as_bytes());
                format!(r#"{{"digest":"{digest}","size":1,"mediaType":"x"}}"#)
            };
            let layers: Vec<String> = (1..500).map(blob).collect();
            format!(r#"{{"mediaType":"{IMAGE}","config":{},"layers":[{}]}}"#, blob(0), layers.join(","))
        })
        .collect();
    let registry = Fake::of(&images).await;
    let client = client(&registry.repository("a"), &Access::default());
    // The index has more than enough of them by itself, and so have its images.
    let mut wanted = vec![(registry.index.clone(), None)];
    wanted.extend(images.iter().map(|image| (Digest::of(image.as_bytes()), None)));
    assert_eq!(read(&client, wanted).await.blobs.len(), MAX_BLOBS);
}

fn scope(namespace: &str) -> Arc<Scope> {
    let repository = "r.example.com/app".parse().unwrap();
    Arc::new(Scope::new(&client(&repository, &Access::default()), namespace))
}

fn blob(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn app() -> Arc<Repository> {
    Arc::new("r.example.com/app".parse().unwrap())
}

#[test]
fn no_scope_learns_what_another_has() {
    let (mut known, a, b) = (Known::new(10), scope("team-a"), scope("team-b"));
    known.learn(&a, &app(), blob("secret base"));
    assert_eq!(known.find(&a, &blob("secret base")), Some(app()));
    assert_eq!(known.find(&b, &blob("secret base")), None);
    assert!(!known.any(&b) && known.any(&a));
    known.forget(&b, &blob("secret base"));
    assert!(known.any(&a));
    known.forget(&a, &blob("secret base"));
    assert!(!known.any(&a) && known.0.is_empty());
}

#[test]
fn what_was_learned_first_is_dropped_first_and_what_is_learned_again_stays() {
    let (mut known, a, b) = (Known::new(3), scope("a"), scope("b"));
    for (scope, name) in [(&a, "1"), (&a, "2"), (&a, "3"), (&b, "1"), (&a, "2"), (&a, "4")] {
        known.learn(scope, &app(), blob(name));
    }
    let there = |scope, name| known.find(scope, &blob(name)).is_some();
    assert_eq!(["1", "2", "3", "4"].map(|name| there(&a, name)), [false, true, false, true]);
    assert!(there(&b, "1"));
}

/// Made once: each has a client with a TLS configuration of its own.
static SCOPES: LazyLock<[Arc<Scope>; 3]> = LazyLock::new(|| ["a", "b", "c"].map(scope));

proptest! {
    #[test]
    fn no_more_is_kept_than_may_be_and_nothing_twice(
        steps in proptest::collection::vec((0..3_usize, 0..12_u8, any::<bool>()), 0..200)
    ) {
        let mut known = Known::new(8);
        for (of, name, learn) in steps {
            let (scope, blob) = (&SCOPES[of], blob(&name.to_string()));
            if learn {
                known.learn(scope, &app(), blob.clone());
                prop_assert_eq!(known.find(scope, &blob), Some(app()));
            } else {
                known.forget(scope, &blob);
                prop_assert_eq!(known.find(scope, &blob), None);
            }
            prop_assert!(known.0.len() <= 8 && known.0.iter().count() == known.0.len());
        }
    }
}
