//! `kubectl imgop workloads plan` of Images that no workload uses any more.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list};
use crate::workloads::{cluster, mirror};

/// The Image of `quay.io/a/web` that a WorkloadMirror has made, with these annotations.
fn web(annotations: &Value) -> Value {
    let made = cluster(json!({})).program.run("workloads plan -o json").stdout;
    let made: Value = serde_json::from_str(&made).unwrap();
    let images = made["mirrors"][0]["images"].as_array().unwrap();
    let web = images.iter().find(|image| image["source"] == "quay.io/a/web").unwrap();
    json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": web["name"], "namespace": "ci", "annotations": annotations },
        "spec": { "mode": "Recurrent", "source": { "name": web["source"], "tags": web["tags"] },
            "destination": { "name": web["destination"] } } })
}

/// A cluster in which nothing runs, with this Image.
fn idle(image: Value) -> FakeCluster {
    FakeCluster::with_builders(move |request| match request {
        request if request.contains("/workloadmirrors") => {
            list("WorkloadMirrorList", "skopeo.io/v1alpha1", &[mirror(json!({}))])
        }
        request if request.contains("/images?") => {
            list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image))
        }
        _ => list("List", "v1", &[]),
    })
}

/// What a plan for programs has of the one Image.
fn planned(cluster: &FakeCluster) -> Value {
    let run = cluster.program.run("workloads plan -o json");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let plan = &document["mirrors"][0];
    assert_eq!((run.code, &plan["complete"]), (0, &json!(true)), "{run}");
    assert_eq!(plan["images"].as_array().map(Vec::len), Some(1), "{run}");
    plan["images"][0].clone()
}

#[test]
fn an_image_that_nothing_uses_is_kept_for_a_while_and_then_deleted() {
    let kept = idle(web(&json!({})));
    let image = planned(&kept);
    assert_eq!((&image["change"], &image["tags"]), (&json!("update"), &json!(["1"])), "since when is noted");
    let run = kept.program.run("workloads plan");
    assert!(run.code == 0 && run.stdout.contains("1 tag in 1 repository (1 retained)"), "{run}");

    let long_ago = json!({ "imgop.skopeo.io/unused-since": r#"{"1":"2020-01-01T00:00:00Z"}"# });
    let gone = idle(web(&long_ago));
    let image = planned(&gone);
    assert_eq!((&image["change"], &image["tags"]), (&json!("delete"), &json!([])));
    let run = gone.program.run("workloads plan");
    let name = image["name"].as_str().unwrap();
    let row = ["-", name, "quay.io/a/web", "registry.corp/mirror/quay.io/a/web"];
    assert!(run.stdout.lines().any(|line| line.split_whitespace().eq(row)), "{run}");
    assert!(run.stdout.ends_with("use 0 images, which become 0 tags in 0 repositories.\n"), "{run}");
}
