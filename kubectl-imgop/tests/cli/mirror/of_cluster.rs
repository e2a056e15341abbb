//! `mirror plan` and `mirror verify` of an ImageMirror of the cluster.

use serde_json::{Value, json};

use super::registry;
use crate::fake_cluster::{FakeCluster, list, names, not_found};

/// An ImageMirror between two registries, whose entry is in a ConfigMap and has a version source.
fn mirror(from: &str, to: &str) -> Value {
    json!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "ImageMirror",
        "metadata": { "name": "acme", "namespace": "ci", "uid": "m", "resourceVersion": "1", "generation": 1 },
        "spec": {
            "targets": [{ "repository": to, "default": true }],
            "naming": { "template": "{name}" },
            "from": [{ "configMap": { "name": "files", "key": "list" }, "format": "ImagesList" }],
            "entries": [{ "source": format!("{from}/app"), "tags": ["v2"] }],
            "updates": [{ "name": "app", "mode": "Apply", "entries": [{ "source": format!("{from}/app") }],
                "from": { "githubRelease": { "owner": "acme", "repository": "app" } } }],
        },
    })
}

/// An Image of it that has kept a tag which its version source announced; `owner` is who controls it.
fn image(from: &str, to: &str, name: &str, tag: &str, owner: &str) -> Value {
    json!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": name, "namespace": "ci", "uid": name,
            "annotations": { "imgop.skopeo.io/found-tags": tag },
            "ownerReferences": [{ "apiVersion": "skopeo.io/v1alpha1", "kind": "ImageMirror", "name": "acme", "uid": owner,
                "controller": true }] },
        "spec": { "mode": "Recurrent", "source": { "name": format!("{from}/app"), "tags": ["v2"] },
            "destination": { "name": format!("{to}/app") } },
    })
}

fn cluster(from: &str, to: &str) -> FakeCluster {
    let mirror = mirror(from, to);
    let images = [image(from, to, "a", "v3", "m"), image(from, to, "b", "v4", "another")];
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "files", "namespace": "ci" },
        "data": { "list": format!("{from}/app {to}/app v1\n") } });
    FakeCluster::with_builders(move |request| match request {
        request if request.contains("/imagemirrors/acme") => (200, mirror.clone()),
        request if request.contains("/imagemirrors?") => names(&["acme"]),
        request if request.contains("/configmaps/files") => (200, map.clone()),
        request
            if request.contains("/images?")
                && request.contains("labelSelector=imgop.skopeo.io%2Fmirror%3Dacme") =>
        {
            list("ImageList", "skopeo.io/v1alpha1", &images)
        }
        _ => not_found("acne"),
    })
}

#[test]
fn an_image_mirror_is_read_with_its_files_and_with_what_its_version_sources_have_added() {
    let (from, to) = (registry(&["v1", "v2", "v3"]), registry(&["v1"]));
    let addresses = [from.http.address.to_string(), to.http.address.to_string()];
    let cluster = cluster(&addresses[0], &addresses[1]);
    let run = |arguments: &str| {
        let run = cluster.program.run(arguments);
        run.naming(&addresses[0], "source").naming(&addresses[1], "mirror")
    };
    insta::assert_snapshot!(run("mirror plan imagemirror/acme --exit-code"), @"
    exit code: 1
    ----- stdout -----
        SOURCE                   DESTINATION              STATE     REASON
    +   source........./app:v3   mirror........./app:v3   missing
    +   source........./app:v2   mirror........./app:v2   missing

    3 tags: 1 up-to-date, 2 missing.
    ");
    let document = run("mirror verify acme -o json");
    let json: Value = serde_json::from_str(&document.stdout).unwrap();
    assert_eq!(
        (document.code, &json["counts"]),
        (1, &json!({ "missing": 2, "up-to-date": 1 })),
        "{document}"
    );
    assert_eq!(json["file"], "imagemirror/acme");
    assert!(cluster.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", cluster.requests());
}

#[test]
fn a_file_comes_before_an_image_mirror_of_its_name() {
    let (from, to) = (registry(&["v1"]), registry(&["v1"]));
    let cluster = cluster(&from.http.address.to_string(), &to.http.address.to_string());
    cluster.program.file("acme", &super::between(&from, &to, "v1"));
    let run = cluster.program.run("mirror plan acme");
    assert!(run.stdout.contains("1 tag: 1 up-to-date."), "{run}");
    assert_eq!(cluster.requests(), [""; 0]);
}

#[test]
fn a_name_that_is_neither_a_file_nor_an_image_mirror_comes_with_the_nearest_one() {
    let cluster = cluster("r.io", "s.io");
    insta::assert_snapshot!(cluster.program.run("mirror plan acne"));
    let file = cluster.program.run("mirror plan acme.yaml");
    assert!(file.stderr.starts_with("error: cannot read acme.yaml: No such file"), "{file}");
    let verified = cluster.program.run("mirror verify imagemirror/acne");
    assert!(verified.code == 2 && !verified.stderr.contains("no file"), "{verified}");
}
