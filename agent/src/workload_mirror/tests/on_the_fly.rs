//! What pods cannot pull from the destination.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::conditions::{READY, reasons};
use imgop_core::api::{
    Credentials, Destination, ExcludedWorkload, Image, ImageSpec, MirrorSource, Mode, ON_THE_FLY_LABEL,
    Overwrite, REQUESTED_AT_ANNOTATION, RegistryAccess, Source, Tls, TlsMode, WorkloadKind,
    WorkloadMirrorSpec, WorkloadOrigin, WorkloadTrigger,
};
use imgop_fakes::{Catalog, CatalogRegistry};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::children::WRITE_INTERVAL;
use crate::workload_mirror::workloads::testing::{pod, waiting};

/// A mirror that copies what pods cannot pull, and the registries that it asks.
pub struct Place {
    pub stage: Stage,
    pub destination: CatalogRegistry,
    pub first: CatalogRegistry,
    pub second: CatalogRegistry,
}

fn plain() -> Tls {
    Tls { mode: TlsMode::PlainHttp, ca_secret_name: None }
}

impl Place {
    /// A destination and two origins with these contents.
    pub async fn new(destination: Catalog, first: Catalog, second: Catalog) -> Self {
        let (destination, first, second) =
            (destination.start().await, first.start().await, second.start().await);
        let mut stage = Stage::to(&destination.address, &[]);
        let source = |at: &CatalogRegistry| MirrorSource {
            registry: at.address.clone(),
            tls: plain(),
            ..MirrorSource::default()
        };
        stage.change(|spec| {
            spec.triggers = vec![WorkloadTrigger::PullFailure];
            spec.destination.tls = Some(plain());
            spec.sources = vec![source(&first), source(&second)];
            spec.origins = vec![WorkloadOrigin {
                from: destination.address.clone(),
                to: vec![first.address.clone(), second.address.clone()],
            }];
        });
        Self { stage, destination, first, second }
    }

    /// A pod that cannot pull an image from the destination.
    pub fn waits_for(&self, image: &str) -> Value {
        waiting(pod("team-a", "web", &format!("{}/{image}", self.destination.address), ""))
    }

    /// An Image that a user made copies `team/app:1`, and has ended a sync.
    fn shows_an_image_of_a_user(&mut self) {
        let source = Source::new("quay.io/team/app", "1");
        let destination = Destination::new(format!("{}/team/app", self.destination.address));
        let mut image = Image::new("own", ImageSpec::new(Mode::Recurrent, source, destination));
        image.metadata.uid = Some("own".into());
        image.metadata.generation = Some(1);
        self.stage.images.show(image);
        self.stage.images.say(true, reasons::SUCCEEDED, self.stage.now);
    }
}

#[tokio::test]
async fn what_the_destination_lacks_comes_from_the_first_origin_that_has_it() {
    let has = Catalog::default().with("team/app", &[("v1_2", "content")]);
    let mut place = Place::new(Catalog::default(), Catalog::default(), has).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:v1_2")]);
    assert_eq!(place.stage.settle().await, 1);
    let image = place.stage.images.all().remove(0);
    assert_eq!(image.spec.source.name, format!("{}/team/app", place.second.address));
    assert_eq!(image.spec.destination.name, format!("{}/team/app", place.destination.address));
    assert_eq!(image.spec.source.tags, ["v1_2"]);
    assert_eq!((image.spec.mode, image.spec.destination.overwrite), (Mode::OneShot, Overwrite::IfMissing));
    assert!(image.metadata.labels.unwrap().contains_key(ON_THE_FLY_LABEL));
    for registry in [&place.destination, &place.first, &place.second] {
        let lines = registry.http.lines();
        assert!(lines.iter().all(|line| line.starts_with("HEAD ") || *line == "GET /v2/"), "{lines:?}");
        assert_eq!(registry.http.count("HEAD /v2/team/app/manifests/v1_2"), 1, "{lines:?}");
    }
    // The pod runs: the Image stays as it is.
    place.stage.images.say(true, reasons::SUCCEEDED, place.stage.now);
    let running = pod("team-a", "web", &format!("{}/team/app:v1_2", place.destination.address), "");
    place.stage.workloads.lists_pods(&[running]);
    assert_eq!(place.stage.settle().await, 0);
    assert_eq!(place.stage.images.all().len(), 1);
}

#[tokio::test]
async fn a_pod_that_names_the_destination_by_another_name_of_its_registry_gets_the_same_image() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let mut place = Place::new(Catalog::default(), has, Catalog::default()).await;
    let names = json!({ "hosts": [&place.destination.address], "aliases": ["mirror.corp"],
        "repositories": ["/"], "actions": ["Pull"] });
    let names = RegistryAccess::new("names", serde_json::from_value(names).unwrap());
    place.stage.mirrors.agent.policies.show(&[names]);
    place.stage.change(|spec| spec.triggers.push(WorkloadTrigger::Running));
    let by_alias = waiting(pod("team-a", "other", "mirror.corp/team/app:1", ""));
    place.stage.workloads.lists_pods(std::slice::from_ref(&by_alias));
    assert_eq!(place.stage.settle().await, 1);
    assert_eq!(place.destination.http.count("HEAD /v2/team/app/manifests/1"), 1);
    place.stage.workloads.lists_pods(&[by_alias, place.waits_for("team/app:1")]);
    assert_eq!(place.stage.settle().await, 0);
    let (source, destination) = (&place.first.address, &place.destination.address);
    // It is not mirrored into itself either.
    assert_eq!(place.stage.copied(), [format!("{source}/team/app > {destination}/team/app 1")]);
}

#[tokio::test]
async fn what_the_destination_has_and_what_lies_elsewhere_is_left_alone() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let mut place = Place::new(has.clone(), has.clone(), has).await;
    let elsewhere = waiting(pod("team-a", "other", "elsewhere.example.com/team/app:1", ""));
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1"), elsewhere]);
    assert_eq!(place.stage.settle().await, 0);
    assert_eq!(place.stage.events(), [reasons::IMAGE_IS_THERE]);
    assert_eq!(place.first.http.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn what_no_origin_has_is_said_once_and_looked_for_after_1_2_4_minutes() {
    let mut place = Place::new(Catalog::default(), Catalog::default(), Catalog::default()).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    place.stage.settle().await;
    let began = place.stage.now;
    let mut asked_at = Vec::new();
    let mut count = place.destination.http.count("HEAD ");
    for _ in 0..90 {
        place.stage.pass(10).await;
        let now = place.destination.http.count("HEAD ");
        if now > count {
            asked_at.push((place.stage.now.as_second() - began.as_second()) / 60);
        }
        count = now;
    }
    assert_eq!(asked_at, [1, 3, 7, 15], "minutes after the first look");
    assert_eq!(place.stage.events(), [reasons::ORIGIN_NOT_FOUND]);
    assert_eq!(place.stage.status().counts.unwrap().origin_not_found, 1);
    assert!(place.stage.images.writes().is_empty());
}

#[tokio::test]
async fn images_that_are_due_again_do_not_keep_others_from_being_looked_for_the_first_time() {
    let mut place = Place::new(Catalog::default(), Catalog::default(), Catalog::default()).await;
    let image = |tag: usize| format!("{}/team/app:{tag}", place.destination.address);
    let pods = (10..35).map(|tag| waiting(pod("team-a", &format!("web-{tag}"), &image(tag), "")));
    place.stage.workloads.lists_pods(&pods.collect::<Vec<_>>());
    let result = place.stage.pass(11).await;
    assert!(result.next.is_some_and(|wait| wait <= WRITE_INTERVAL), "{:?}", result.next);
    // The next pass comes late: all are due.
    place.stage.pass(60).await;
    let asked = |tag: usize| {
        let line = format!("HEAD /v2/team/app/manifests/{tag}");
        place.destination.http.count(&line)
    };
    let asked: Vec<usize> = (30..35).map(asked).collect();
    assert_eq!(asked, [1; 5]);
}

#[tokio::test]
async fn an_origin_that_does_not_answer_is_not_passed_over_for_the_next() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let fails = has.clone().failing("1", 400);
    let mut place = Place::new(Catalog::default(), fails, has).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    assert_eq!(place.stage.settle().await, 0);
    assert_eq!(place.second.http.lines(), Vec::<String>::new());
    // It asks for an hour of patience.
    assert_eq!(place.stage.events(), [reasons::REGISTRY_RATE_LIMITED]);
}

#[tokio::test]
async fn more_than_an_hour_of_a_namespace_may_have_waits() {
    let tags = [("1", "a"), ("2", "b"), ("3", "c")];
    let has = Catalog::default().with("team/app", &tags);
    let mut place = Place::new(Catalog::default(), has, Catalog::default()).await;
    place.stage.change(|spec| spec.limits.per_namespace_per_hour = 2);
    let pods = tags.map(|(tag, _)| {
        let image = format!("{}/team/app:{tag}", place.destination.address);
        waiting(pod("team-a", tag, &image, ""))
    });
    place.stage.workloads.lists_pods(&pods);
    place.stage.settle().await;
    assert_eq!(place.stage.images.all()[0].spec.source.tags, ["1", "2"]);
    assert_eq!(place.stage.events(), [reasons::ORIGIN_LIMIT_REACHED]);
    let ready = place.stage.condition(READY);
    assert!(
        ready.message.contains("and that wait, as no more are copied for a namespace in an hour"),
        "{ready:?}"
    );
    assert!(ready.message.contains("(spec.limits.perNamespacePerHour): 1"), "{ready:?}");
}

#[tokio::test]
async fn an_image_that_copies_it_already_is_asked_to_look_at_once() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let mut place = Place::new(Catalog::default(), has, Catalog::default()).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    place.stage.settle().await;
    place.stage.images.say(true, reasons::SUCCEEDED, place.stage.now);
    place.stage.pass(70).await;
    let patch = place.stage.api.bodies("PATCH").pop().unwrap();
    let token = patch["metadata"]["annotations"][REQUESTED_AT_ANNOTATION].as_str().unwrap_or_default();
    assert!(token.starts_with("pull-failure-"), "{patch}");
    let writes = place.stage.images.writes().len();
    place.stage.pass(20).await;
    assert_eq!(place.stage.images.writes().len(), writes, "not again at once");
}

/// A place where an Image of this kind copies what a pod cannot pull.
async fn with_image(edit: impl FnOnce(&mut Image)) -> Place {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let mut place = Place::new(Catalog::default(), has, Catalog::default()).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    place.shows_an_image_of_a_user();
    let mut image = place.stage.images.all().remove(0);
    edit(&mut image);
    place.stage.images.show(image);
    place
}

#[tokio::test]
async fn an_image_that_is_suspended_or_has_an_open_request_is_not_asked() {
    let mut suspended = with_image(|image| image.spec.suspend = true).await;
    assert_eq!(suspended.stage.settle().await, 0);
    let request = |image: &mut Image| {
        let annotation = (REQUESTED_AT_ANNOTATION.to_owned(), "of a user".to_owned());
        image.metadata.annotations = Some([annotation].into());
    };
    let mut requested = with_image(request).await;
    assert_eq!(requested.stage.settle().await, 0, "the user waits for his own");
    let mut at_rest = with_image(|_| ()).await;
    assert_eq!(at_rest.stage.settle().await, 1);
}

#[tokio::test]
async fn what_no_pod_is_known_to_pull_wakes_no_pass_while_not_all_pods_are_known() {
    let mut place = Place::new(Catalog::default(), Catalog::default(), Catalog::default()).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    place.stage.settle().await;
    let lines = place.destination.http.lines().len();
    place.stage.workloads.lists_pods(&[]);
    place.stage.workloads.pods_have_failed();
    let result = place.stage.pass(300).await;
    assert_eq!(place.destination.http.lines().len(), lines);
    assert!(result.next.is_none_or(|wait| wait.as_secs() >= 10), "{:?}", result.next);
}

#[tokio::test]
async fn a_mirror_of_what_runs_has_an_image_look_whose_tag_has_vanished_and_makes_none() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let mut place = Place::new(Catalog::default(), has, Catalog::default()).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    place.stage.change(|spec| spec.triggers = vec![WorkloadTrigger::Running]);
    assert_eq!(place.stage.settle().await, 0, "nothing copies it");
    assert_eq!(place.destination.http.lines(), Vec::<String>::new());
    place.shows_an_image_of_a_user();
    assert_eq!(place.stage.settle().await, 1);
    let patch = place.stage.api.bodies("PATCH").pop().unwrap();
    assert!(patch["metadata"]["annotations"][REQUESTED_AT_ANNOTATION].is_string(), "{patch}");
    assert_eq!(place.first.http.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_origin_that_refuses_its_login_is_not_passed_over_for_a_stranger_s_image_of_the_same_name() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    let mut place = Place::new(Catalog::default(), has.clone().only_for("Basic another"), has).await;
    place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
    let login = json!({ "auths": { &place.first.address: { "username": "robot", "password": "rotated" } } });
    let secret = json!({ "metadata": { "name": "login" }, "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": STANDARD.encode(login.to_string()) } });
    place.stage.api.hold("/api/v1/namespaces/team-a/secrets/login", secret);
    place.stage.change(|spec| {
        spec.sources[0].credentials = Some(Credentials { secret_name: "login".to_owned() });
    });
    assert_eq!(place.stage.settle().await, 0);
    assert!(place.first.http.count("HEAD ") > 0, "{:?}", place.first.http.lines());
    assert_eq!(place.second.http.lines(), Vec::<String>::new());
    // To whoever does not log in registries say that also of what they do not have.
    place.stage.change(|spec| spec.sources[0].credentials = None);
    place.stage.pass(120).await;
    place.stage.settle().await;
    assert!(place.second.http.count("HEAD ") > 0);
}

#[tokio::test]
async fn what_is_excluded_is_not_copied_for_a_pod_that_cannot_pull_it() {
    let has = Catalog::default().with("team/app", &[("1", "content")]);
    for edit in [
        (|spec: &mut WorkloadMirrorSpec| {
            let kind = Some(WorkloadKind::Pod);
            spec.exclude.workloads = vec![ExcludedWorkload { kind, namespace: None, name: "web".into() }];
        }) as fn(&mut WorkloadMirrorSpec),
        |spec| spec.exclude.images = vec!["*/team/app".into()],
    ] {
        let mut place = Place::new(Catalog::default(), has.clone(), Catalog::default()).await;
        place.stage.workloads.lists_pods(&[place.waits_for("team/app:1")]);
        place.stage.change(edit);
        assert_eq!(place.stage.settle().await, 0);
        assert_eq!(place.first.http.lines(), Vec::<String>::new());
    }
}
