//! `kubectl imgop preview` of a WorkloadMirror, as far as the user sees what workloads use.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};
use crate::workloads::{cluster, cluster_with, mirror};

/// A cluster with a WorkloadMirror of this spec, where each list of workloads and pods has this answer.
fn with_workloads(spec: Value, workloads: fn() -> (u16, Value)) -> FakeCluster {
    let named = mirror(spec.clone());
    cluster_with(spec, move |request| {
        let path = request.split('?').next().unwrap_or_default();
        let kinds = ["pods", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"];
        match path.rsplit('/').next().unwrap_or_default() {
            "cluster" => Some((200, named.clone())),
            last => kinds.contains(&last).then(workloads),
        }
    })
}

fn forbidden() -> (u16, Value) {
    refused(403, "Forbidden", "it is forbidden")
}

fn nothing() -> (u16, Value) {
    list("List", "v1", &[])
}

#[test]
fn what_the_user_may_not_list_is_said_and_nothing_to_copy_is_not_certain_then() {
    let blind = with_workloads(json!({}), forbidden);
    blind.program.file("mirror.json", &mirror(json!({})).to_string());
    for arguments in ["preview -f mirror.json", "preview workloadmirror/cluster"] {
        let run = blind.program.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run}");
        for said in [
            "warning: cluster: you may not list deployments in ci,",
            "; the agent may see more",
            "WorkloadMirror cluster becomes no Image: nothing that you may list uses an image that it copies",
        ] {
            assert!(run.stderr.contains(said), "{said}: {run}");
        }
        let compared = blind.program.run(&format!("{arguments} --exit-code"));
        assert_eq!(compared.code, 2, "{compared}");
        assert!(compared.stderr.contains("you may not see all workloads that are mirrored"), "{compared}");
    }
}

#[test]
fn nothing_to_copy_is_certain_where_the_user_sees_that_nothing_runs() {
    let run = with_workloads(json!({}), nothing).program.run("preview workloadmirror/cluster --exit-code");
    assert_eq!(run.code, 0, "{run}");
    let why =
        "WorkloadMirror cluster becomes no Image: no workload that it sees uses an image that it copies";
    assert!(run.stderr.contains(why) && !run.stderr.contains("you may not"), "{run}");
}

#[test]
fn workloads_that_may_say_that_they_are_not_mirrored_need_not_be_seen() {
    let spec = json!({ "kinds": ["Pod"] });
    let named = mirror(spec.clone());
    let owner = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "s", "controller": true }]);
    let pod = json!({ "metadata": { "name": "db-0", "namespace": "ci", "ownerReferences": owner },
        "spec": { "containers": [{ "name": "main", "image": "registry.corp/mirror/db:1" }] },
        "status": { "phase": "Running" } });
    let cluster = cluster_with(spec, move |request| {
        let path = request.split('?').next().unwrap_or_default();
        match path.rsplit('/').next().unwrap_or_default() {
            "cluster" => Some((200, named.clone())),
            "pods" => Some(list("PodList", "v1", std::slice::from_ref(&pod))),
            "statefulsets" => Some(forbidden()),
            "replicasets" | "jobs" => Some(nothing()),
            _ => None,
        }
    });
    let run = cluster.program.run("preview workloadmirror/cluster --exit-code");
    assert_eq!(run.code, 0, "an image less is all that they could say: {run}");
    for said in [
        "warning: cluster: you may not list statefulsets in ci: those that say imgop.skopeo.io/mirror: \"false\" are \
         shown as mirrored",
        "no workload that it sees uses an image that it copies",
    ] {
        assert!(run.stderr.contains(said), "{said}: {run}");
    }
    assert!(!run.stderr.contains("the agent may see more"), "{run}");
}

#[test]
fn a_mirror_of_the_cluster_that_becomes_no_image_says_why_as_one_of_a_file_does() {
    let cluster = with_workloads(json!({ "triggers": ["PullFailure"] }), nothing);
    let run = cluster.program.run("preview workloadmirror/cluster");
    let why = "WorkloadMirror cluster becomes no Image: triggers has PullFailure alone";
    assert!(run.code == 0 && run.stderr.contains(why), "{run}");
}

#[test]
fn a_preview_of_a_file_of_which_nothing_is_copied_says_why() {
    let cluster = cluster(json!({}));
    let access = json!({ "apiVersion": "imgop.io/v1alpha1", "kind": "RegistryAccess",
        "metadata": { "name": "corp" }, "spec": {} });
    let mirror = mirror(json!({ "triggers": ["PullFailure"] }));
    let both = json!({ "apiVersion": "v1", "kind": "List", "items": [mirror, access] });
    cluster.program.file("both.json", &both.to_string());
    let run = cluster.program.run("preview -f both.json");
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run}");
    for why in [
        "WorkloadMirror cluster becomes no Image: triggers has PullFailure alone",
        "RegistryAccess of imgop.io/v1alpha1 is nothing that is copied or built",
    ] {
        assert!(run.stderr.contains(why), "{why}: {run}");
    }
}
