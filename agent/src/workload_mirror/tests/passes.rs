//! What runs becomes Images, and stays as long as it should.

use imgop_core::api::conditions::{CHILDREN_READY, READY, STALLED, reasons};
use imgop_core::api::{
    DigestUse, ExcludedWorkload, ImageMirror, ImageMirrorSpec, MirrorTarget, Overwrite,
    REQUESTED_AT_ANNOTATION, UNUSED_SINCE_ANNOTATION, WorkloadKind,
};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::workload_mirror::workloads::Workloads;
use crate::workload_mirror::workloads::testing::{made_by, pod};

pub fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

fn deployment(name: &str, image: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "team-a", "uid": format!("uid of {name}") },
        "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } } })
}

#[tokio::test(start_paused = true)]
async fn each_image_that_runs_becomes_a_tag_of_one_image_and_a_second_look_writes_nothing() {
    let mut stage = Stage::new();
    stage.workloads.lists_workloads(WorkloadKind::Deployment, &[deployment("web", "quay.io/acme/app:1")]);
    stage.workloads.lists_pods(&[
        pod("team-a", "one", "quay.io/acme/app:1", &digest("a")),
        pod("team-a", "two", "quay.io/acme/app:2", &digest("b")),
        pod("team-a", "three", "nginx:1.27", ""),
        pod("team-b", "other", "quay.io/acme/other:1", ""),
    ]);
    assert_eq!(stage.settle().await, 2);
    assert_eq!(
        stage.copied(),
        [
            "docker.io/library/nginx > r.example.com/mirror/library/nginx 1.27",
            "quay.io/acme/app > r.example.com/mirror/acme/app 1 2",
        ]
    );
    let counts = stage.status().counts.unwrap();
    assert_eq!((counts.pods, counts.images, counts.repositories), (3, 3, 2), "{counts:?}");
    stage.images.say(true, reasons::SUCCEEDED, stage.now);
    assert_eq!(stage.settle().await, 0);
    assert_eq!(stage.condition(READY).status, "True");
    assert_eq!(stage.condition(CHILDREN_READY).status, "True");
    let before = stage.status().clone();
    for _ in 0..3 {
        stage.pass(400).await;
    }
    assert_eq!(*stage.status(), before, "an idle mirror says the same");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_of_500_pods_of_one_image_is_one_patch() {
    let mut stage = Stage::new();
    let replica_set = json!({ "metadata": { "name": "web-1", "namespace": "team-a", "uid": "uid of web-1",
        "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d",
            "controller": true }] } });
    stage.api.hold("/apis/apps/v1/namespaces/team-a/replicasets/web-1", replica_set);
    let of = |n: usize| {
        made_by(pod("team-a", &format!("web-{n}"), "quay.io/acme/app:2", &digest("a")), "ReplicaSet", "web-1")
    };
    let mut writes = 0;
    for count in [1, 50, 200, 500] {
        let pods: Vec<Value> = (0..count).map(of).collect();
        stage.workloads.lists_pods(&pods);
        writes += stage.settle().await;
    }
    assert_eq!(writes, 1);
    stage.pass(70).await;
    assert_eq!(stage.status().counts.unwrap().pods, 500);
    let asked = stage.api.requests();
    assert_eq!(asked.iter().filter(|line| line.contains("/replicasets/")).count(), 1, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_contents_of_one_tag_the_newest_pod_has_the_tag_and_the_other_stays_under_its_pin_tag() {
    let mut stage = Stage::new();
    stage.change(|spec| spec.digests.taken = DigestUse::Running);
    let old = pod("team-a", "old", "quay.io/acme/app:stable", &digest("a"));
    let mut new = pod("team-a", "new", "quay.io/acme/app:stable", &digest("b"));
    new["status"]["startTime"] = "2026-11-21T12:30:00Z".into();
    stage.workloads.lists_pods(&[old, new.clone()]);
    stage.settle().await;
    let tags = stage.images.all()[0].spec.source.tags.clone();
    assert_eq!(tags, [digest("a"), format!("stable@{}", digest("b"))]);
    stage.workloads.lists_pods(&[new]);
    assert_eq!(stage.settle().await, 1, "it says since when nothing uses the other");
    assert_eq!(stage.images.all()[0].spec.source.tags, tags);
}

#[tokio::test(start_paused = true)]
async fn what_nothing_uses_any_more_leaves_after_the_retention_and_a_gap_in_the_watch_lengthens_it() {
    let mut stage = Stage::new();
    stage.change(|spec| spec.retention = "1h".into());
    let (one, two) =
        (pod("team-a", "one", "quay.io/acme/app:1", ""), pod("team-a", "two", "quay.io/acme/app:2", ""));
    stage.workloads.lists_pods(&[one.clone(), two]);
    stage.settle().await;
    let unused = |stage: &Stage| {
        let annotations = stage.images.all()[0].metadata.annotations.clone().unwrap();
        annotations.get(UNUSED_SINCE_ANNOTATION).cloned()
    };
    stage.workloads.lists_pods(&[one]);
    stage.workloads.pods_have_failed();
    assert_eq!(stage.settle().await, 0, "a watch that fails makes nothing unused");
    assert_eq!(unused(&stage), None);
    tokio::time::advance(std::time::Duration::from_secs(76)).await;
    assert_eq!(stage.settle().await, 1);
    assert!(unused(&stage).unwrap().contains("\"2\""), "{:?}", unused(&stage));
    assert_eq!(stage.status().counts.unwrap().retained, 1);
    let next = stage.pass(3500).await.next.unwrap();
    assert!(
        next.as_secs() <= 100,
        "it is looked at again when the tag leaves, and not a frequency later: {next:?}"
    );
    assert_eq!(stage.settle().await, 0, "not yet");
    stage.pass(100).await;
    stage.images.watch(stage.now);
    stage.settle().await;
    assert_eq!(stage.copied(), ["quay.io/acme/app > r.example.com/mirror/acme/app 1"]);
    stage.workloads.lists_pods(&[]);
    stage.settle().await;
    stage.pass(3700).await;
    stage.images.watch(stage.now);
    stage.settle().await;
    assert_eq!(stage.copied(), Vec::<String>::new(), "an Image without a tag is deleted");
}

#[tokio::test(start_paused = true)]
async fn rights_withdrawn_a_cut_watch_and_a_partial_list_make_nothing_unused_and_delete_nothing() {
    type Interruption = fn(&Workloads);
    let interruptions: [(&str, Interruption); 4] = [
        ("rights withdrawn", Workloads::lose_right),
        ("a cut watch", Workloads::pods_have_failed),
        ("a partial list", Workloads::begins_to_list_pods),
        ("a pod that cannot be read", Workloads::shows_an_unreadable_pod),
    ];
    for (what, interrupt) in interruptions {
        let mut stage = Stage::new();
        stage.change(|spec| spec.retention = "1h".into());
        let (one, two) =
            (pod("team-a", "one", "quay.io/acme/app:1", ""), pod("team-a", "two", "quay.io/acme/app:2", ""));
        stage.workloads.lists_pods(&[one.clone(), two]);
        stage.settle().await;
        stage.workloads.lists_pods(&[one]);
        stage.settle().await;
        let before = stage.copied();
        // One tag is unused for longer than it is kept, and the user of the other one is gone as far as is known.
        stage.workloads.lists_pods(&[]);
        interrupt(&stage.workloads);
        stage.pass(7200).await;
        assert_eq!(stage.settle().await, 0, "{what}: {:?}", stage.copied());
        assert_eq!(stage.copied(), before, "{what}");
        let unused = stage.images.all()[0].metadata.annotations.clone().unwrap();
        let unused = unused.get(UNUSED_SINCE_ANNOTATION).cloned().unwrap();
        assert!(unused.contains("\"2\"") && !unused.contains("\"1\""), "{what}: {unused}");
        assert!(!stage.api.requests().iter().any(|line| line.starts_with("DELETE")), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn workloads_that_are_excluded_and_what_mirrors_bring_are_left_alone() {
    let spec = ImageMirrorSpec {
        targets: vec![MirrorTarget { repository: "target.example.com/x".into(), ..MirrorTarget::default() }],
        ..ImageMirrorSpec::default()
    };
    let mut inventory = ImageMirror::new("acme", spec);
    inventory.metadata.namespace = Some("team-a".into());
    let mut stage = Stage::to("r.example.com/mirror", &[inventory]);
    stage.change(|spec| {
        let kind = Some(WorkloadKind::Pod);
        spec.exclude.workloads = vec![ExcludedWorkload { kind, namespace: None, name: "skipped".into() }];
    });
    let mut opted_out = pod("team-a", "opted-out", "quay.io/acme/b:1", "");
    opted_out["metadata"]["annotations"] = json!({ "imgop.skopeo.io/mirror": "false" });
    stage.workloads.lists_pods(&[
        pod("team-a", "skipped", "quay.io/acme/a:1", ""),
        opted_out,
        pod("team-a", "own", "r.example.com/mirror/acme/c:1", ""),
        pod("team-a", "target", "target.example.com/x/d:1", ""),
    ]);
    assert_eq!(stage.settle().await, 0);
    assert_eq!(stage.status().counts.unwrap().excluded, 4);
}

#[tokio::test(start_paused = true)]
async fn two_sources_of_one_tag_are_said_and_the_rest_is_mirrored() {
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[
        pod("team-a", "one", "quay.io/acme/app:1", ""),
        pod("team-a", "two", "ghcr.io/acme/app:1", ""),
        pod("team-a", "three", "ghcr.io/acme/other:1", ""),
    ]);
    assert_eq!(stage.settle().await, 2);
    assert_eq!(stage.condition(STALLED).reason, reasons::ENTRIES_CONFLICT);
    assert!(stage.condition(STALLED).message.contains("add $registry"));
    assert_eq!((stage.status().conflict_count, stage.status().conflicts.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_handed_to_all_images_and_suspension_too() {
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[pod("team-a", "one", "quay.io/acme/app:1", "")]);
    stage.settle().await;
    stage.images.say(true, reasons::SUCCEEDED, stage.now);
    stage.settle().await;
    stage.mirror.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())].into());
    assert_eq!(stage.settle().await, 1);
    assert_eq!(stage.status().last_handled_requested_at.as_deref(), Some("now"));
    stage.change(|spec| spec.suspend = true);
    stage.workloads.lists_pods(&[]);
    stage.pass(11).await;
    let bodies = stage.api.bodies("PATCH");
    assert_eq!(bodies.last().unwrap()["spec"], json!({ "suspend": true }), "and nothing else");
    assert_eq!(stage.condition(READY).reason, reasons::SUSPENDED);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_there_is_no_room_for_is_said_with_the_setting_and_costs_no_request() {
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[
        pod("team-a", "one", "quay.io/acme/app:1", ""),
        pod("team-a", "two", "quay.io/acme/other:1", ""),
    ]);
    stage.settle().await;
    let image = stage.images.all().remove(0);
    stage.images.show_without_room(image);
    stage.images.say(true, reasons::SUCCEEDED, stage.now);
    stage.settle().await;
    let stalled = stage.condition(STALLED);
    assert_eq!(stalled.reason, reasons::IMAGE_NOT_KEPT);
    assert!(stalled.message.contains("MAX_OBJECT_BYTES_PER_NAMESPACE"), "{}", stalled.message);
    let (before, asked) = (stage.status().clone(), stage.api.requests().len());
    for _ in 0..5 {
        stage.pass(31).await;
    }
    assert_eq!(*stage.status(), before);
    assert_eq!(stage.api.requests()[asked..], [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_another_one_replaces_is_deleted_once_everything_is_known() {
    let mut stage = Stage::new();
    stage.change(|spec| (spec.overwrite.policy, spec.overwrite.except) = (Overwrite::IfMissing, Vec::new()));
    stage.workloads.lists_pods(&[pod("team-a", "one", "quay.io/acme/app:latest", "")]);
    stage.settle().await;
    stage.workloads.pods_have_failed();
    stage.change(|spec| spec.overwrite.except = vec!["latest".to_owned()]);
    stage.settle().await;
    assert_eq!(stage.images.all().len(), 2);
    tokio::time::advance(std::time::Duration::from_secs(76)).await;
    stage.settle().await;
    assert_eq!(stage.images.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_another_made_is_left_alone() {
    let mut stage = Stage::new();
    stage.change(|spec| spec.retention = "1m".into());
    stage.workloads.lists_pods(&[pod("team-a", "one", "quay.io/acme/app:1", "")]);
    stage.settle().await;
    let mut copy = stage.images.all().remove(0);
    copy.metadata.name = Some("mine".into());
    copy.metadata.uid = Some("mine".into());
    stage.images.show(copy);
    stage.settle().await;
    stage.workloads.lists_pods(&[]);
    stage.settle().await;
    stage.pass(120).await;
    stage.images.watch(stage.now);
    stage.settle().await;
    let deleted: Vec<String> =
        stage.images.writes().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert!(deleted.len() == 1 && !deleted[0].contains("/mine"), "{deleted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_status_of_many_failing_images_is_bounded() {
    let mut stage = Stage::new();
    let name = |n: usize| format!("quay.io/{}/app{n}:1", "long".repeat(30));
    let pods: Vec<Value> = (0..120).map(|n| pod("team-a", &format!("p{n}"), &name(n), "")).collect();
    stage.workloads.lists_pods(&pods);
    stage.settle().await;
    stage.images.say(false, reasons::TAG_NOT_FOUND, stage.now);
    stage.settle().await;
    assert_eq!(stage.status().failing.len(), 20);
    let bytes = serde_json::to_vec(stage.status()).unwrap().len();
    assert!(bytes < 8 * 1024, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn a_template_that_gives_pods_an_identity_makes_no_image() {
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[pod("team-a", "one", "quay.io/acme/app:1", &digest("a"))]);
    stage.change(|spec| {
        spec.job_template.labels = [("aadpodidbinding".into(), "admin".into())].into();
    });
    assert_eq!(stage.settle().await, 0);
    let stalled = stage.condition(STALLED);
    assert_eq!(stalled.reason, reasons::INVALID_SPEC);
    assert!(stalled.message.contains("spec.jobTemplate.labels: aadpodidbinding"), "{stalled:?}");
}
