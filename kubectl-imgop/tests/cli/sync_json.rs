//! `kubectl imgop sync --json`: a program gets its answer whatever happens.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, not_found};

#[test]
fn a_program_is_told_that_nothing_was_begun() {
    let cluster = FakeCluster::with_builders(|request| {
        if !request.contains("/workloadmirrors/cluster") {
            return not_found("it");
        }
        let object = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
            "metadata": { "name": "cluster", "namespace": "ci", "uid": "u", "resourceVersion": "1", "generation": 1 },
            "spec": { "destination": { "repository": "r.corp/m" }, "suspend": true } });
        (200, object)
    });
    for (name, said) in [("cluster", "suspended"), ("absent", "not found")] {
        let run = cluster.program.run(&format!("sync workloadmirror/{name} --json"));
        assert_eq!(run.code, 1, "{run}");
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(answer["triggered"], false, "{run}");
        assert!(run.stderr.contains(said), "{run}");
    }
}
