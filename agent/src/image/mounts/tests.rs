//! Mounts against a small registry on loopback, request by request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use imgop_core::registry::{Access, Credential, Registries, Settings};
use tokio::net::TcpListener;

use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A fake registry that holds one index of two images in every repository, and mounts everything. It
/// counts pulls where it is told to.
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
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
    async fn start(counts_pulls: bool) -> Self {
        let base = Digest::of(b"base");
        Self::of(counts_pulls, &["amd64", "arm64"].map(|name| image(name, &base))).await
    }

    /// It holds an index of these images.
    async fn of(counts_pulls: bool, images: &[String]) -> Self {
        let base = Digest::of(b"base");
        let entries = images.iter().map(|image| {
            let digest = Digest::of(image.as_bytes());
            format!(r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":{}}}"#, image.len())
        });
        let list =
            format!(r#"{{"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.collect::<Vec<_>>().join(","));
        let index = Digest::of(list.as_bytes());
        let manifests: HashMap<String, String> = std::iter::once(&list)
            .chain(images)
            .map(|text| (Digest::of(text.as_bytes()).to_string(), text.clone()))
            .collect();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = seen.clone();
        let answer = move |request: Request| {
            let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            log.lock().unwrap().push(format!("{} {path}", request.method()));
            let manifest = path.rsplit('/').next().and_then(|digest| manifests.get(digest)).cloned();
            let mut answer = Response::builder().status(if path.contains("?mount=") { 201 } else { 200 });
            if let Some(text) = &manifest {
                answer =
                    answer.header("content-type", if text.contains("manifests") { INDEX } else { IMAGE });
            }
            if counts_pulls {
                answer = answer.header("ratelimit-remaining", "90;w=21600");
            }
            std::future::ready(answer.body(Body::from(manifest.unwrap_or_default())).unwrap())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { address, seen, index, base }
    }

    fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    fn count(&self, method: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|line| line.starts_with(method)).count()
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
    let mounted = Counter::default();
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
    mounted.get()
}

fn scope(destination: &Repository, access: &Access, namespace: &str) -> Scope {
    let account = registries().repository(destination, access).account();
    Scope { account, namespace: namespace.to_owned() }
}

#[tokio::test]
async fn within_one_registry_every_blob_is_mounted_once() {
    let registry = Fake::start(false).await;
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
    let (source, registry) = (Fake::start(false).await, Fake::start(false).await);
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
    assert!(registry.seen.lock().unwrap()[0].ends_with("&from=other"));
}

#[tokio::test]
async fn a_manifest_that_is_at_hand_is_not_read_again() {
    let registry = Fake::start(false).await;
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
    let registry = Fake::start(true).await;
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
    let registry = Fake::of(false, &images).await;
    let client = registries().repository(&registry.repository("a"), &Access::default());
    // The index has more than enough of them by itself, and so have its images.
    let mut wanted = vec![(registry.index.clone(), None)];
    wanted.extend(images.iter().map(|image| (Digest::of(image.as_bytes()), None)));
    let read = contents(&client, wanted).await;
    assert_eq!(read.iter().map(|(_, content)| content.blobs.len()).sum::<usize>(), MOST_OF_A_LOOK);
}
