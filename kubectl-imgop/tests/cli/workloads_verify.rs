//! `kubectl imgop workloads verify`: what could not be looked at is not as it is to be.

use imgop_fakes::Content;
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};
use crate::mirror::registry;
use crate::preview_details::{push, start};

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

/// A cluster with a pod that runs these tags of `app` of one registry, which a WorkloadMirror brings to another one.
fn running(tags: &[&str], [from, to]: &[String; 2]) -> FakeCluster {
    let container = |tag: &&str| json!({ "name": tag, "image": format!("{from}/app:{tag}") });
    let containers: Vec<Value> = tags.iter().map(container).collect();
    let pod = json!({ "metadata": { "name": "web", "namespace": "ci" }, "spec": { "containers": containers },
        "status": { "phase": "Running" } });
    let mut mirror = mirror();
    mirror["spec"]["destination"]["repository"] = to.as_str().into();
    FakeCluster::with_builders(move |request| match request {
        request if request.contains("/workloadmirrors/cluster") => (200, mirror.clone()),
        request if request.contains("/workloadmirrors") => {
            list("WorkloadMirrorList", "skopeo.io/v1alpha1", std::slice::from_ref(&mirror))
        }
        request if request.contains("/pods") => list("PodList", "v1", std::slice::from_ref(&pod)),
        _ => list("List", "v1", &[]),
    })
}

#[test]
fn what_is_missing_and_what_differs_have_exit_codes_of_their_own() {
    let from = registry(&["v1", "v2", "v3"]);
    let mut there = Content::default();
    push(&mut there, "v1");
    push(&mut there, "other");
    let other = there.bytes("other");
    there.put("v3", other);
    let to = start(there);
    let addresses = [from.http.address.to_string(), to.http.address.to_string()];
    let verify = |tags: &[&str], more: &str| {
        let run = running(tags, &addresses).program.run(&format!("workloads verify cluster{more}"));
        run.naming(&addresses[0], "source").naming(&addresses[1], "mirror")
    };
    let whole = verify(&["v1"], " --layers");
    assert_eq!((whole.code, whole.stdout.as_str()), (0, "1 tag: 1 up-to-date.\n"), "{whole}");
    insta::assert_snapshot!(verify(&["v1", "v2"], ""), @"
    exit code: 1
    ----- stdout -----
        SOURCE                   DESTINATION              STATE     REASON
    +   source........./app:v2   mirror........./app:v2   missing

    2 tags: 1 up-to-date, 1 missing.
    ");
    let differing = verify(&["v1", "v2", "v3"], " -o json");
    assert_eq!(differing.code, 3, "{differing}");
    let document: Value = serde_json::from_str(&differing.stdout).unwrap();
    let counts = json!({ "differs": 1, "missing": 1, "up-to-date": 1 });
    assert_eq!((&document["file"], &document["counts"]), (&json!("cluster"), &counts), "{differing}");
    let tags = document["tags"].as_array().unwrap();
    let differs = tags.iter().find(|tag| tag["state"] == "differs").unwrap();
    assert_eq!(differs["source"], "source........./app:v3", "{differing}");
    assert_eq!(differs["destination"], "mirror........./app:v3", "{differing}");
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
