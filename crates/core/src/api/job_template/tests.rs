use serde_json::{Value, json};

use super::grammar::{is_reserved, problems};
use super::*;

fn template(json: Value) -> JobTemplateSpec {
    serde_json::from_value(json).unwrap()
}

/// Returns what is wrong with a template, a line each.
fn wrong(json: Value) -> String {
    let problems = problems(&template(json));
    problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect::<Vec<_>>().join("\n")
}

/// A template with every field.
fn every_field() -> Value {
    json!({
        "resources": { "limits": { "cpu": "1", "memory": "1Gi", "ephemeral-storage": "4Gi" }, "requests": { "cpu": "1" } },
        "nodeSelector": { "kubernetes.io/arch": "arm64", "pool": "" },
        "tolerations": [
            { "key": "example.com/dedicated", "value": "mirror", "effect": "NoSchedule" },
            { "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
        ],
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["a"] }] }] } } },
        "serviceAccountName": "puller",
        "imagePullSecrets": [{ "name": "pull" }],
        "priorityClassName": "low",
        "labels": { "team": "a", "example.com/team": "A.b_c", "app.kubernetes.io/component": "mirror" },
        "annotations": { "sidecar.istio.io/inject": "false" },
        "ttlSecondsAfterFinished": 600,
        "activeDeadlineSeconds": 7200,
        "backoffLimit": 2,
    })
}

#[test]
fn a_template_with_every_field_is_right() {
    let every = every_field();
    assert_eq!(wrong(every.clone()), "");
    assert_eq!(serde_json::to_value(template(every.clone())).unwrap(), every);
    assert_eq!(wrong(json!({})), "");
}

#[test]
fn of_a_template_nothing_but_shorter_times_holds_outside_of_the_namespace() {
    let every = template(every_field());
    let left = |ttl, deadline| serde_json::to_value(every.outside_of_namespace(ttl, deadline)).unwrap();
    let longest = json!({ "ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 3600 });
    assert_eq!(left(60, 3600), longest, "not longer than the settings say");
    let own = json!({ "ttlSecondsAfterFinished": 600, "activeDeadlineSeconds": 7200 });
    assert_eq!(left(3600, 86_400), own);
    assert_eq!(JobTemplateSpec::default().outside_of_namespace(60, 3600), JobTemplateSpec::default());
}

#[test]
fn keys_that_programs_act_on_are_reserved() {
    for key in [
        "imgop.skopeo.io/image-uid",
        "imgop.io/x",
        "skopeo.io/x",
        "x.buildah.io/y",
        "kubernetes.io/x",
        "batch.kubernetes.io/job-name",
        "pod-security.kubernetes.io/enforce",
        "container.apparmor.security.beta.kubernetes.io/copy-0",
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        "cluster.k8s.io/x",
        "k8s.io/x",
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/name",
        "app.kubernetes.io/part-of",
        "job-name",
        "controller-uid",
    ] {
        assert!(is_reserved(key), "{key}");
    }
    for key in ["team", "example.com/kubernetes.io", "mykubernetes.io/x", "app.kubernetes.io/version", "name"]
    {
        assert!(!is_reserved(key), "{key}");
    }
}

#[test]
fn each_mistake_is_named_with_its_field_and_the_fix() {
    insta::assert_snapshot!(wrong(json!({
        "resources": { "limits": { "memory": "1Gi" }, "requests": { "memory": "2Gi" } },
        "nodeSelector": { "pool": "a b" },
        "tolerations": [{ "key": "dedicated", "operator": "Exists", "value": "x" }],
        "serviceAccountName": "Puller",
        "imagePullSecrets": [{ "name": "user:hunter2" }],
        "priorityClassName": "system-node-critical",
        "labels": { "imgop.skopeo.io/owner-name": "x" },
        "annotations": { "a/b/c": "x" },
        "ttlSecondsAfterFinished": 5,
        "activeDeadlineSeconds": 1,
        "backoffLimit": 11,
    })), @r#"
    jobTemplate.resources: requests.memory is more than limits.memory; lower it, or raise the limit
    jobTemplate.nodeSelector: "a b" is no value of a label; write at most 63 letters, digits, '-', '_' and '.'
    jobTemplate.tolerations: operator Exists goes without a value; leave one of them out
    jobTemplate.serviceAccountName: it must be the name of a ServiceAccount
    jobTemplate.imagePullSecrets: each name must be that of a Secret in the same namespace
    jobTemplate.priorityClassName: system-node-critical is for what the cluster itself needs; name a PriorityClass of your own
    jobTemplate.labels: imgop.skopeo.io/owner-name is of Kubernetes or of imgop, which act on it; use a key of your own
    jobTemplate.annotations: "a/b/c" is no key; write a name such as team, or a domain and a name such as example.com/team
    jobTemplate.ttlSecondsAfterFinished: it must be from 30 to 31536000
    jobTemplate.activeDeadlineSeconds: it must be from 60 to 604800
    jobTemplate.backoffLimit: it must be from 0 to 10
    "#);
}

#[test]
fn tolerations_are_those_that_a_pod_may_have() {
    let of = |toleration: Value| wrong(json!({ "tolerations": [toleration] }));
    for right in [
        json!({ "operator": "Exists" }),
        json!({ "key": "a", "operator": "Exists", "value": "" }),
        json!({ "key": "a", "value": "" }),
        json!({ "key": "a", "effect": "", "operator": "" }),
    ] {
        assert_eq!(of(right), "");
    }
    for wrong in [
        json!({}),
        json!({ "key": "", "operator": "Equal" }),
        json!({ "key": "a", "operator": "exists" }),
        json!({ "key": "a", "effect": "NoSchedules" }),
        json!({ "key": "a", "effect": "NoSchedule", "tolerationSeconds": 3 }),
        json!({ "key": "a b" }),
        json!({ "key": "a", "value": "b c" }),
    ] {
        assert_ne!(of(wrong.clone()), "", "{wrong}");
    }
}

#[test]
fn an_affinity_that_would_fill_jobs_is_refused_and_pods_of_other_namespaces_are_out_of_sight() {
    let term =
        json!({ "topologyKey": "kubernetes.io/hostname", "namespaces": ["other"], "namespaceSelector": {} });
    let of_pods = json!({ "podAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [term] } });
    let affinity: Affinity = serde_json::from_value(of_pods).unwrap();
    let text = serde_json::to_string(&affinity.of_own_namespace()).unwrap();
    assert!(text.contains("kubernetes.io/hostname") && !text.contains("namespace"), "{text}");
    let zones: Vec<String> = (0..1000).map(|n| format!("a-long-name-of-a-zone-{n}")).collect();
    let large = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "zone", "operator": "In", "values": zones }] }] } } });
    assert!(wrong(json!({ "affinity": large })).contains("at most 16384 are taken"));
}
