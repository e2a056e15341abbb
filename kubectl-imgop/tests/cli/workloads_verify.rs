//! `kubectl imgop workloads verify`: what could not be looked at is not as it is to be.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};

/// A cluster in which nothing runs, with these WorkloadMirrors. Whether pods may be listed is the other argument.
fn cluster(mirrors: Vec<Value>, sees_pods: bool) -> FakeCluster {
    FakeCluster::with_builders(move |request| match request {
        request if request.contains("/workloadmirrors") => {
            list("WorkloadMirrorList", "skopeo.io/v1alpha1", &mirrors)
        }
        request if request.contains("/pods") && !sees_pods => refused(403, "Forbidden", "pods is forbidden"),
        _ => list("List", "v1", &[]),
    })
}

fn mirror() -> Value {
    json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
        "metadata": { "name": "cluster", "namespace": "ci" },
        "spec": { "destination": { "repository": "registry.corp/mirror" } } })
}

#[test]
fn nothing_to_compare_is_no_success_where_not_all_was_seen() {
    let all = cluster(vec![mirror()], true).program.run("workloads verify");
    assert_eq!((all.code, all.stdout.as_str()), (0, "0 tags.\n"), "{all}");
    let without_pods = cluster(vec![mirror()], false).program.run("workloads verify");
    assert_eq!(without_pods.code, 2, "{without_pods}");
    assert!(
        without_pods.stderr.contains("not all was compared: you may not list pods in ci"),
        "{without_pods}"
    );
}

#[test]
fn without_a_mirror_nothing_was_compared() {
    let run = cluster(Vec::new(), true).program.run("workloads verify");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run}");
    assert!(run.stderr.contains("nothing was compared: there is no WorkloadMirror"), "{run}");
}
