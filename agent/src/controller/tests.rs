//! What the controller does around the passes of a kind, here of Images.

mod known_objects;
mod lent;
mod log;
mod turn;

use std::cell::RefCell;

use imgop_core::api::conditions::STALLED;
use imgop_core::api::{COPIES_ANNOTATION, Image, ImageStatus};
use imgop_fakes::{ApiServer, WritableRegistry};
use imgop_registry::reference::Digest;
use k8s_openapi::api::batch::v1::Job;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer;

use super::*;
use crate::image::Images;
use crate::image::tests::fixtures::{agent_with, now};
use crate::image::tests::stage::Stage;

/// A controller of one Image that was synced once, and all that it talks to.
struct Case {
    runner: Arc<Runner<Images>>,
    image: Image,
    api: ApiServer,
    registry: WritableRegistry,
    slot: Slot<Images>,
    /// Writes what the watch has shown.
    watched: RefCell<Writer<Stored<Image>>>,
}

impl Case {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with these settings of the agent.
    async fn with(settings: &[&str]) -> Self {
        let Stage { image, api, registry, .. } = Stage::of_a_synced_image().await;
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Apply(stored(image.clone())));
        let objects = Objects::new([store]);
        let images = Images::new(agent_with(api.client(), settings), Objects::new([]));
        images.agent().jobs.are_listed();
        let runner = Arc::new(Runner::new(images, objects));
        let mut slot = Slot::<Images>::default();
        slot.memory.schedule.next = Some(now());
        Self { runner, image, api, registry, slot, watched: RefCell::new(writer) }
    }

    /// The watch shows the Image like this.
    fn shows(&self, object: Stored<Image>) {
        self.watched.borrow_mut().apply_watcher_event(&watcher::Event::Apply(object));
    }

    /// Reconciles the Image, which the watch shows like this.
    async fn reconcile(&self, object: Stored<Image>) -> Option<Duration> {
        self.shows(object.clone());
        self.runner.reconcile(object.namespaced_name()).await
    }

    /// Namespace and name of the Image.
    fn name(&self) -> NamespacedName {
        stored(self.image.clone()).namespaced_name().clone()
    }

    /// How many passes there were.
    fn passes(&self) -> u64 {
        let metrics = &self.runner.kind.agent().metrics;
        metrics.reconciliations.get_or_create(&OfKind::of::<Image>()).get()
    }

    /// One pass, this number of seconds later.
    async fn pass(&mut self, seconds: u64) -> Result<Option<Duration>, ApiError> {
        self.runner.pass(&self.image, &mut self.slot, now() + Duration::from_secs(seconds)).await
    }

    fn written(&self) -> Vec<ImageStatus> {
        let patches = self.api.bodies("PATCH").into_iter();
        patches.map(|patch| serde_json::from_value(patch["status"].clone()).unwrap()).collect()
    }
}

/// This Image, as it is kept.
fn stored(image: Image) -> Stored<Image> {
    Stored::of(&DeserializeGuard(Ok(image)))
}

#[tokio::test]
async fn a_status_that_could_not_be_written_is_written_later_without_asking_any_registry() {
    let mut case = Case::new().await;
    case.registry.refuse(401);
    case.api.fail("PATCH", true);
    assert!(case.pass(0).await.is_err());
    let asked = case.registry.requests().len();
    assert!(asked > 0 && case.written().len() == 1);

    case.api.fail("PATCH", false);
    for seconds in [1, 2] {
        case.pass(seconds).await.unwrap();
    }
    let written = case.written();
    assert_eq!(written.len(), 2, "once more, and then it is there");
    assert_eq!(find(&written[1].conditions, STALLED).unwrap().reason, reasons::REGISTRY_UNAUTHORIZED);
    assert_eq!(case.registry.requests().len(), asked);
}

#[tokio::test]
async fn what_was_copied_is_history_and_counted_once_also_when_its_status_is_written_late() {
    let mut case = Case::new().await;
    for repository in ["source", "target"] {
        case.registry.hold(&format!("/v2/{repository}/tags/list"), r#"{"tags":["v2.13.1"]}"#);
        case.registry.hold_manifest(repository, "v2.13.1", "{}");
    }
    case.api.fail("PATCH", true);
    case.slot.memory.sync().published = vec!["v2.13.1".parse().unwrap()];
    let copied = |case: &Case| case.runner.kind.tags_copied();
    assert!(case.pass(0).await.is_err());
    assert_eq!(copied(&case), 0, "nothing is counted that may be counted again");

    case.api.fail("PATCH", false);
    case.pass(1).await.unwrap();
    let entry = case.written()[1].history[0].clone();
    assert_eq!((entry.copied, entry.tags), (Some(1), vec!["v2.13.1".to_owned()]));
    assert_eq!(copied(&case), 1);
    assert!(case.slot.memory.sync.is_none() && case.slot.pending.is_none());
}

#[tokio::test]
async fn a_status_of_a_new_spec_that_could_not_be_written_is_written_without_asking_any_registry() {
    let mut case = Case::new().await;
    case.image.status = None;
    case.registry.refuse(401);
    case.api.fail("PATCH", true);
    assert!(case.pass(0).await.is_err());
    let asked = case.registry.requests().len();
    for seconds in [2, 4] {
        assert!(case.pass(seconds).await.is_err());
    }
    case.api.fail("PATCH", false);
    case.pass(8).await.unwrap();
    assert_eq!(case.registry.requests().len(), asked, "its credential is refused, and not shown again");
    assert!(case.slot.pending.is_none());
}

/// Writes the status of an Image whose spec is new, as version 9 of it, and wakes it while the watch shows this version with
/// the status of before. Returns after what time it is due again, and how many more requests its registry has had.
async fn woken_while_shown(version: &str) -> (Option<Duration>, usize) {
    let case = Case::with(&["--share-lists-seconds=0"]).await;
    for repository in ["source", "target"] {
        case.registry.hold(&format!("/v2/{repository}/tags/list"), r#"{"tags":["v2.13.1"]}"#);
        case.registry.hold_manifest(repository, "v2.13.1", "{}");
    }
    let mut image = case.image.clone();
    image.metadata.generation = Some(2);
    image.metadata.resource_version = Some("9".to_owned());
    let path = "/apis/skopeo.io/v1alpha1/namespaces/team-a/images/argocd";
    case.api.hold(path, serde_json::to_value(&image).unwrap());
    image.metadata.resource_version = Some("7".to_owned());
    case.reconcile(stored(image.clone())).await;
    let asked = case.registry.requests().len();
    assert!(asked > 0 && case.written().len() == 1);

    image.metadata.resource_version = Some(version.to_owned());
    let next = case.reconcile(stored(image)).await;
    (next, case.registry.requests().len() - asked)
}

#[tokio::test]
async fn nothing_is_asked_again_before_the_watch_shows_the_status_that_was_written() {
    // With version 8 another client changed something else, after the pass had begun.
    for version in ["7", "8"] {
        let (next, asked) = woken_while_shown(version).await;
        assert!(next.is_some_and(|next| !next.is_zero() && next <= Duration::from_secs(2)), "{next:?}");
        assert_eq!(asked, 0, "version {version}");
    }
    let (_, asked) = woken_while_shown("9").await;
    assert!(
        asked > 0,
        "by the status of before its spec is new, and nothing but the wait keeps it from asking"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_that_the_watch_never_shows_stops_no_object() {
    let mut slot = Slot::<Images>::default();
    slot.wrote(Some("8"));
    assert_eq!(slot.awaits_status(Some("7")), Some(Duration::from_secs(2)));
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(slot.awaits_status(Some("7")), Some(Duration::from_millis(1500)));
    tokio::time::advance(Duration::from_millis(1500)).await;
    assert_eq!(slot.awaits_status(Some("7")), None);
}

#[test]
fn the_watch_shows_a_status_once_its_version_is_no_lower_as_a_number() {
    let is_awaited = |written: Option<&str>, shown: Option<&str>| {
        let mut slot = Slot::<Images>::default();
        slot.wrote(written);
        slot.awaits_status(shown).is_some()
    };
    assert!(is_awaited(Some("10"), Some("9")));
    assert!(!is_awaited(Some("10"), Some("10")) && !is_awaited(Some("9"), Some("10")));
    for (written, shown) in [(None, Some("9")), (Some("10"), None), (Some("v10"), Some("v9"))] {
        assert!(!is_awaited(written, shown), "which is newer is not known");
    }
}

#[tokio::test]
async fn a_status_whose_answer_was_lost_is_not_written_twice() {
    let mut case = Case::new().await;
    case.registry.refuse(401);
    case.api.fail("PATCH", true);
    assert!(case.pass(0).await.is_err());
    // It was written all the same, as the watch shows.
    case.image.status = case.written().pop();
    case.pass(2).await.unwrap();
    assert_eq!(case.written().len(), 1);
    assert!(case.slot.pending.is_none());
}

#[tokio::test]
async fn a_pending_status_is_dropped_once_the_spec_is_another_one() {
    let mut case = Case::new().await;
    case.registry.refuse(401);
    case.api.fail("PATCH", true);
    assert!(case.pass(0).await.is_err());
    case.api.fail("PATCH", false);
    case.image.metadata.generation = Some(2);
    case.image.spec.source.version = "no [version".into();
    case.pass(2).await.unwrap();
    let written = case.written();
    assert_eq!(find(&written[1].conditions, STALLED).unwrap().reason, reasons::INVALID_SPEC);
    assert_eq!(written[1].observed_generation, Some(2));
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_is_stalled_with_the_reason_once_and_its_status_keeps_the_rest() {
    let case = Case::new().await;
    let mut held = case.image.clone();
    held.status.as_mut().unwrap().tag_already_synced = vec!["v2.13.1".to_owned()];
    case.api.hold_list("images", vec![serde_json::to_value(held).unwrap()]);
    let metadata = case.image.metadata.clone();
    let error = "spec.source.select.latest: invalid value: integer `4294967296`, expected u32".to_owned();
    let object = Stored::of(&DeserializeGuard(Err(InvalidObject { error, metadata })));
    case.reconcile(object.clone()).await;
    case.reconcile(object).await;
    let written = case.written();
    let stalled = find(&written[0].conditions, STALLED).unwrap();
    assert_eq!((written.len(), stalled.reason.as_str()), (1, reasons::INVALID_SPEC));
    assert!(stalled.message.contains("spec.source.select.latest"), "{}", stalled.message);
    assert_eq!(written[0].tag_already_synced, ["v2.13.1"]);
}

/// This Image, as if this version could not decode it.
fn undecodable(case: &Case) -> Stored<Image> {
    let error = "spec.mode: unknown variant".to_owned();
    Stored::of(&DeserializeGuard(Err(InvalidObject { error, metadata: case.image.metadata.clone() })))
}

#[tokio::test]
async fn an_object_that_is_broken_again_is_reported_again() {
    let case = Case::new().await;
    case.api.hold_list("images", vec![serde_json::to_value(&case.image).unwrap()]);
    case.reconcile(undecodable(&case)).await;
    case.reconcile(stored(case.image.clone())).await;
    let before = case.written().len();
    case.reconcile(undecodable(&case)).await;
    assert_eq!(case.written().len() - before, 1);
}

#[tokio::test]
async fn a_status_that_cannot_be_decoded_either_is_left_as_it_is() {
    let case = Case::new().await;
    let mut held = serde_json::to_value(&case.image).unwrap();
    held["status"] = serde_json::json!({ "tagAlreadySynced": { "of": "a newer version" } });
    case.api.hold_list("images", vec![held]);
    case.reconcile(undecodable(&case)).await;
    assert_eq!(case.written().len(), 0);
}

#[tokio::test]
async fn of_an_object_that_is_too_large_only_the_status_is_read_and_one_at_a_time() {
    let case = Case::new().await;
    let mut held = serde_json::to_value(&case.image).unwrap();
    held["spec"]["source"]["version"] = "x".repeat(1_000_000).into();
    held["metadata"]["labels"] = serde_json::json!({ "large": "x".repeat(1_000_000) });
    held["metadata"]["annotations"] = serde_json::json!({ "skopeo.io/requested-at": "x".repeat(262_000) });
    held["status"]["tagAlreadySynced"] = serde_json::json!(["v2.13.1"]);
    case.api.hold_list("images", vec![held]);
    let object = undecodable(&case);
    case.shows(object.clone());
    let reading = case.runner.reading_status.lock().await;
    let mut pass = std::pin::pin!(case.runner.reconcile(object.namespaced_name()));
    for _ in 0..50 {
        assert!(futures::poll!(pass.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(
        case.api.requests().iter().all(|request| !request.starts_with("GET")),
        "{:?}",
        case.api.requests()
    );
    drop(reading);
    pass.await;
    assert_eq!(case.written()[0].tag_already_synced, ["v2.13.1"]);
}

#[tokio::test]
async fn an_undecodable_object_of_a_namespace_that_is_not_enabled_is_neither_read_nor_written() {
    let mut case = Case::new().await;
    let denied = || serde_json::json!({"metadata": {}, "spec": {}, "status": {"allowed": false}});
    case.api = ApiServer::scripted(move |_| (201, denied()));
    let images = Images::new(crate::image::tests::fixtures::agent(case.api.client()), Objects::new([]));
    images.agent().jobs.are_listed();
    case.runner = Arc::new(Runner::new(images, case.runner.objects.clone()));
    let next = case.reconcile(undecodable(&case)).await;
    assert_eq!(next, Some(Duration::from_mins(1)), "it may be enabled later");
    let asked = case.api.requests();
    assert!(asked.iter().all(|request| request.contains("selfsubjectaccessreviews")), "{asked:?}");
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_left_alone() {
    let mut case = Case::new().await;
    case.image.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    case.reconcile(stored(case.image.clone())).await;
    assert_eq!(case.runner.before_turn(&case.name()), Err(None));
    assert_eq!((case.registry.requests().len(), case.api.requests().len()), (0, 0));
}

/// Whether an Image that waits for a place is woken when one is free, although this happened before.
async fn is_woken(after: impl AsyncFnOnce(&Case)) -> bool {
    let case = Case::new().await;
    let jobs = case.runner.kind.agent().jobs.clone();
    let mut woken = std::pin::pin!(jobs.wake_ups::<Image>());
    let mut other = case.image.clone();
    (other.metadata.uid, other.metadata.name) = (Some("other".to_owned()), Some("other".to_owned()));
    let most = usize::from(case.runner.kind.agent().config.max_jobs_per_namespace);
    let (holder, waiting) = (Owner::of(&other), Owner::of(&case.image));
    let mut places: Vec<_> = jobs.take(&holder, most, now()).places;
    (other.metadata.uid, other.metadata.name) = (Some("third".to_owned()), Some("third".to_owned()));
    places.extend(jobs.take(&Owner::of(&other), most, now()).places);
    assert_eq!(places.len(), most);
    assert!(jobs.take(&waiting, 1, now()).full.is_some());
    after(&case).await;
    drop(places);
    futures::poll!(woken.next()).is_ready()
}

#[tokio::test]
async fn a_deleted_object_leaves_the_queue_at_once() {
    assert!(is_woken(async |_| ()).await);
    let deleted = async |case: &Case| {
        let event = Ok(watcher::Event::Delete(stored(case.image.clone())));
        leave_queue(&event, case.runner.kind.agent());
    };
    assert!(!is_woken(deleted).await);
    let terminating = async |case: &Case| {
        let mut image = case.image.clone();
        image.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
        case.reconcile(stored(image)).await;
    };
    assert!(!is_woken(terminating).await);
    let terminating_before_its_turn = async |case: &Case| {
        let mut image = case.image.clone();
        image.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
        case.shows(stored(image));
        assert_eq!(case.runner.before_turn(&case.name()), Err(None));
    };
    assert!(!is_woken(terminating_before_its_turn).await);
}

#[tokio::test]
async fn a_pass_over_an_object_that_was_deleted_meanwhile_keeps_no_place_in_the_queue() {
    let deleted_meanwhile = async |case: &Case| {
        let mut image = case.image.clone();
        // Another spec is due at once.
        image.metadata.generation = Some(2);
        case.shows(stored(image.clone()));
        let name = case.name();
        let mut pass = std::pin::pin!(case.runner.reconcile(&name));
        assert!(futures::poll!(pass.as_mut()).is_pending());
        assert!(case.runner.kind.agent().jobs.take(&Owner::of(&image), 1, now()).full.is_some());
        case.watched.borrow_mut().apply_watcher_event(&watcher::Event::Delete(stored(image)));
        pass.await;
    };
    assert!(!is_woken(deleted_meanwhile).await);
}

#[tokio::test]
async fn an_object_in_whose_namespace_the_jobs_are_not_known_yet_waits() {
    let Stage { images, image, api, registry, .. } = Stage::of_a_synced_image().await;
    let (store, mut writer) = reflector::store();
    let object = stored(image);
    writer.apply_watcher_event(&watcher::Event::Apply(object.clone()));
    let runner = Runner::new(images, Objects::new([store]));
    let before_turn = || runner.before_turn(object.namespaced_name());
    assert_eq!(before_turn(), Err(Some(UNTIL_JOBS_ARE_KNOWN)));
    assert!(api.requests().is_empty() && registry.requests().is_empty());
    runner.kind.agent().jobs.are_listed();
    assert!(before_turn().is_ok());
}

#[tokio::test]
async fn a_pass_that_took_no_place_keeps_none_in_the_queue_of_jobs() {
    let passes_without_jobs = async |case: &Case| {
        case.runner.kind.agent().jobs.end_pass(&case.image.uid().unwrap_or_default());
        case.runner.reconcile(&case.name()).await;
    };
    assert!(!is_woken(passes_without_jobs).await);
}

#[tokio::test]
async fn an_object_whose_deletion_no_watch_has_shown_leaves_the_queue() {
    let evicted = async |case: &Case| {
        case.runner.kind.agent().jobs.retain_waiting::<Image>(|uid| uid == "other");
    };
    assert!(!is_woken(evicted).await);
    let of_another_kind = async |case: &Case| {
        case.runner.kind.agent().jobs.retain_waiting::<k8s_openapi::api::batch::v1::Job>(|_| false);
    };
    assert!(is_woken(of_another_kind).await);
}

#[tokio::test]
async fn a_first_copy_of_a_hundred_tags_writes_where_it_stands_a_few_times() {
    let mut case = Case::with(&["--tags-per-job=1"]).await;
    let tags: Vec<String> = (0..100).map(|n| format!("v2.13.{n}")).collect();
    let manifest = |tag: &str| serde_json::json!({ "of": tag }).to_string();
    let names = |tags: &[String]| serde_json::json!({ "tags": tags }).to_string();
    case.registry.hold("/v2/source/tags/list", &names(&tags));
    case.registry.hold("/v2/target/tags/list", &names(&[]));
    for tag in &tags {
        case.registry.hold_manifest("source", tag, &manifest(tag));
    }
    for n in 0..tags.len() {
        // Three of them a second.
        case.pass(n as u64 / 3).await.unwrap();
        if let Some(status) = case.written().pop() {
            case.image.status = Some(status);
        }
        let mut created = case.api.bodies("POST").into_iter().filter(|body| body["kind"] == "Job");
        let mut job: Job = serde_json::from_value(created.nth(n).unwrap()).unwrap();
        let copies = job.metadata.annotations.clone().unwrap_or_default();
        let tag = tags.iter().find(|tag| copies[COPIES_ANNOTATION].contains(&format!("\"{tag}\""))).unwrap();
        let pushed = manifest(tag);
        case.registry.hold_manifest("target", Digest::of(pushed.as_bytes()).as_str(), &pushed);
        let complete = serde_json::json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
        job.status = Some(serde_json::from_value(complete).unwrap());
        case.runner.kind.agent().jobs.show(&job);
    }
    case.pass(200).await.unwrap();
    let written = case.written();
    assert_eq!(written.last().unwrap().counts.unwrap().synced, 100);
    assert!(written.len() <= 25, "{} writes", written.len());
}
