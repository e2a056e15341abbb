//! What is kept of pods and workloads, and when that is all there is.

use std::collections::HashSet;
use std::time::Duration;

use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL, WorkloadKind};
use imgop_core::workloads::{ObservedPod, ObservedWorkload};
use imgop_fakes::ApiServer;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use super::store::{Scope, Store};
use super::watches::{rights, scopes};
use super::{Asking, Workloads};
use crate::cluster::view::View;
use crate::cluster::watch::Guarded;
use crate::config::Namespaces;
use crate::image::tests::fixtures::agent_with;
use crate::object_room::RoomLimits;

type PodView = View<Pod, ObservedPod>;

fn scope(kind: WorkloadKind) -> Scope {
    Scope { kind, namespace: None }
}

fn store() -> (Store, Scope) {
    let (mut store, scope) = (Store::default(), scope(WorkloadKind::Pod));
    store.begin(&scope);
    (store, scope)
}

fn pod(name: &str, image: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "team-a", "uid": format!("uid of {name}"),
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1",
                "uid": "uid of web-1", "controller": true }] },
        "spec": { "nodeName": "one", "containers": [{ "name": "app", "image": image }] },
        "status": { "phase": "Running", "startTime": "2026-11-21T12:00:00Z", "containerStatuses": [
            { "name": "app", "imageID": format!("docker-pullable://quay.io/acme/app@sha256:{}", "a".repeat(64)),
                "state": { "running": {} } }] },
    })
}

fn view(pod: &Value) -> Guarded<PodView> {
    DeserializeGuard(Ok(serde_json::from_str(&pod.to_string()).unwrap()))
}

fn list(store: &mut Store, scope: &Scope, pods: &[Value]) {
    store.apply_pod(scope, Event::Init);
    for pod in pods {
        store.apply_pod(scope, Event::InitApply(view(pod)));
    }
    store.apply_pod(scope, Event::InitDone);
}

#[tokio::test(start_paused = true)]
async fn all_pods_of_one_replica_set_are_kept_as_one_group_with_their_number_and_the_newest() {
    let (mut store, scope) = store();
    let mut pods: Vec<Value> = (0..500).map(|n| pod(&format!("web-{n:03}"), "quay.io/acme/app:1")).collect();
    pods[7]["status"]["startTime"] = "2026-11-21T13:00:00Z".into();
    pods[8]["spec"]["nodeName"] = "two".into();
    list(&mut store, &scope, &pods);
    let members = store.members();
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!((members[0].count, members[0].newest.1.as_str()), (500, "web-007"));
    assert_eq!(members[0].nodes.iter().map(|node| &**node).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(members[0].group.uses[0].digest.as_ref().unwrap().hex(), "a".repeat(64));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_of_a_pod_changes_nothing_and_what_is_changes_the_revision() {
    let (mut store, scope) = store();
    let mut of = pod("web-0", "quay.io/acme/app:1");
    list(&mut store, &scope, &[of.clone()]);
    let before = store.revision();
    of["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
    store.apply_pod(&scope, Event::Apply(view(&of)));
    assert_eq!(store.revision(), before);
    of["status"]["containerStatuses"][0]["state"] = json!({ "waiting": { "reason": "ImagePullBackOff" } });
    store.apply_pod(&scope, Event::Apply(view(&of)));
    assert_ne!(store.revision(), before);
    assert!(store.members()[0].group.uses[0].cannot_be_pulled);
    of["status"]["phase"] = "Succeeded".into();
    store.apply_pod(&scope, Event::Apply(view(&of)));
    assert!(store.members().is_empty(), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn init_and_ephemeral_containers_and_image_volumes_are_seen_and_so_is_a_cron_job_that_runs_nothing() {
    let (mut store, of_pods) = store();
    let mut of = pod("web-0", "app:1");
    of["spec"]["initContainers"] = json!([{ "name": "first", "image": "init:1" }]);
    of["spec"]["ephemeralContainers"] = json!([{ "name": "debug", "image": "debug:1" }]);
    of["spec"]["volumes"] = json!([{ "name": "model", "image": { "reference": "model:1" } }, { "name": "other", "emptyDir": {} }]);
    list(&mut store, &of_pods, &[of]);
    let images = |store: &Store| -> HashSet<String> {
        let members = store.members();
        members.iter().flat_map(|one| one.group.uses.iter().map(|of| of.image.to_string())).collect()
    };
    assert_eq!(images(&store), ["init:1", "app:1", "debug:1", "model:1"].map(str::to_owned).into());

    let of_cron_jobs = scope(WorkloadKind::CronJob);
    store.begin(&of_cron_jobs);
    let cron_job = json!({ "metadata": { "name": "nightly", "namespace": "team-a", "uid": "c" }, "spec": {
        "jobTemplate": { "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "cron:1" }] } } } } } });
    let cron_job: View<CronJob, ObservedWorkload> = serde_json::from_str(&cron_job.to_string()).unwrap();
    store.apply_workload(&of_cron_jobs, Event::Apply(DeserializeGuard(Ok(cron_job))));
    assert!(images(&store).contains("cron:1"));
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_has_made_is_not_kept_and_leaves_when_it_is_seen_to_be_that() {
    let labels = json!({ MANAGED_BY_LABEL: MANAGED_BY, OWNER_UID_LABEL: "u" });
    let (mut store, of_pods) = store();
    let mut of = pod("imgop-a-1", "quay.io/skopeo/stable:1");
    list(&mut store, &of_pods, &[of.clone()]);
    assert_eq!(store.members().len(), 1);
    of["metadata"]["labels"] = labels.clone();
    store.apply_pod(&of_pods, Event::Apply(view(&of)));
    assert!(store.members().is_empty());

    let of_jobs = scope(WorkloadKind::Job);
    store.begin(&of_jobs);
    let job = json!({ "metadata": { "name": "imgop-a", "namespace": "team-a", "uid": "j", "labels": labels },
        "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "skopeo:1" }] } } } });
    let job: View<CronJob, ObservedWorkload> = serde_json::from_str(&job.to_string()).unwrap();
    store.apply_workload(&of_jobs, Event::Apply(DeserializeGuard(Ok(job))));
    assert!(store.members().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_complete_removes_nothing_and_is_known_not_to_be_all() {
    let (mut store, scope) = store();
    assert!(!store.is_complete(&scope), "before the first list");
    list(&mut store, &scope, &[pod("a", "a:1"), pod("b", "b:1")]);
    assert!(store.is_complete(&scope));
    store.apply_pod(&scope, Event::Init);
    store.apply_pod(&scope, Event::InitApply(view(&pod("a", "a:1"))));
    assert!(!store.is_complete(&scope), "while it is listed again");
    assert_eq!(store.members().len(), 2);
    store.apply_pod(&scope, Event::InitDone);
    assert!(store.is_complete(&scope));
    assert_eq!(store.members().len(), 1, "now it is known to be gone");
    store.has_failed(&scope);
    assert!(!store.is_complete(&scope));
    advance(Duration::from_secs(74)).await;
    assert!(!store.is_complete(&scope), "it may fail again before this long");
    advance(Duration::from_secs(2)).await;
    assert!(store.is_complete(&scope));
    assert_eq!(store.members().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_read_is_known_as_one_whose_images_are_not() {
    let (mut store, scope) = store();
    let of = pod("huge", "a:1");
    let metadata = serde_json::from_value(of["metadata"].clone()).unwrap();
    let unreadable = DeserializeGuard(Err(InvalidObject { error: "it is too large".into(), metadata }));
    store.apply_pod(&scope, Event::Apply(unreadable));
    let members = store.members();
    assert!(members[0].group.is_unreadable && members[0].group.uses.is_empty());
    assert_eq!(&*members[0].group.namespace, "team-a");
    store.apply_pod(&scope, Event::Apply(view(&of)));
    assert!(store.members().iter().all(|one| !one.group.is_unreadable));
}

#[tokio::test(start_paused = true)]
async fn whoever_names_thousands_of_images_is_known_as_one_whose_images_are_not_and_so_is_a_full_namespace() {
    let (mut store, scope) = store();
    store.limit(RoomLimits { of_namespace: 10 << 20, of_all: 40 << 20 });
    let naming = |name: &str, count: usize| {
        let mut of = pod(name, "a:1");
        let container =
            |n: usize| json!({ "name": format!("c{n}"), "image": format!("r.example.com/{name}/{n}:1") });
        of["spec"]["containers"] = (0..count).map(container).collect();
        of
    };
    list(&mut store, &scope, &[naming("huge", 2_500), naming("large", 200)]);
    let unreadable = |store: &Store| store.members().iter().filter(|one| one.group.is_unreadable).count();
    assert_eq!((unreadable(&store), store.members().len()), (1, 2));
    let many: Vec<Value> = (0..400).map(|n| naming(&format!("p{n}"), 200)).collect();
    list(&mut store, &scope, &many);
    let kept: usize = store.members().iter().map(|one| 1 + one.group.uses.len()).sum();
    assert!(kept * 160 <= (10 << 20) + 400 * 160 && unreadable(&store) > 50, "{kept} {}", unreadable(&store));
    assert!(!store.members().is_empty() && store.is_complete(&scope));
    list(&mut store, &scope, &many[..10]);
    assert_eq!(unreadable(&store), 0, "there is room again");
}

/// A pod of this namespace that names this many images of about this length.
fn naming(namespace: &str, name: &str, (count, length): (usize, usize)) -> Value {
    let mut of = pod(name, "a:1");
    of["metadata"]["namespace"] = namespace.into();
    of["metadata"]["uid"] = format!("uid of {namespace}/{name}").into();
    let image = |n: usize| format!("r.example.com/{}/{name}/{n}:1", "x".repeat(length.saturating_sub(30)));
    let container = |n: usize| json!({ "name": format!("c{n}"), "image": image(n) });
    of["spec"]["containers"] = (0..count).map(container).collect();
    of
}

fn unreadable(store: &Store) -> Vec<String> {
    let members = store.members();
    let unreadable = members.iter().filter(|one| one.group.is_unreadable);
    let mut names: Vec<String> =
        unreadable.map(|one| one.group.name.as_deref().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn long_names_of_images_take_more_room_than_short_ones_and_what_pods_share_takes_it_once() {
    let (mut store, scope) = store();
    store.limit(RoomLimits { of_namespace: 64 << 10, of_all: 640 << 10 });
    list(&mut store, &scope, &[naming("a", "short", (100, 30)), naming("b", "long", (100, 500))]);
    assert_eq!(unreadable(&store), ["long"]);
    list(&mut store, &scope, &[]);
    let shared = |n: usize| {
        let mut of = naming("a", "web", (100, 30));
        of["metadata"]["uid"] = format!("uid of {n}").into();
        of
    };
    list(&mut store, &scope, &(0..150).map(shared).collect::<Vec<_>>());
    assert_eq!((unreadable(&store).len(), store.members().len()), (0, 1));
    list(&mut store, &scope, &[]);
    list(&mut store, &scope, &[naming("a", "short", (100, 30))]);
    assert_eq!(unreadable(&store).len(), 0, "what has gone takes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_with_little_is_seen_although_others_fill_what_there_is_for_all() {
    let (mut store, scope) = store();
    store.limit(RoomLimits { of_namespace: 64 << 10, of_all: 81_000 });
    let one = [naming("one", "a", (150, 30)), naming("two", "b", (150, 30)), naming("two", "c", (60, 30))];
    list(&mut store, &scope, &[&one[..], &[naming("small", "d", (5, 30))]].concat());
    assert_eq!(unreadable(&store), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn what_there_was_no_room_for_is_listed_again_once_there_is_and_not_over_and_over() {
    let (mut store, scope) = store();
    store.limit(RoomLimits { of_namespace: 64 << 10, of_all: 640 << 10 });
    let (first, second) = (naming("a", "first", (150, 30)), naming("a", "second", (150, 30)));
    list(&mut store, &scope, &[first.clone(), second.clone()]);
    assert_eq!((unreadable(&store), store.has_room_again(&scope)), (vec!["second".to_owned()], false));
    store.apply_pod(&scope, Event::Delete(view(&first)));
    assert!(store.has_room_again(&scope));
    assert!(!store.has_room_again(&scope), "it is being listed");
    list(&mut store, &scope, &[second.clone(), first.clone()]);
    assert_eq!(unreadable(&store), ["first"]);
    store.apply_pod(&scope, Event::Delete(view(&second)));
    assert!(!store.has_room_again(&scope), "it was listed just now");
    advance(Duration::from_mins(1)).await;
    assert!(store.has_room_again(&scope));
}

#[tokio::test(start_paused = true)]
async fn what_an_object_used_before_is_not_kept_and_neither_is_what_there_is_no_room_for() {
    let (mut store, scope) = store();
    store.limit(RoomLimits { of_namespace: 64 << 10, of_all: 640 << 10 });
    list(&mut store, &scope, &[]);
    for n in 0..20 {
        let mut of = naming("a", "web", (50 + n, 30));
        of["metadata"]["uid"] = "web".into();
        store.apply_pod(&scope, Event::Apply(view(&of)));
    }
    assert_eq!(store.groups(), 1);
    for n in 0..20 {
        store.apply_pod(&scope, Event::Apply(view(&naming("b", "huge", (150 + n, 500)))));
    }
    assert_eq!((store.groups(), unreadable(&store)), (2, vec!["huge".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_a_watch_has_shown_that_has_ended() {
    let (mut store, scope) = store();
    let pods: Vec<Value> = (0..20).map(|n| naming("a", &format!("web-{n}"), (50, 30))).collect();
    list(&mut store, &scope, &pods);
    assert_eq!(store.groups(), 20);
    store.end(&scope);
    assert_eq!((store.groups(), store.members().len()), (0, 0));
}

#[test]
fn who_looks_at_some_kinds_in_some_namespaces_is_told_of_these_alone() {
    let workloads = Workloads::listed();
    let deployment = json!({ "metadata": { "name": "idle", "namespace": "team-b", "uid": "d" },
        "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "idle:1" }] } } } });
    workloads.lists_workloads(WorkloadKind::Deployment, &[deployment]);
    workloads.lists_pods(&[pod("web", "app:1")]);
    let of = |kinds: &[WorkloadKind], namespaces: &Namespaces| -> Result<Vec<String>, Scope> {
        let seen = workloads.seen(&kinds.iter().copied().collect(), namespaces)?;
        Ok(seen.members.iter().map(|one| one.group.namespace.to_string()).collect())
    };
    assert_eq!(of(&[WorkloadKind::Pod], &Namespaces::All), Ok(vec!["team-a".to_owned()]));
    assert_eq!(of(&[WorkloadKind::Deployment], &Namespaces::All).unwrap().len(), 2);
    workloads.lists_namespace("team-c", &[]);
    let only = |namespace: &str| Namespaces::Named([namespace.to_owned()].into());
    assert_eq!(of(&[WorkloadKind::Pod], &only("team-c")), Ok(Vec::new()));
    let unknown = Scope { kind: WorkloadKind::Pod, namespace: Some("team-d".to_owned()) };
    assert_eq!(of(&[WorkloadKind::Pod], &only("team-d")), Err(unknown));
}

/// A WorkloadMirror that looks at pods alone.
struct OfPods;

impl Asking for OfPods {
    fn kinds(&self) -> HashSet<WorkloadKind> {
        [WorkloadKind::Pod].into()
    }

    fn wake(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_right_is_withdrawn_says_which_and_what_it_has_shown_is_not_taken_for_all() {
    let api = ApiServer::default();
    api.hold_list("pods", vec![pod("web-0", "a:1")]);
    let (workloads, stop) = (Workloads::default(), CancellationToken::new());
    tokio::spawn(workloads.clone().run(agent_with(api.client(), &[]), OfPods, stop.clone()));
    let pods = || Some(workloads.seen(&OfPods.kinds(), &Namespaces::All).ok()?.members.len());
    let lacking = || Some(workloads.lacking(&OfPods.kinds(), &Namespaces::All)?.0.resource);
    let becomes = async |wanted: (Option<usize>, Option<&str>)| {
        for _ in 0..120 {
            if (pods(), lacking()) == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{:?} and not {wanted:?}", (pods(), lacking()));
    };
    becomes((Some(1), None)).await;
    let words = "pods is forbidden: User \"agent\" cannot list resource \"pods\" in API group \"\"";
    api.fail_with("GET", "/api/v1/pods", 403, words);
    becomes((None, Some("pods"))).await;
    api.fail("GET", false);
    becomes((Some(1), None)).await;
    stop.cancel();
}

#[test]
fn of_all_rights_that_are_lacking_the_same_one_is_named_at_each_look() {
    let workloads = Workloads::default();
    for kind in WorkloadKind::ALL {
        workloads.lacks(&scope(kind), Some(rights(kind)[0]));
    }
    // Each set has an order of its own.
    let kinds = || HashSet::from(WorkloadKind::ALL);
    let named = || workloads.lacking(&kinds(), &Namespaces::All).unwrap().0.resource;
    assert_eq!([named(), named(), named(), named()], ["deployments"; 4]);
}

#[test]
fn pods_are_watched_with_every_kind_and_nothing_without_one() {
    let kinds = |kinds: &[WorkloadKind], namespaces: &Namespaces| {
        scopes(&kinds.iter().copied().collect(), namespaces)
    };
    assert_eq!(kinds(&[], &Namespaces::All), []);
    assert_eq!(kinds(&[WorkloadKind::Pod], &Namespaces::All), [scope(WorkloadKind::Pod)]);
    let named = Namespaces::Named(["a".into(), "b".into()].into());
    assert_eq!(kinds(&[WorkloadKind::Deployment], &named).len(), 4);
    let rights = rights(WorkloadKind::CronJob).map(|right| format!("{right} {}", right.group));
    assert_eq!(rights, ["list cronjobs batch", "watch cronjobs batch"]);
}
