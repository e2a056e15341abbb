//! Whether an agent works, where it is shown what was checked and what will be.

use jiff::Timestamp;
use serde_json::json;

use crate::fake_cluster::{FakeCluster, list, refused};

const LEASE: &str = "GET /apis/coordination.k8s.io/v1/namespaces/imgop-system/leases/imgop-agent";

/// A cluster with one Image and an agent's Deployment, whose Lease was renewed then.
fn cluster(renewed: String) -> FakeCluster {
    let image = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": "argocd", "namespace": "ci", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "mode": "OneShot", "source": { "name": "quay.io/a/b", "version": "1" },
            "destination": { "name": "r.example.com/a/b" } } });
    let agent = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
        "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "agent" }] } } } });
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
        "spec": { "holderIdentity": "one", "leaseDurationSeconds": 13, "renewTime": renewed } });
    FakeCluster::with_builders(move |request| match request {
        request if request.starts_with("GET /apis/skopeo.io/v1alpha1/namespaces/ci/images/argocd") => {
            (200, image.clone())
        }
        request if request.starts_with("GET /apis/skopeo.io/v1alpha1/namespaces/ci/images") => {
            list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image))
        }
        request if request.starts_with("GET /apis/apps/v1/deployments") => {
            list("DeploymentList", "apps/v1", std::slice::from_ref(&agent))
        }
        request if request.starts_with(LEASE) => (200, lease.clone()),
        _ => refused(404, "NotFound", "not found"),
    })
}

const SHOWN: [&str; 2] = ["describe image/argocd", "list images -o wide"];
const SILENT: &str = "warning: nothing is checked or done: no agent leads: one renewed its Lease";

#[test]
fn where_checks_are_shown_an_agent_that_is_silent_is_said_to_make_none() {
    let silent = cluster("2026-01-01T12:00:00.000000Z".to_owned());
    for shown in SHOWN {
        let run = silent.program.run(shown);
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stderr.contains(SILENT) && run.stderr.contains("kubectl imgop doctor"), "{run}");
    }
    let run = silent.program.run("list images");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "a list without checks does not ask");
}

#[test]
fn an_agent_that_works_is_not_spoken_of() {
    let working = cluster(Timestamp::now().to_string());
    for shown in SHOWN {
        let run = working.program.run(shown);
        assert_eq!(run.code, 0, "{run}");
        assert!(!run.stderr.contains("leads") && !run.stderr.contains("warning"), "{run}");
    }
    assert!(working.requests().iter().any(|request| request.contains("/leases/")));
}
