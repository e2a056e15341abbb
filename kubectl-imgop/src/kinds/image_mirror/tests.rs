//! What users see of an ImageMirror.

use imgop_core::api::ImageMirror;
use kube::core::DynamicObject;
use serde_json::json;

use crate::description::{Described, sections};
use crate::kinds::Erased;
use crate::kinds::listing::{Columns, table};
use crate::output::table::Table;

fn mirror() -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "ImageMirror",
        "metadata": { "name": "acme", "namespace": "ci", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": {
            "targets": [
                { "repository": "docker.io/acme", "default": true, "credentials": { "secretName": "push" } },
                { "repository": "registry.corp/mirror" },
            ],
            "entries": [{ "source": "quay.io/tools/widget", "tags": ["1.0"] }],
            "from": [{ "configMap": { "name": "inventory", "key": "config.yaml" }, "format": "Rancher" }],
            "follow": ["latest"], "frequency": "1h",
            "updates": [{ "name": "widget", "from": { "registry": {} }, "entries": [{ "source": "quay.io/tools/widget" }],
                "mode": "Apply", "frequency": "6h" }],
        },
        "status": {
            "entries": 262, "progress": "716/718",
            "children": { "desired": 718, "current": 718, "ready": 716, "pruneHeld": 12 },
            "tags": { "matched": 7526, "synced": 7500, "copying": 0, "failed": 2, "kept": 24 },
            "conflicts": [{ "destination": "docker.io/acme/app:1", "sources": ["quay.io/x/app:1", "ghcr.io/x/app:1"] }],
            "conflictCount": 3,
            "failing": [{ "image": "acme-widget-0123456789", "reason": "TagNotFound", "tag": "1.0" }],
            "proposals": { "count": 2, "tags": ["quay.io/tools/widget:1.2"], "hash": "0" },
            "failedUpdates": [{ "name": "widget", "message": "GitHub takes no more requests" }],
            "inventory": { "hash": "0", "time": "2026-01-07T00:05:30Z" },
            "lastSyncTime": "2026-01-08T00:00:00Z",
            "conditions": [{ "type": "Ready", "status": "False", "reason": "PruneHeld", "message": "12 of 730 Images",
                "lastTransitionTime": "2026-01-08T00:00:00Z" }],
        },
    }))
    .unwrap()
}

fn text(table: &Table, headers: bool) -> String {
    table.lines(headers).into_iter().map(|line| line.text + "\n").collect()
}

#[test]
fn a_mirror_is_listed_with_how_many_of_its_images_are_ready() {
    let now = "2026-01-08T00:05:30Z".parse().unwrap();
    let table = table(Erased::<ImageMirror>::REF, &[mirror()], Columns { namespace: false, wide: true }, now);
    let text = text(&table, true);
    let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..6], ["NAME", "ENTRIES", "IMAGES", "READY", "REASON", "SYNCED"]);
    assert_eq!(words[1][..6], ["acme", "262", "716/718", "False", "PruneHeld", "7524/7526"]);
    assert!(text.contains("docker.io/acme,registry.corp/mirror"), "{text}");
}

#[test]
fn a_mirror_is_described_with_its_conflicts_and_the_images_that_fail() {
    let object = mirror();
    let kind = Erased::<ImageMirror>::REF;
    let described = Described { kind, object: &object, jobs: Ok(Vec::new()), events: Ok(Vec::new()) };
    let sections = sections(&described, "2026-01-08T00:05:30Z".parse().unwrap()).unwrap();
    let page: Vec<String> = sections.iter().enumerate().map(|(i, table)| text(table, i > 0)).collect();
    let page = page.join("\n");
    for part in [
        "docker.io/acme (default, credentials in Secret push), registry.corp/mirror",
        "ConfigMap inventory, key config.yaml (Rancher)",
        "Missing, following latest",
        "718 Images, 716 ready; deletion of 12 held",
        "7526 matched: 7500 synced, 2 failed, 24 kept",
        "docker.io/acme/app:1   quay.io/x/app:1, ghcr.io/x/app:1",
        "and 2 more",
        "acme-widget-0123456789   TagNotFound   1.0",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
