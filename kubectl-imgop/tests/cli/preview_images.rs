//! `preview` of Images: what the cluster knows of them counts as it does for the agent.

use imgop_fakes::{Background, Catalog, CatalogRegistry, INDEX};
use imgop_registry::reference::Digest;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};
use crate::program::Run;

const TAGS: [(&str, &str); 2] = [("1.0", "moved"), ("1.1", "same")];

fn source() -> Background<CatalogRegistry> {
    Catalog::default().with("app", &TAGS).start_in_background()
}

fn destination() -> Background<CatalogRegistry> {
    Catalog::default().with("mirror", &[("1.0", "before"), ("1.1", "same")]).start_in_background()
}

/// Image `app` of namespace `ci`, which copies between these registries.
struct Stage {
    source: Background<CatalogRegistry>,
    destination: Background<CatalogRegistry>,
    image: Value,
}

impl Stage {
    fn new(mode: &str) -> Self {
        Self::between(mode, source(), destination())
    }

    fn between(
        mode: &str,
        source: Background<CatalogRegistry>,
        destination: Background<CatalogRegistry>,
    ) -> Self {
        let image = json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
            "metadata": { "name": "app", "namespace": "ci", "uid": "b", "generation": 1,
                "creationTimestamp": "2026-01-02T00:00:00Z" },
            "spec": { "mode": mode, "source": { "name": format!("{}/app", source.address), "version": "1.x" },
                "destination": { "name": format!("{}/mirror", destination.address) } },
        });
        Self { source, destination, image }
    }

    fn edited(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.image.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    /// The whole sync of this spec succeeded.
    fn completed(self) -> Self {
        self.edited("/status", json!({ "phase": "COMPLETED", "observedGeneration": 1 }))
    }

    /// The same Image from another source, an hour older.
    fn older(&self) -> Value {
        let mut other = self.image.clone();
        other["metadata"]["name"] = "older".into();
        other["metadata"]["uid"] = "a".into();
        other["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        other["spec"]["source"]["name"] = "quay.io/other/app".into();
        other
    }

    /// The manifest as it stands in a repository of Git.
    fn manifest(&self) -> String {
        let mut manifest = self.image.clone();
        manifest.as_object_mut().unwrap().remove("status");
        manifest["metadata"] = json!({ "name": "app", "namespace": "ci" });
        manifest.to_string()
    }

    fn run(&self, arguments: &str, cluster: &FakeCluster) -> Run {
        cluster.program.file("image.yaml", &self.manifest());
        let run = cluster.program.run(arguments);
        run.naming(&self.source.address, "source").naming(&self.destination.address, "mirror")
    }
}

/// A cluster with these Images, which answers for everything else like this.
fn cluster(images: Vec<Value>, rest: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> FakeCluster {
    FakeCluster::start(move |request| {
        let path = request.split('?').next().unwrap_or_default();
        if path.ends_with("/images") {
            return list("ImageList", "skopeo.io/v1alpha1", &images);
        }
        match images
            .iter()
            .find(|image| path.ends_with(&format!("/images/{}", image["metadata"]["name"].as_str().unwrap())))
        {
            Some(image) => (200, image.clone()),
            None => rest(path),
        }
    })
}

fn absent(_: &str) -> (u16, Value) {
    refused(404, "NotFound", "not found")
}

fn forbidden(_: &str) -> (u16, Value) {
    refused(403, "Forbidden", r#"secrets "pull" is forbidden: User "eve" cannot get resource "secrets""#)
}

#[test]
fn a_file_is_previewed_with_what_the_image_of_the_cluster_has_copied_already() {
    let stage = Stage::new("OnceByTag").edited("/status", json!({ "tagAlreadySynced": ["1.0", "1.1"] }));
    let cluster = cluster(vec![stage.image.clone()], absent);
    for arguments in ["preview app --exit-code", "preview -f image.yaml --exit-code"] {
        let run = stage.run(arguments, &cluster);
        assert_eq!(run.code, 0, "{arguments}: {run}");
        assert!(run.stdout.contains("2 tags: 2 already synced."), "{run}");
    }
}

#[test]
fn what_was_copied_once_counts_in_mode_once_by_tag_alone() {
    let stage = Stage::new("Recurrent").edited("/status", json!({ "tagAlreadySynced": ["1.0", "1.1"] }));
    let run = stage.run("preview app --exit-code", &cluster(vec![stage.image.clone()], absent));
    assert!(run.code == 1 && run.stdout.contains("1 to be overwritten"), "{run}");
}

#[test]
fn a_one_shot_that_is_done_copies_nothing_more() {
    let stage = Stage::new("OneShot").completed();
    let cluster = cluster(vec![stage.image.clone()], absent);
    for arguments in ["preview app --exit-code", "preview -f image.yaml --exit-code"] {
        let run = stage.run(arguments, &cluster);
        assert_eq!(run.code, 0, "{arguments}: {run}");
        let sentence = "The Image is done: mode OneShot copies nothing more until its spec changes or kubectl imgop sync app asks for it.";
        assert!(run.stdout.contains(sentence), "{run}");
    }
    let run = stage.run("preview app -o json", &cluster);
    assert!(run.stdout.contains(r#""done": true"#), "{run}");
}

#[test]
fn a_one_shot_whose_spec_a_file_changes_copies_again() {
    let stage = Stage::new("OneShot").completed();
    let mut there = stage.image.clone();
    there["spec"]["source"]["version"] = "1.1".into();
    let run = stage.run("preview -f image.yaml --exit-code", &cluster(vec![there], absent));
    assert!(run.code == 1 && run.stdout.contains("1 to be overwritten"), "{run}");
}

#[test]
fn a_suspended_image_is_no_difference() {
    let stage = Stage::new("Recurrent").edited("/spec/suspend", true.into());
    let run = stage.run("preview app --exit-code", &cluster(vec![stage.image.clone()], absent));
    assert!(run.code == 0 && run.stdout.contains("The Image is suspended"), "{run}");
}

#[test]
fn a_copy_that_failed_and_waits_is_shown_with_why_and_until_when() {
    let failure = json!({ "tag": "1.0", "reason": "CopyFailed", "message": "no space left on device", "attempts": 2,
        "digest": Digest::of(b"moved"), "nextAttempt": "2126-01-01T00:00:00Z" });
    let stage =
        Stage::new("Recurrent").edited("/status", json!({ "observedGeneration": 1, "failures": [failure] }));
    let run = stage.run("preview app --exit-code", &cluster(vec![stage.image.clone()], absent));
    assert!(run.code == 1 && run.stdout.contains("differs (failed)"), "{run}");
    assert!(run.stdout.contains("failed and tried again later: no space left on device"), "{run}");
}

#[test]
fn a_tag_of_an_older_image_of_the_namespace_is_not_copied() {
    let stage = Stage::new("Recurrent");
    let cluster_with = |older: Value| cluster(vec![stage.image.clone(), older], absent);
    let run = stage.run("preview app", &cluster_with(stage.older()));
    assert!(
        run.stdout.contains("differs (conflict)") && run.stdout.contains("owned by an older Image"),
        "{run}"
    );
    let mut elsewhere = stage.older();
    elsewhere["metadata"]["namespace"] = "team".into();
    elsewhere["status"] = json!({ "writtenTo": elsewhere["spec"]["destination"]["name"] });
    let run = stage.run("preview app", &cluster_with(elsewhere));
    assert!(run.stdout.contains("1 to be overwritten"), "nothing that a tenant can write gives a tag: {run}");
}

#[test]
fn where_older_images_cannot_be_listed_that_is_reported_and_no_comparison() {
    let stage = Stage::new("Recurrent");
    let image = stage.image.clone();
    let cluster = FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images/app") => (200, image.clone()),
        _ => refused(
            403,
            "Forbidden",
            r#"images.skopeo.io is forbidden: User "eve" cannot list resource "images""#,
        ),
    });
    let run = stage.run("preview app", &cluster);
    assert!(
        run.code == 0 && run.stderr.contains("warning: whether tags belong to an older Image is not known: "),
        "{run}"
    );
    assert_eq!(stage.run("preview app --exit-code", &cluster).code, 2);
    assert!(stage.run("preview app -o json", &cluster).stdout.contains(r#""conflictsUnknown": "#));
}

#[test]
fn who_sees_one_namespace_alone_is_told_which_images_were_compared() {
    let stage = Stage::new("Recurrent");
    let images = [stage.image.clone(), stage.older()];
    let cluster = FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images/app") => (200, images[0].clone()),
        path if path.ends_with("/namespaces/ci/images") => list("ImageList", "skopeo.io/v1alpha1", &images),
        _ => refused(
            403,
            "Forbidden",
            r#"images.skopeo.io is forbidden: User "eve" cannot list resource "images""#,
        ),
    });
    let run = stage.run("preview app", &cluster);
    assert!(run.stdout.contains("differs (conflict)") && run.stderr.is_empty(), "{run}");
    assert!(run.stdout.contains("Images of other namespaces were not compared"), "{run}");
}

#[test]
fn signatures_of_the_destinations_own_are_kept() {
    let index = |signatures: &[&str]| {
        let entries: Vec<Value> = signatures
            .iter()
            .map(|text| json!({ "mediaType": INDEX, "size": 1, "digest": Digest::of(text.as_bytes()) }))
            .collect();
        json!({ "schemaVersion": 2, "manifests": entries }).to_string()
    };
    let signature = format!("sha256-{}.sig", Digest::of(b"same").hex());
    let registry = |repository: &str, signatures: &[&str]| {
        let signatures = index(signatures);
        Catalog::default()
            .with(repository, &[("1.1", "same"), (&signature, &signatures)])
            .start_in_background()
    };
    let stage = Stage::between("Recurrent", registry("app", &["a"]), registry("mirror", &["a", "b"]))
        .edited("/spec/referrers", "All".into());
    let run = stage.run("preview app --exit-code", &cluster(vec![stage.image.clone()], absent));
    assert!(run.code == 0 && run.stdout.contains("differs (kept)"), "{run}");
    assert!(run.stdout.contains("1 differing and kept"), "{run}");
}

fn with_secret(secret: &str) -> Stage {
    Stage::new("Recurrent").edited("/spec/source/credentials", json!({ "secretName": secret }))
}

fn secret(registry: &str) -> Value {
    let config = json!({ "auths": { registry: { "username": "push", "password": "p" } } });
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "pull", "namespace": "ci" },
        "data": { ".dockerconfigjson": ByteString(config.to_string().into_bytes()) } })
}

#[test]
fn a_secret_that_the_agent_cannot_use_is_a_failure() {
    let stage = with_secret("pull");
    let run_with = |secret: Option<Value>| {
        let answer = move |_: &str| secret.clone().map_or_else(|| absent(""), |secret| (200, secret));
        stage.run("preview app --exit-code", &cluster(vec![stage.image.clone()], answer))
    };
    let run = run_with(None);
    assert!(run.code == 2 && run.stderr.contains("Secret pull of namespace ci does not exist"), "{run}");
    let run = run_with(Some(
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "pull" }, "data": {} }),
    ));
    assert!(
        run.code == 2 && run.stderr.contains("Secret pull") && run.stderr.contains(".dockerconfigjson"),
        "{run}"
    );
    let run = run_with(Some(secret("other.example.com")));
    assert!(run.code == 2 && run.stderr.contains("Secret pull"), "{run}");
    let run = run_with(Some(secret(&stage.source.address)));
    assert!(run.code == 1 && run.stderr.is_empty(), "{run}");
}

#[test]
fn a_secret_that_may_not_be_read_leaves_the_credentials_of_this_machine() {
    let stage = with_secret("pull");
    let run = stage.run("preview app", &cluster(vec![stage.image.clone()], forbidden));
    assert!(
        run.code == 0 && run.stderr.contains("warning: using the credentials of this machine for the source"),
        "{run}"
    );
}

#[test]
fn several_previews_are_a_list_whatever_fails() {
    let stage = Stage::new("Recurrent");
    let cluster = cluster(Vec::new(), absent);
    let absent = stage.manifest().replace(r#""name":"app""#, r#""name":"gone""#).replace("/app\"", "/gone\"");
    cluster.program.file("images.yaml", &format!("{}\n---\n{absent}\n", stage.manifest()));
    let run = stage.run("preview -f images.yaml -o json", &cluster);
    assert_eq!(run.code, 1, "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["kind"], "List");
    let items = document["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["image"]["name"], &items[1]["image"]["name"]),
        (2, &json!("app"), &json!("gone"))
    );
    assert!(items[1]["error"].as_str().unwrap().contains("no such repository"), "{run}");
}

/// Accepts connections, counts them, and never answers.
fn silent_server() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap().to_string(), std::sync::Arc::default());
    let connections: std::sync::Arc<std::sync::atomic::AtomicUsize> = std::sync::Arc::clone(&count);
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            open.push(stream);
        }
    });
    (address, count)
}

#[test]
fn a_cluster_that_does_not_answer_is_asked_once() {
    let (address, connections) = silent_server();
    let stage = with_secret("pull").edited("/spec/destination/credentials", json!({ "secretName": "push" }));
    let program = crate::program::Program::new();
    program.file("kubeconfig", &crate::fake_cluster::kubeconfig(&format!("http://{address}")));
    let second = stage.manifest().replace(r#""name":"app""#, r#""name":"second""#);
    program.file("images.yaml", &format!("{}\n---\n{second}\n", stage.manifest()));
    let run = program.run("preview -f images.yaml --request-timeout 1s");
    assert!(run.stdout.contains("IMAGE         ci/second"), "{run}");
    assert!(run.stderr.contains("whether tags belong to an older Image is not known"), "{run}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 1, "{run}");
}
