//! What the watches show, and in which order it may come.

use imgop_core::api::OWNER_UID_LABEL;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use serde_json::json;

use super::*;
use crate::jobs::budget::Caps;
use crate::jobs::report::{ContainerState, JobState};

mod bounds;

struct Scene {
    store: Store,
    budget: JobBudget,
    woken: Arc<Mutex<Vec<String>>>,
}

const ALL: Scope = None;

impl Scene {
    fn new() -> Self {
        let wake_timeout = Duration::from_mins(10);
        let caps = Caps { in_all: 100, per_namespace: 100, per_owner: 50, of_kind: None, wake_timeout };
        let woken = Arc::<Mutex<Vec<String>>>::default();
        let wakes = woken.clone();
        let budget = JobBudget::new(caps, |_| ());
        let store = Store::new(budget.clone(), Duration::from_mins(10), "imgop-system", move |owner| {
            wakes.lock().push(owner.name.clone());
        });
        Self { store, budget, woken }
    }

    fn jobs(&self, events: Vec<Event<Guarded<JobView>>>) {
        for event in events {
            self.store.apply_job(&ALL, event);
        }
    }

    fn names(&self, uid: &str) -> Vec<String> {
        self.store.of_owner(&owner(uid), now()).into_iter().map(|report| report.name).collect()
    }

    fn woken(&self) -> Vec<String> {
        std::mem::take(&mut self.woken.lock())
    }

    /// How many places are taken, as the budget counts.
    fn taken(&self, namespace: &str, uid: &str) -> usize {
        50 - self.budget.room(&Owner { namespace: namespace.into(), ..owner(uid) }, 50, now()).0
    }
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn owner(uid: &str) -> Owner {
    Owner {
        api_version: "skopeo.io/v1alpha1".into(),
        kind: "Image".into(),
        namespace: "team-a".into(),
        name: format!("name of {uid}"),
        uid: uid.into(),
    }
}

/// An unfinished Job of this owner.
fn job(name: &str, uid: &str) -> JobView {
    let owner = serde_json::to_value(owner(uid).controller_reference()).unwrap();
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "team-a", "uid": format!("uid of {name}"),
            "labels": {OWNER_UID_LABEL: uid}, "annotations": {}, "ownerReferences": [owner]},
        "spec": {"podFailurePolicy": {}, "template": {"spec": {"containers": [{"name": "c"}]}}},
        "status": {"active": 1},
    }))
    .unwrap()
}

fn ended(mut job: JobView, type_: &str) -> JobView {
    let end = json!({"type": type_, "status": "True", "lastTransitionTime": "2026-11-21T11:00:00Z"});
    job.status.conditions = vec![serde_json::from_value(end).unwrap()];
    job
}

fn ok<K: kube::Resource>(object: K) -> Guarded<K> {
    DeserializeGuard(Ok(object))
}

fn pod(name: &str, job: &str, exit_code: i32) -> PodView {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "team-a", "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": format!("uid of {job}"),
                "controller": true}]},
        "status": {"phase": "Failed", "containerStatuses": [
            {"name": "c", "state": {"terminated": {"exitCode": exit_code, "message": "why"}}}]},
    }))
    .unwrap()
}

#[test]
fn a_job_that_is_gone_before_its_creation_is_answered_does_not_come_back() {
    let scene = Scene::new();
    let created = job("short", "uid");
    let awaited = scene.store.await_answer("team-a", "short");
    scene.jobs(vec![Event::Apply(ok(created.clone())), Event::Delete(ok(created.clone()))]);
    scene.store.insert(created.clone());
    assert_eq!((scene.names("uid").len(), scene.taken("team-a", "uid")), (0, 0));
    // The next one of its name is another.
    let mut next = created;
    next.metadata.uid = Some("another".into());
    scene.store.insert(next);
    drop(awaited);
    assert_eq!((scene.names("uid"), scene.taken("team-a", "uid")), (vec!["short".to_owned()], 1));
}

#[test]
fn what_a_pod_has_reported_outlives_it_until_its_job_is_gone_where_that_makes_no_other_one() {
    let alone: JobView = serde_json::from_value(json!({
        "metadata": job("j", "uid").metadata,
        "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}},
    }))
    .unwrap();
    for (job, is_kept) in [(alone, true), (job("j", "uid"), false)] {
        let scene = Scene::new();
        scene.jobs(vec![Event::Init, Event::InitApply(ok(job.clone())), Event::InitDone]);
        let pod = pod("p", "j", 1);
        for event in
            [Event::Init, Event::InitDone, Event::Apply(ok(pod.clone())), Event::Delete(ok(pod.clone()))]
        {
            scene.store.apply_pod("team-a", event);
        }
        let state = scene.store.of_owner(&owner("uid"), now())[0].container("c");
        assert_eq!(matches!(state, ContainerState::Ended(_)), is_kept, "{state:?}");
        // A change of the Job keeps it, and its end does not.
        scene.jobs(vec![Event::Apply(ok(job.clone()))]);
        let pods = || scene.store.content.lock().pods["team-a"].len();
        assert_eq!(pods(), usize::from(is_kept));
        scene.jobs(vec![Event::Delete(ok(job))]);
        assert_eq!(pods(), 0);
    }
}

#[test]
fn a_job_names_an_owner_of_another_namespace_only_where_tenants_have_no_rights() {
    let in_namespace = |namespace: &str, name: &str| {
        let template = k8s_openapi::api::batch::v1::Job::default();
        let placed = crate::jobs::place_in(template, &owner("uid"), namespace);
        let mut job = job(name, "uid");
        job.metadata.namespace = Some(namespace.to_owned());
        (job.metadata.owner_references, job.metadata.annotations) = (None, placed.metadata.annotations);
        job
    };
    let scene = Scene::new();
    let forged = in_namespace("team-b", "forged");
    scene.jobs(vec![Event::Init, Event::InitApply(ok(forged)), Event::InitDone]);
    assert_eq!((scene.names("uid"), scene.taken("team-a", "uid")), (Vec::new(), 0));
    scene.jobs(vec![Event::Apply(ok(in_namespace("imgop-system", "lent")))]);
    assert_eq!((scene.names("uid"), scene.taken("team-a", "uid")), (vec!["lent".to_owned()], 1));
    assert_eq!(scene.woken(), ["name of uid"]);
    assert_eq!(scene.store.of_owner(&owner("uid"), now())[0].namespace, "imgop-system");
    assert_eq!(scene.store.lent().len(), 1);
    let namespaces = scene.store.namespaces();
    assert!(namespaces.contains("imgop-system") && !namespaces.contains("team-a"), "pods are where Jobs are");
    scene.jobs(vec![Event::Delete(ok(in_namespace("imgop-system", "lent")))]);
    assert_eq!((scene.taken("team-a", "uid"), scene.store.lent().len()), (0, 0));
}

#[test]
fn an_owner_has_the_jobs_that_it_controls_and_not_those_that_are_labelled_as_its_own() {
    let scene = Scene::new();
    let mut forged = job("forged", "another");
    forged.labels_mut().insert(OWNER_UID_LABEL.into(), "uid".into());
    scene.jobs(vec![
        Event::Init,
        Event::InitApply(ok(forged)),
        Event::InitApply(ok(job("own", "uid"))),
        Event::InitDone,
    ]);
    assert_eq!(scene.names("uid"), ["own"]);
    assert_eq!(scene.store.count(&owner("uid")), Count { total: 1, unfinished: 1 });
    assert_eq!(scene.taken("team-a", "uid"), 1);
    assert!(scene.store.knows("team-a") && scene.store.knows("any"));
}

#[test]
fn places_are_counted_once_and_are_free_when_jobs_end_or_are_gone() {
    let scene = Scene::new();
    let (one, two) = (job("one", "uid"), job("two", "uid"));
    scene.store.insert(one.clone());
    scene.jobs(vec![
        Event::Apply(ok(one.clone())),
        Event::Apply(ok(one.clone())),
        Event::Apply(ok(two.clone())),
    ]);
    assert_eq!(scene.taken("team-a", "uid"), 2);
    scene.jobs(vec![Event::Apply(ok(ended(one.clone(), "Complete")))]);
    assert_eq!(scene.taken("team-a", "uid"), 1);
    assert_eq!(scene.store.count(&owner("uid")), Count { total: 2, unfinished: 1 });
    scene.jobs(vec![Event::Delete(ok(two)), Event::Delete(ok(ended(one, "Complete")))]);
    assert_eq!(scene.store.count(&owner("uid")), Count::default());
    assert_eq!(scene.taken("team-a", "uid"), 0);
    assert!(scene.store.content.lock().bytes.is_empty());
}

#[test]
fn jobs_that_were_orphaned_count_while_they_live_and_have_no_owner() {
    let scene = Scene::new();
    let mut orphan = job("orphan", "uid");
    scene.jobs(vec![Event::Apply(ok(orphan.clone()))]);
    orphan.metadata.owner_references = None;
    scene.jobs(vec![Event::Apply(ok(orphan.clone()))]);
    assert_eq!((scene.names("uid").len(), scene.taken("team-a", "uid")), (0, 1));
    scene.jobs(vec![Event::Delete(ok(orphan))]);
    assert_eq!(scene.taken("team-a", "uid"), 0);
}

#[test]
fn what_this_process_created_is_there_at_once_and_a_list_from_before_does_not_take_it_away() {
    let scene = Scene::new();
    scene.jobs(vec![Event::Init, Event::InitApply(ok(job("old", "uid")))]);
    scene.store.insert(job("new", "uid"));
    scene.jobs(vec![Event::InitDone]);
    assert_eq!(scene.names("uid"), ["new", "old"]);
    assert_eq!(scene.woken(), [""; 0], "its own doings are no news");
    scene.jobs(vec![Event::Init, Event::InitDone]);
    assert_eq!(scene.names("uid"), [""; 0], "what the next list does not have was deleted");
}

#[test]
fn the_end_of_a_job_of_the_same_name_from_before_does_not_take_the_new_one_away() {
    let scene = Scene::new();
    let mut before = job("j", "uid");
    before.metadata.uid = Some("before".into());
    scene.store.insert(before.clone());
    scene.store.remove("team-a", "j", Some("before"));
    assert_eq!(scene.names("uid"), [""; 0]);
    scene.store.insert(job("j", "uid"));
    scene.jobs(vec![Event::Delete(ok(before))]);
    assert_eq!(scene.names("uid"), ["j"]);
}

#[test]
fn an_owner_is_woken_by_its_jobs_and_their_pods_and_not_by_a_list_that_says_nothing_new() {
    let scene = Scene::new();
    scene.jobs(vec![Event::Init, Event::InitApply(ok(job("j", "uid"))), Event::InitDone]);
    assert_eq!(scene.woken(), [""; 0], "everything is reconciled at the start anyway");
    scene.jobs(vec![Event::Apply(ok(ended(job("j", "uid"), "Failed")))]);
    assert_eq!(scene.woken(), ["name of uid"]);
    scene.jobs(vec![Event::Init, Event::InitApply(ok(ended(job("j", "uid"), "Failed"))), Event::InitDone]);
    assert_eq!(scene.woken(), [""; 0]);
    scene.store.apply_pod("team-a", Event::Apply(ok(pod("p", "j", 1))));
    assert_eq!(scene.woken(), ["name of uid"]);
    scene.store.apply_pod("team-a", Event::Apply(ok(pod("p", "unknown", 1))));
    assert_eq!(scene.woken(), [""; 0]);
}

#[test]
fn a_job_has_its_own_pods_once_those_of_its_namespace_are_known() {
    let scene = Scene::new();
    scene.jobs(vec![Event::Apply(ok(ended(job("j", "uid"), "Failed")))]);
    let state = || scene.store.of_owner(&owner("uid"), now()).remove(0).container("c");
    assert_eq!(state(), ContainerState::Running, "however long ago it failed");
    let mut forged = pod("forged", "j", 0);
    forged.metadata.owner_references.as_mut().unwrap()[0].uid = "another".into();
    for event in
        [Event::Init, Event::InitApply(ok(forged)), Event::InitApply(ok(pod("p", "j", 1))), Event::InitDone]
    {
        scene.store.apply_pod("team-a", event);
    }
    assert!(
        matches!(state(), ContainerState::Ended(end) if (end.exit_code, end.message.as_str()) == (1, "why"))
    );
    scene.store.apply_pod("team-a", Event::Delete(ok(pod("p", "j", 1))));
    assert!(matches!(state(), ContainerState::PodGone { .. }));
    scene.store.forget_pods("team-a");
    assert!(scene.store.content.lock().pods.is_empty());
}

#[test]
fn a_job_without_a_pod_has_its_time_from_when_that_was_first_seen() {
    let scene = Scene::new();
    let mut waiting = job("j", "uid");
    waiting.status = serde_json::from_value(json!({"startTime": "2026-11-21T10:00:00Z"})).unwrap();
    scene.jobs(vec![Event::Apply(ok(waiting))]);
    for event in [Event::Init, Event::InitDone] {
        scene.store.apply_pod("team-a", event);
    }
    let state = |after: u64| {
        scene.store.of_owner(&owner("uid"), now() + std::time::Duration::from_secs(after)).remove(0).state
    };
    assert_eq!(state(0), JobState::Unfinished, "its pod may have been evicted a moment ago");
    assert_eq!(state(59), JobState::Unfinished);
    assert!(matches!(state(60), JobState::Stuck(_)));
}

#[test]
fn jobs_and_pods_take_no_more_memory_than_fits() {
    let scene = Scene::new();
    for number in 0..20 {
        let mut large = job(&format!("job-{number:02}"), "uid");
        large.annotations_mut().insert("imgop.skopeo.io/copies".into(), "x".repeat(200 * 1024));
        scene.jobs(vec![Event::Apply(ok(large))]);
        let mut large = pod(&format!("pod-{number}"), "job-00", 1);
        large.status.conditions = serde_json::from_value(
            json!([{"type": "x", "status": "True", "message": "x".repeat(1024 * 1024)}]),
        )
        .unwrap();
        scene.store.apply_pod("team-a", Event::Apply(ok(large)));
    }
    let whole = scene.store.of_owner(&owner("uid"), now()).into_iter().filter(|job| !job.is_stub);
    assert_eq!(whole.count(), 10);
    assert_eq!(scene.store.count(&owner("uid")), Count { total: 20, unfinished: 20 });
    let content = scene.store.content.lock();
    assert_eq!(content.pods["team-a"].len(), 7);
}

#[test]
fn an_answer_that_comes_late_does_not_undo_what_the_watch_has_shown() {
    let scene = Scene::new();
    scene.jobs(vec![Event::Apply(ok(ended(job("j", "uid"), "Complete")))]);
    scene.store.insert(job("j", "uid"));
    assert_eq!(scene.store.count(&owner("uid")), Count { total: 1, unfinished: 0 });
    assert_eq!(scene.taken("team-a", "uid"), 0);
}

#[test]
fn a_job_that_is_given_another_owner_counts_for_that_one_alone() {
    let scene = Scene::new();
    scene.jobs(vec![Event::Apply(ok(job("j", "one")))]);
    scene.woken();
    scene.jobs(vec![Event::Apply(ok(job("j", "two")))]);
    assert_eq!((scene.taken("team-a", "one"), scene.taken("team-a", "two")), (0, 1));
    assert_eq!(scene.woken(), ["name of one", "name of two"]);
}

#[test]
fn the_budget_has_the_last_count_whoever_changed_the_store_last() {
    let scene = Scene::new();
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let scene = &scene;
            threads.spawn(move || {
                for number in 0..500 {
                    let name = format!("{thread}-{number}");
                    scene.store.insert(job(&name, "uid"));
                    scene.store.remove("team-a", &name, Some(&format!("uid of {name}")));
                }
            });
        }
    });
    assert_eq!(scene.taken("team-a", "uid"), 0);
}

#[test]
fn a_job_without_a_pod_has_its_time_once_however_often_it_changes() {
    let scene = Scene::new();
    let mut waiting = job("j", "uid");
    waiting.status = serde_json::from_value(json!({"startTime": "2026-11-21T10:00:00Z"})).unwrap();
    scene.jobs(vec![Event::Apply(ok(waiting.clone()))]);
    for event in [Event::Init, Event::InitDone] {
        scene.store.apply_pod("team-a", event);
    }
    let state = |after: u64| {
        let now = now() + std::time::Duration::from_secs(after);
        scene.store.of_owner(&owner("uid"), now).remove(0).state
    };
    assert_eq!(state(0), JobState::Unfinished);
    waiting.annotations_mut().insert("touched".into(), "again".into());
    scene.jobs(vec![
        Event::Apply(ok(waiting.clone())),
        Event::Init,
        Event::InitApply(ok(waiting)),
        Event::InitDone,
    ]);
    assert!(matches!(state(60), JobState::Stuck(_)));
}

#[test]
fn a_failed_job_is_not_judged_by_pods_that_may_be_others() {
    let scene = Scene::new();
    scene.jobs(vec![Event::Apply(ok(ended(job("j", "uid"), "Failed")))]);
    let state = |after: u64| {
        let now = now() + std::time::Duration::from_secs(after);
        scene.store.of_owner(&owner("uid"), now).remove(0).container("c")
    };
    for event in [Event::Init, Event::InitDone] {
        scene.store.apply_pod("team-a", event);
    }
    assert!(matches!(state(0), ContainerState::PodGone { .. }));
    scene.store.pods_have_failed("team-a", now());
    assert_eq!(state(60), ContainerState::Running, "the watch fails");
    assert!(matches!(state(90), ContainerState::PodGone { .. }));

    let mut too_large = pod("p", "j", 1);
    too_large.status.conditions = serde_json::from_value(
        json!([{"type": "x", "status": "True", "message": "x".repeat(9 * 1024 * 1024)}]),
    )
    .unwrap();
    scene.store.apply_pod("team-a", Event::Apply(ok(too_large)));
    assert_eq!(state(90), ContainerState::Running, "its pod was left out");
    assert_eq!(scene.store.content.lock().pods["team-a"].len(), 0);
    for event in [Event::Init, Event::InitDone] {
        scene.store.apply_pod("team-a", event);
    }
    assert!(matches!(state(90), ContainerState::PodGone { .. }));
}
