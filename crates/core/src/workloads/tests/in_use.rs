//! What pods and templates count for.
#![expect(clippy::needless_pass_by_value, reason = "values are written where they are used")]

use serde_json::{Value, json};

use super::*;
use crate::api::{
    ExcludedWorkload, MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL, WorkloadKind, WorkloadTrigger,
};

/// Where the objects of a test lie.
const IMAGE: &str = "quay.io/acme/app:1";

fn owner(kind: &str, name: &str) -> Value {
    json!([{ "kind": kind, "name": name, "uid": format!("uid of {name}"), "controller": true }])
}

fn pod(name: &str, owners: Value) -> ObservedPod {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": NAMESPACE, "ownerReferences": owners },
        "spec": { "containers": [{ "name": "main", "image": IMAGE }, { "name": "odd", "image": "Not/An Image" }] },
        "status": { "phase": "Running", "startTime": "2026-11-29T10:00:00Z" },
    }))
    .unwrap()
}

fn workload(name: &str, owners: Value, annotations: Value) -> ObservedWorkload {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": NAMESPACE, "ownerReferences": owners, "annotations": annotations },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": IMAGE }] } } },
    }))
    .unwrap()
}

/// What has made what stands between.
fn makers(all: &[(&str, &str, &str)]) -> Makers {
    let maker = |(name, kind, of): &(&str, &str, &str)| {
        (format!("uid of {name}").into(), Some(Maker { kind: (*kind).into(), name: (*of).into() }))
    };
    all.iter().map(maker).collect()
}

/// Who uses images: kind and name, and whether it is opted out.
fn users(stage: &Stage, members: &[Member<'_>], makers: &Makers) -> Vec<(String, bool)> {
    let used = in_use(&stage.request(), members, makers).usage.into_images();
    let users = used.iter().flat_map(|image| image.users.keys());
    users.map(|user| (format!("{} {}", user.kind, user.name), user.is_opted_out)).collect()
}

#[test]
fn a_pod_and_the_template_that_it_was_made_from_count_for_one_workload_whatever_made_that() {
    let none = json!([]);
    for (kind, template, of_template, of_pod, made, expected) in [
        // Operators make workloads by objects of their own.
        (
            WorkloadKind::StatefulSet,
            "db",
            owner("Prometheus", "k8s"),
            owner("StatefulSet", "db"),
            makers(&[]),
            "StatefulSet db",
        ),
        (
            WorkloadKind::Deployment,
            "web",
            owner("Grafana", "main"),
            owner("ReplicaSet", "web-7"),
            makers(&[("web-7", "Deployment", "web")]),
            "Deployment web",
        ),
        (
            WorkloadKind::Job,
            "once",
            owner("HelmChart", "x"),
            owner("Job", "once"),
            makers(&[("once", "HelmChart", "x")]),
            "Job once",
        ),
        (
            WorkloadKind::Job,
            "night-1",
            owner("CronJob", "night"),
            owner("Job", "night-1"),
            makers(&[("night-1", "CronJob", "night")]),
            "CronJob night",
        ),
        (WorkloadKind::DaemonSet, "log", none, owner("DaemonSet", "log"), makers(&[]), "DaemonSet log"),
    ] {
        let (template, pod) = (workload(template, of_template, json!({})), pod("p", of_pod));
        let members = [Member::of_workload(kind, &template).unwrap(), Member::of_pod(&pod, None).unwrap()];
        let stage = Stage::new();
        assert_eq!(users(&stage, &members, &made), [(expected.to_owned(), false)]);
        let out = Member { is_opted_out: true, ..members[0].clone() };
        let opted_out = [out, members[1].clone()];
        assert_eq!(users(&stage, &opted_out, &made), [(expected.to_owned(), true)]);
        let excluded = Stage::with(|spec| {
            let (_, name) = expected.split_once(' ').unwrap();
            spec.exclude.workloads =
                vec![ExcludedWorkload { kind: None, namespace: None, name: name.to_owned() }];
        });
        let used = in_use(&excluded.request(), &members, &made).usage.into_images();
        assert!(
            used[0].users.keys().all(|user| excluded.request().exclusions.excludes_user(user)),
            "{expected}"
        );
    }
}

#[test]
fn a_pod_counts_for_what_made_its_replica_set_and_waits_until_that_is_known() {
    let of_rollout = pod("p", owner("ReplicaSet", "web-7"));
    let members = [Member::of_pod(&of_rollout, None).unwrap()];
    let stage = Stage::new();
    assert!(users(&stage, &members, &Makers::new()).is_empty());
    assert_eq!(members[0].made_between().map(|(between, _)| between), Some(Between::ReplicaSet));
    let is = |made: &Makers, expected: &str| {
        assert_eq!(users(&stage, &members, made), [(expected.to_owned(), false)]);
    };
    is(&makers(&[("web-7", "Rollout", "web")]), "Rollout web");
    is(&Makers::from([("uid of web-7".into(), None)]), "ReplicaSet web-7");
    let alone = pod("alone", json!([]));
    assert_eq!(
        users(&stage, &[Member::of_pod(&alone, None).unwrap()], &Makers::new()),
        [("Pod alone".to_owned(), false)]
    );
}

#[test]
fn pods_count_once_each_with_their_platform_and_what_is_no_reference_is_passed_over() {
    let (one, two) = (pod("one", json!([])), pod("two", json!([])));
    let platform: PlatformSelector = "linux/amd64".parse().unwrap();
    let members = [&one, &two].map(|pod| Member::of_pod(pod, Some(&platform)).unwrap());
    let found = in_use(&Stage::new().request(), &members, &Makers::new());
    assert_eq!((found.pods, found.waiting.len()), (2, 0));
    let images = found.usage.into_images();
    assert_eq!(images.len(), 1);
    let (_, pods) = images[0].users.first_key_value().unwrap();
    assert_eq!((pods.count, pods.newest.as_ref().unwrap().pod.as_str()), (1, "one"));
    assert_eq!(pods.platforms, BTreeSet::from([platform]));
}

#[test]
fn only_kinds_that_are_looked_at_count_and_pods_also_by_what_made_them() {
    let (db, of_db) = (workload("db", json!([]), json!({})), pod("db-0", owner("StatefulSet", "db")));
    let (job, of_other) =
        (workload("night-1", owner("CronJob", "night"), json!({})), pod("x", owner("PodSet", "x")));
    let members = [
        Member::of_workload(WorkloadKind::StatefulSet, &db).unwrap(),
        Member::of_workload(WorkloadKind::Job, &job).unwrap(),
        Member::of_pod(&of_db, None).unwrap(),
        Member::of_pod(&of_other, None).unwrap(),
    ];
    let counted = |kinds: &[WorkloadKind]| {
        let stage = Stage::with(|spec| spec.kinds = kinds.to_vec());
        let users = users(&stage, &members, &Makers::new()).into_iter().map(|(name, _)| name);
        users.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(counted(&[]), "CronJob night, PodSet x, StatefulSet db");
    assert_eq!(counted(&[WorkloadKind::StatefulSet]), "StatefulSet db");
    assert_eq!(counted(&[WorkloadKind::Job]), "", "it counts for its CronJob");
    assert_eq!(counted(&[WorkloadKind::Pod]), "PodSet x, StatefulSet db");
}

#[test]
fn the_jobs_of_the_agent_and_their_pods_are_no_workloads_and_need_both_labels_for_that() {
    // What reads them has their names as literals, since serde takes nothing else.
    let labels = |managed_by: &str| json!({ MANAGED_BY_LABEL: managed_by });
    let with_owner = |mut labels: Value| {
        labels[OWNER_UID_LABEL] = "uid of an Image".into();
        labels
    };
    let owner_alone = with_owner(json!({}));
    for (labels, is_counted) in [
        (with_owner(labels(MANAGED_BY)), false),
        (labels(MANAGED_BY), true),
        (owner_alone, true),
        (with_owner(labels("Helm")), true),
        (Value::Null, true),
    ] {
        let metadata = json!({ "name": "imgop-a", "namespace": NAMESPACE, "labels": labels });
        let spec = json!({ "containers": [{ "name": "copy-0", "image": IMAGE }] });
        let status = json!({ "phase": "Running" });
        let pod = json!({ "metadata": metadata, "spec": spec, "status": status });
        let job = json!({ "metadata": metadata, "spec": { "template": { "spec": spec } } });
        let pod: ObservedPod = serde_json::from_value(pod).unwrap();
        let job: ObservedWorkload = serde_json::from_value(job).unwrap();
        let of_job = Member::of_workload(WorkloadKind::Job, &job);
        assert_eq!(
            (Member::of_pod(&pod, None).is_some(), of_job.is_some()),
            (is_counted, is_counted),
            "{labels}"
        );
    }
}

#[test]
fn what_only_copies_what_pods_cannot_pull_reads_no_template() {
    let stage = Stage::with(|spec| spec.triggers = vec![WorkloadTrigger::PullFailure]);
    assert_eq!(kinds_read(&stage.spec), [WorkloadKind::Pod].into());
    assert_eq!(kinds_read(&Stage::new().spec).len(), 6);
    let opted_out = workload("db", json!([]), json!({ "imgop.skopeo.io/mirror": "false" }));
    let of_it = pod("db-0", owner("StatefulSet", "db"));
    let members = [
        Member::of_workload(WorkloadKind::StatefulSet, &opted_out).unwrap(),
        Member::of_pod(&of_it, None).unwrap(),
    ];
    // Whether another mirror has it read changes nothing.
    assert_eq!(users(&stage, &members, &Makers::new()), [("StatefulSet db".to_owned(), false)]);
    assert_eq!(users(&Stage::new(), &members, &Makers::new()), [("StatefulSet db".to_owned(), true)]);
}

#[test]
fn the_workload_of_a_pod_is_to_be_asked_for_where_its_kind_is_not_read_and_a_pod_counts_for_it() {
    let known = makers(&[("web-7", "Deployment", "web"), ("other-7", "Rollout", "other")]);
    let asked = |stage: &Stage, pod: &ObservedPod| {
        let member = Member::of_pod(pod, None).unwrap();
        let asked = member.workload_to_ask(&stage.request(), &known);
        asked.map(|(kind, name)| format!("{} {name}", kind.name()))
    };
    let of = |kinds: &[WorkloadKind]| Stage::with(|spec| spec.kinds = kinds.to_vec());
    let (of_web, of_db) = (pod("w", owner("ReplicaSet", "web-7")), pod("d", owner("StatefulSet", "db")));
    let of_pods = of(&[WorkloadKind::Pod]);
    assert_eq!(asked(&of_pods, &of_web).as_deref(), Some("Deployment web"));
    assert_eq!(asked(&of_pods, &of_db).as_deref(), Some("StatefulSet db"));
    for nothing in [json!([]), owner("ReplicaSet", "other-7"), owner("ReplicaSet", "unknown")] {
        assert_eq!(asked(&of_pods, &pod("x", nothing)), None);
    }
    assert_eq!(asked(&Stage::new(), &of_web), None, "it is read");
    assert_eq!(asked(&of(&[WorkloadKind::StatefulSet]), &of_web), None, "it does not count");
    let on_the_fly = Stage::with(|spec| spec.triggers = vec![WorkloadTrigger::PullFailure]);
    assert_eq!(asked(&on_the_fly, &of_db), None);
    let mut waits = of_db;
    waits.status = serde_json::from_value(json!({ "phase": "Pending", "containerStatuses": [
        { "name": "main", "state": { "waiting": { "reason": "ErrImagePull" } } }] }))
    .unwrap();
    assert_eq!(asked(&on_the_fly, &waits).as_deref(), Some("StatefulSet db"));
}

#[test]
fn of_objects_that_cannot_be_read_the_first_is_named_in_whichever_order_they_come() {
    let [a, b] = ["a", "b"].map(|name| workload(name, json!([]), json!({})));
    let members = [&b, &a].map(|one| Member {
        is_unreadable: true,
        images: Vec::new(),
        ..Member::of_workload(WorkloadKind::Deployment, one).unwrap()
    });
    let found = in_use(&Stage::new().request(), &members, &Makers::new());
    assert_eq!(found.unreadable.as_deref(), Some("Deployment team-a/a"));
}
