//! Pods and workloads as they are read.

use serde_json::json;

use super::*;

fn pod() -> ObservedPod {
    let digest = content("A");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web-1", "namespace": "team-a", "uid": "u", "resourceVersion": "7",
            "labels": { "a": "b" }, "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:status": {} } }],
            "annotations": { "example.com/large": "x" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7", "uid": "r", "controller": true }] },
        "spec": { "nodeName": "node-1",
            "initContainers": [{ "name": "init", "image": "busybox:1.36", "command": ["true"] }],
            "containers": [{ "name": "main", "image": "registry.corp:5000/team/app:v1_2", "env": [] }],
            "ephemeralContainers": [{ "name": "debug", "image": "alpine" }],
            "volumes": [{ "name": "models", "image": { "reference": "quay.io/acme/model:3", "pullPolicy": "Always" } },
                { "name": "tmp", "emptyDir": {} }] },
        "status": { "phase": "Running", "startTime": "2026-11-29T10:00:00Z", "podIP": "10.0.0.1",
            "initContainerStatuses": [{ "name": "init", "image": "busybox:1.36", "imageID": format!("docker.io/library/busybox@{digest}"),
                "state": { "terminated": { "exitCode": 0 } } }],
            "containerStatuses": [{ "name": "main", "imageID": "", "ready": false,
                "state": { "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } } }] },
    });
    serde_json::from_value(pod).unwrap()
}

#[test]
fn images_of_init_and_ephemeral_containers_and_of_image_volumes_are_used_too() {
    let pod = pod();
    let images: Vec<_> =
        pod.images().map(|one| (one.container, one.image, one.digest, one.cannot_be_pulled)).collect();
    assert_eq!(
        images,
        [
            ("init", "busybox:1.36", Some(content("A")), false),
            ("main", "registry.corp:5000/team/app:v1_2", None, true),
            ("debug", "alpine", None, false),
            ("models", "quay.io/acme/model:3", None, false),
        ]
    );
    assert!(pod.is_counted() && !pod.metadata.is_opted_out());
    assert_eq!(pod.metadata.controller().unwrap().name, "web-7");
    assert_eq!(pod.spec.node_name.as_deref(), Some("node-1"));
    assert_eq!(pod.status.start_time, Some("2026-11-29T10:00:00Z".parse().unwrap()));
}

#[test]
fn a_pod_that_has_ended_uses_nothing() {
    let mut pod = pod();
    for (phase, is_counted) in
        [("Pending", true), ("Running", true), ("Succeeded", false), ("Failed", false), ("Unknown", false)]
    {
        phase.clone_into(&mut pod.status.phase);
        assert_eq!(pod.is_counted(), is_counted, "{phase}");
    }
}

#[test]
fn templates_of_deployments_and_cron_jobs_name_images_while_no_pod_runs() {
    let containers = json!({ "containers": [{ "name": "main", "image": "nginx:1.27" }] });
    let deployment = json!({ "metadata": { "name": "web" }, "spec": { "replicas": 0,
        "template": { "metadata": { "annotations": { "imgop.skopeo.io/mirror": "false" } }, "spec": containers } } });
    let cron_job = json!({ "metadata": { "name": "night" },
        "spec": { "jobTemplate": { "spec": { "template": { "spec": containers } } } } });
    for (workload, is_opted_out) in [(deployment, true), (cron_job, false)] {
        let workload: ObservedWorkload = serde_json::from_value(workload).unwrap();
        let images: Vec<_> = workload.images().map(|one| (one.container, one.image)).collect();
        assert_eq!(images, [("main", "nginx:1.27")]);
        assert_eq!(workload.is_opted_out(), is_opted_out);
    }
}

#[test]
fn an_annotation_keeps_a_workload_out_only_where_it_says_false() {
    for (value, is_opted_out) in [("false", true), ("true", false), ("", false), ("False", false)] {
        let metadata = json!({ "annotations": { "imgop.skopeo.io/mirror": value } });
        let metadata: ObservedMetadata = serde_json::from_value(metadata).unwrap();
        assert_eq!(metadata.is_opted_out(), is_opted_out, "{value}");
    }
}

#[test]
fn the_id_of_a_configuration_is_no_digest_of_a_registry() {
    let digest = content("A");
    for (id, expected) in [
        (format!("docker.io/library/busybox@{digest}"), Some(&digest)),
        (format!("docker-pullable://nginx@{digest}"), Some(&digest)),
        (format!("r.corp:5000/a/b@{digest}"), Some(&digest)),
        (digest.to_string(), None),
        (format!("docker://{digest}"), None),
        (String::new(), None),
        ("docker.io/library/busybox@sha256:12".to_owned(), None),
    ] {
        assert_eq!(running_digest(&id).as_ref(), expected, "{id}");
    }
}

proptest::proptest! {
    #[test]
    fn any_image_id_is_a_digest_or_none(text in ".{0,200}") {
        if let Some(digest) = running_digest(&text) {
            proptest::prop_assert!(text.ends_with(digest.as_str()));
        }
    }
}
