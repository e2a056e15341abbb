//! Mounts against a small registry on loopback, request by request.

use imgop_fakes::{IMAGE, INDEX, WritableRegistry};
use imgop_registry::{Access, Credential, Registries, Settings};

use super::*;

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

fn registries() -> Registries {
    Registries::new(Settings { system_proxy: false, ..Settings::default() })
}

fn user(name: &str) -> Access {
    let credential = Credential::Basic { username: name.to_owned(), password: "p".into() };
    Access { credential: Some(credential), ..Access::default() }
}

/// Copies from one repository to another, for a namespace, with what is known.
async fn mounts(
    blobs: &Blobs,
    namespace: &str,
    (source, source_access): (&Repository, Access),
    (destination, destination_access): (&Repository, Access),
    content: &Digest,
) -> u64 {
    let registries = registries();
    let (from, to) = (
        registries.repository(source, &source_access),
        registries.repository(destination, &destination_access),
    );
    // As an observation does, which tells whether pulls are counted.
    from.head(&ManifestRef::Digest(content.clone())).await.unwrap();
    let mounted = AtomicU64::new(0);
    let mounting = Mounting {
        blobs,
        mounted: &mounted,
        scope: Scope { account: to.account(), namespace: namespace.to_owned() },
        source: (&from, source),
        destination: (&to, destination),
    };
    if mounting.may_help() {
        mounting.run(vec![content.clone()]).await;
    }
    mounted.into_inner()
}

fn scope(destination: &Repository, access: &Access, namespace: &str) -> Scope {
    let account = registries().repository(destination, access).account();
    Scope { account, namespace: namespace.to_owned() }
}

#[tokio::test]
async fn within_one_registry_every_blob_is_mounted_once() {
    let registry = Fake::start().await;
    let (a, b) = (registry.repository("a"), registry.repository("b"));
    let same = user("u");
    let blobs = Blobs::default();
    assert_eq!(mounts(&blobs, "team-a", (&a, same.clone()), (&b, same.clone()), &registry.index).await, 5);
    assert_eq!((registry.count("GET"), registry.count("POST")), (3, 5), "an index, two images; five blobs");
    // Another account may read what this one may not.
    assert_eq!(mounts(&blobs, "team-a", (&a, user("other")), (&b, same), &registry.index).await, 0);
    assert_eq!((registry.count("GET"), registry.count("POST")), (3, 5));
}

#[tokio::test]
async fn of_another_registry_a_known_base_layer_is_mounted_and_nobody_elses_knowledge_is_used() {
    let (source, registry) = (Fake::start().await, Fake::start().await);
    let (from, to) = (source.repository("a"), registry.repository("b"));
    let (blobs, push) = (Blobs::default(), user("push"));
    let learned = scope(&to, &push, "team-a");
    blobs.lock().learn(learned.clone(), &registry.repository("other"), [registry.base.clone()]);
    let run = async |namespace, access: &Access| {
        mounts(&blobs, namespace, (&from, Access::default()), (&to, access.clone()), &source.index).await
    };
    assert_eq!(run("team-b", &push).await, 0, "another namespace");
    assert_eq!(run("team-a", &user("someone")).await, 0, "another credential");
    assert_eq!((source.count("GET"), registry.count("POST")), (0, 0));
    assert_eq!(run("team-a", &push).await, 1);
    assert_eq!((source.count("GET"), registry.count("POST")), (3, 1));
    assert!(registry.registry.requests()[0].ends_with("&from=other"));
}

#[tokio::test]
async fn a_manifest_that_is_at_hand_is_not_read_again() {
    let registry = Fake::start().await;
    let client = registries().repository(&registry.repository("a"), &Access::default());
    let index = client.manifest(&ManifestRef::Digest(registry.index.clone())).await.unwrap();
    let read = contents(&client, [(registry.index.clone(), None)]).await;
    assert_eq!(registry.count("GET"), 1 + 3, "an index and two images");
    assert_eq!(contents(&client, [(registry.index.clone(), index)]).await, read);
    assert_eq!(registry.count("GET"), 1 + 3 + 2, "two images");
    assert_eq!((read[0].1.manifests, read[0].1.blobs.len()), (3, 5), "the base that both share once");
}

#[tokio::test]
async fn where_pulls_are_counted_no_manifest_is_read_for_this() {
    let registry = Fake::start().await;
    registry.registry.count_pulls();
    let (a, b) = (registry.repository("a"), registry.repository("b"));
    assert_eq!(
        mounts(&Blobs::default(), "team-a", (&a, user("u")), (&b, user("u")), &registry.index).await,
        0
    );
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
    let client = registries().repository(&registry.repository("a"), &Access::default());
    // The index has more than enough of them by itself, and so have its images.
    let mut wanted = vec![(registry.index.clone(), None)];
    wanted.extend(images.iter().map(|image| (Digest::of(image.as_bytes()), None)));
    let read = contents(&client, wanted).await;
    assert_eq!(read.iter().map(|(_, content)| content.blobs.len()).sum::<usize>(), MAX_BLOBS);
}
