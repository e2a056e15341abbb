//! What users see of a WorkloadMirror.

use imgop_core::api::WorkloadMirror;
use kube::core::DynamicObject;
use serde_json::json;

use crate::description::{Described, sections};
use crate::kinds::Erased;
use crate::kinds::listing::{Columns, table};
use crate::output::table::Table;

fn mirror() -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
        "metadata": { "name": "cluster", "namespace": "ci", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": {
            "destination": { "repository": "registry.corp/mirror", "prefix": "$registry",
                "credentials": { "secretName": "push" } },
            "namespaces": { "include": ["team-*"], "exclude": ["team-x"] },
            "exclude": { "workloads": [{ "kind": "Job", "name": "*" }], "registries": ["quay.io/acme"] },
            "digests": { "use": "Running" }, "platforms": { "mode": "Nodes" }, "frequency": "1h", "mode": "Observe",
        },
        "status": {
            "progress": "412/418",
            "counts": { "workloads": 90, "pods": 300, "images": 120, "repositories": 80, "pinned": 7, "excluded": 3,
                "waitingForDigest": 2, "synced": 412, "failed": 6, "originNotFound": 0, "retained": 11 },
            "conflicts": [{ "destination": "registry.corp/mirror/app:1", "sources": ["quay.io/x/app:1", "ghcr.io/x/app:1"] }],
            "conflictCount": 3,
            "failing": [{ "image": "cluster-app-0123456789", "reason": "TagNotFound", "tag": "1.0" },
                { "image": "cluster-db-0123456789", "reason": "RegistryUnauthorized", "tag": "2.0" }],
            "lastSyncTime": "2026-01-08T00:00:00Z",
            "conditions": [{ "type": "Ready", "status": "False", "reason": "ImagesNotReady", "message": "6 of 418 tags",
                "lastTransitionTime": "2026-01-08T00:00:00Z" }],
        },
    }))
    .unwrap()
}

fn text(table: &Table, headers: bool) -> String {
    table.lines(headers).into_iter().map(|line| line.text + "\n").collect()
}

#[test]
fn a_workload_mirror_is_listed_with_how_many_tags_are_there() {
    let now = "2026-01-08T00:05:30Z".parse().unwrap();
    let columns = Columns { namespace: false, wide: true };
    let table = table(Erased::<WorkloadMirror>::REF, &[mirror()], columns, now);
    let text = text(&table, true);
    let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..6], ["NAME", "WORKLOADS", "IMAGES", "READY", "REASON", "SYNCED"]);
    assert_eq!(words[1][..6], ["cluster", "90", "120", "False", "ImagesNotReady", "412/418"]);
    assert!(text.contains("registry.corp/mirror"), "{text}");
}

#[test]
fn a_workload_mirror_is_described_with_what_it_looks_at_and_what_fails() {
    let object = mirror();
    let kind = Erased::<WorkloadMirror>::REF;
    let described = Described { kind, object: &object, jobs: Ok(Vec::new()), events: Ok(Vec::new()) };
    let sections = sections(&described, "2026-01-08T00:05:30Z".parse().unwrap()).unwrap();
    let page: Vec<String> = sections.iter().enumerate().map(|(i, table)| text(table, i > 0)).collect();
    let page = page.join("\n");
    for part in [
        "registry.corp/mirror/$registry (credentials in Secret push)",
        "team-*, without team-x",
        "Job */*, quay.io/acme",
        "Observe (nothing is made anywhere), every 1h",
        "what pods run, except of latest",
        "those of the nodes that run an image",
        "90, with 300 pods, use 120 images (3 excluded, 2 waiting for their digest)",
        "412 synced in 80 repositories (6 failed, 7 by digest, 11 retained)",
        "registry.corp/mirror/app:1   quay.io/x/app:1, ghcr.io/x/app:1",
        "and 2 more",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let lines: Vec<String> =
        page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "cluster-app-0123456789 TagNotFound 1.0 the source does not have it",
        "cluster-db-0123456789 RegistryUnauthorized 2.0 a registry could not be asked; the condition says why for the \
         first of them",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}: {page}");
    }
}
