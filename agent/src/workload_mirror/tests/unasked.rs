//! What is said where it is not known which registry has what pods cannot pull.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::conditions::{READY, reasons};
use imgop_core::api::{Credentials, REQUESTED_AT_ANNOTATION, TlsMode, WorkloadOrigin};
use imgop_fakes::Catalog;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::on_the_fly::Place;
use super::stage::Stage;
use crate::cluster::ready_gate::ReadyGate;
use crate::workload_mirror::workloads::testing::{pod, waiting};

fn has() -> Catalog {
    Catalog::default().with("team/app", &[("1", "content")])
}

impl Stage {
    /// This many images are looked for again and again.
    fn says_number(&self, number: usize) {
        let (ready, words) =
            (self.condition(READY), format!("not known where they are: {number}; the first: "));
        assert!(ready.message.contains(&words), "{ready:?}");
    }
}

impl Place {
    /// The first origin has none.
    fn first_is_asked_over_tls(&mut self) {
        self.stage.change(|spec| spec.sources[0].tls.mode = TlsMode::SkipVerify);
    }

    /// A pod cannot pull an image of this registry, and all that follows has been done.
    async fn comes_to_rest(&mut self) {
        self.stage.workloads.lists_pods(&[self.waits_for("team/app:1")]);
        assert_eq!(self.stage.settle().await, 0, "nothing is copied");
    }

    /// A pod cannot pull an image, and the RegistryAccesses cannot be watched for longer than what was seen of them holds.
    async fn comes_to_rest_without_policies(&mut self) {
        self.stage.workloads.lists_pods(&[self.waits_for("team/app:1")]);
        self.stage.api.fail_with("GET", "/registryaccesses", 403, "forbidden");
        let policies = self.stage.mirrors.agent.policies.clone();
        tokio::spawn(policies.run(ReadyGate::default(), CancellationToken::new()));
        tokio::time::sleep(Duration::from_mins(3)).await;
        self.stage.pass(11).await;
    }

    /// Both the one event and the condition have these words.
    fn says(&self, words: &str) {
        let (notes, ready) = (self.stage.notes(), self.stage.condition(READY));
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(words), "{notes:?}");
        assert!(ready.message.contains(words), "{ready:?}");
    }
}

#[tokio::test]
async fn an_origin_that_cannot_be_asked_is_said_once_with_its_answer_and_the_field_that_helps() {
    let mut place = Place::new(Catalog::default(), has(), has()).await;
    place.first_is_asked_over_tls();
    place.comes_to_rest().await;
    let before = place.stage.status().clone();
    for _ in 0..5 {
        place.stage.pass(60).await;
    }
    assert_eq!(place.stage.events(), [reasons::REGISTRY_UNREACHABLE]);
    assert_eq!(*place.stage.status(), before, "an answer that is the same is not written again");
    let first = &place.first.address;
    place.says(&format!("cannot look up {first}/team/app:1: the server does not speak TLS"));
    place.says("set spec.sources[].tls.mode to PlainHTTP");
    place.says("it is not known where");
    place.stage.says_number(1);
    assert_eq!(place.second.http.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_origin_that_wants_a_login_is_not_said_to_lack_the_image() {
    let mut place = Place::new(Catalog::default(), has().only_for("Basic robot"), Catalog::default()).await;
    place.comes_to_rest().await;
    assert_eq!(place.stage.events(), [reasons::REGISTRY_UNAUTHORIZED]);
    place.says(&format!("cannot look up {}/team/app:1: ", place.first.address));
    place.says("name a Secret with credentials in spec.sources[].credentials");
    assert!(place.second.http.count("HEAD ") > 0, "the next one may have it for everyone");
    assert_eq!(place.stage.status().counts.unwrap().origin_not_found, 0);
}

#[tokio::test]
async fn a_secret_of_an_origin_that_is_not_there_is_named() {
    let mut place = Place::new(Catalog::default(), has(), has()).await;
    place.stage.change(|spec| {
        spec.sources[0].credentials = Some(Credentials { secret_name: "absent".to_owned() });
    });
    place.comes_to_rest().await;
    assert_eq!(place.stage.events(), [reasons::SECRET_UNUSABLE]);
    place.says("spec.sources[].credentials.secretName names Secret \"absent\", which does not exist");
    assert_eq!(place.first.http.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_origin_that_can_be_asked_again_is_copied_from_and_said_no_more() {
    let mut place = Place::new(Catalog::default(), has(), Catalog::default()).await;
    let sources = place.stage.mirror.spec.sources.clone();
    place.first_is_asked_over_tls();
    place.comes_to_rest().await;
    place.stage.change(|spec| spec.sources = sources);
    place.stage.pass(60).await;
    place.stage.images.watch(place.stage.now);
    assert_eq!(place.stage.images.all().len(), 1, "it is found by itself");
    place.stage.pass(11).await;
    let ready = place.stage.condition(READY);
    assert!(!ready.message.contains("it is not known where"), "{ready:?}");
    assert_eq!(place.stage.events(), [reasons::REGISTRY_UNREACHABLE]);
}

#[tokio::test]
async fn of_a_registry_beside_the_destination_it_is_said_that_an_administrator_says_how_it_is_reached() {
    let mut place = Place::new(Catalog::default(), has(), has().only_for("Basic robot")).await;
    let (old, first) = (place.second.address.clone(), place.first.address.clone());
    place.stage.change(|spec| {
        spec.origins = vec![WorkloadOrigin { from: format!("{old}/team"), to: vec![first] }];
    });
    let image = format!("{old}/team/app:1");
    place.stage.workloads.lists_pods(&[waiting(pod("team-a", "web", &image, ""))]);
    assert_eq!(place.stage.settle().await, 0);
    assert_eq!(place.stage.events(), [reasons::REGISTRY_UNAUTHORIZED]);
    let own = &place.destination.address;
    place.says(&format!(
        "; spec.destination says how {own} is reached, and not {old}: an administrator can lend"
    ));
    let ready = place.stage.condition(READY);
    assert!(!ready.message.contains("spec.destination.credentials"), "{ready:?}");
}

#[tokio::test]
async fn of_a_long_answer_the_field_that_helps_is_not_cut_off() {
    let mut place = Place::new(Catalog::default(), Catalog::default().only_for("Basic another"), has()).await;
    let secret_name = "s".repeat(240);
    let login = json!({ "auths": { &place.first.address: { "username": "robot", "password": "rotated" } } });
    let secret = json!({ "metadata": { "name": secret_name }, "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": STANDARD.encode(login.to_string()) } });
    place.stage.api.hold(&format!("/api/v1/namespaces/team-a/secrets/{secret_name}"), secret);
    place.stage.change(|spec| spec.sources[0].credentials = Some(Credentials { secret_name }));
    let image = format!("team/{}:{}", "a".repeat(100), "b".repeat(60));
    place.stage.workloads.lists_pods(&[place.waits_for(&image)]);
    assert_eq!(place.stage.settle().await, 0);
    place.says("(spec.sources[].credentials)");
}

#[tokio::test(start_paused = true)]
async fn while_it_is_not_known_what_is_granted_the_condition_says_so_and_no_image_is_put_off_for_long() {
    let mut place = Place::new(Catalog::default(), has(), has()).await;
    place.comes_to_rest_without_policies().await;
    let ready = place.stage.condition(READY);
    assert_eq!((&*ready.status, &*ready.reason), ("False", reasons::ACCESS_UNKNOWN), "{ready:?}");
    assert!(ready.message.contains("cannot be watched") && ready.message.contains("no Image is changed"));
    assert_eq!(place.stage.events(), Vec::<String>::new(), "it is no registry's fault");
    for _ in 0..20 {
        let result = place.stage.pass(30).await;
        assert!(result.next.is_some_and(|wait| wait.as_secs() <= 30), "{:?}", result.next);
    }
    let asked = [&place.destination, &place.first, &place.second].map(|registry| registry.http.lines());
    assert_eq!(asked.concat(), Vec::<String>::new());
}

/// A place whose first origin has an image for a login, which Secret `login` has where `password` is right.
async fn behind_a_login(password: &str) -> Place {
    let has = has().only_for(&format!("Basic {}", STANDARD.encode("robot:right")));
    let place = Place::new(Catalog::default(), has, Catalog::default()).await;
    place.has_login(password);
    place
}

impl Place {
    /// Secret `login` has this password for the first origin.
    fn has_login(&self, password: &str) {
        let login =
            json!({ "auths": { &self.first.address: { "username": "robot", "password": password } } });
        let secret = json!({ "metadata": { "name": "login" }, "type": "kubernetes.io/dockerconfigjson",
            "data": { ".dockerconfigjson": STANDARD.encode(login.to_string()) } });
        self.stage.api.hold("/api/v1/namespaces/team-a/secrets/login", secret);
    }

    fn names_the_login(&mut self) {
        let credentials = Some(Credentials { secret_name: "login".to_owned() });
        self.stage.change(|spec| spec.sources[0].credentials = credentials);
    }

    /// It was looked for until the pauses are long.
    async fn has_long_pauses(&mut self) {
        for minutes in [1, 2, 4, 8, 16] {
            self.stage.pass(minutes * 60).await;
        }
        let asked = self.first.http.lines().len();
        self.stage.pass(600).await;
        assert_eq!(self.first.http.lines().len(), asked, "the next look is not for half an hour");
    }

    /// One pass later the image is copied.
    async fn is_copied_at_once(&mut self) {
        self.stage.pass(11).await;
        self.stage.images.watch(self.stage.now);
        assert_eq!(self.stage.images.all().len(), 1, "{:?}", self.stage.condition(READY));
    }
}

#[tokio::test]
async fn with_a_spec_that_was_corrected_an_image_is_looked_for_at_once_however_long_the_pauses_are() {
    let mut place = behind_a_login("right").await;
    place.comes_to_rest().await;
    place.has_long_pauses().await;
    place.names_the_login();
    place.is_copied_at_once().await;
}

#[tokio::test]
async fn with_a_sync_that_is_asked_for_a_secret_that_was_corrected_is_read_at_once() {
    let mut place = behind_a_login("wrong").await;
    place.names_the_login();
    place.comes_to_rest().await;
    place.has_long_pauses().await;
    place.has_login("right");
    // What was read a moment ago is as good as what is read now.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    let request = (REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned());
    place.stage.mirror.metadata.annotations = Some([request].into());
    place.is_copied_at_once().await;
}

#[tokio::test]
async fn for_one_spec_an_image_is_looked_for_at_once_a_single_time() {
    let mut place = Place::new(Catalog::default(), Catalog::default(), Catalog::default()).await;
    place.comes_to_rest().await;
    place.has_long_pauses().await;
    let asked = place.first.http.count("HEAD ");
    place.stage.change(|_| ());
    // Its status is not written.
    let status = place.stage.mirror.status.clone();
    for _ in 0..3 {
        place.stage.pass(11).await;
        place.stage.mirror.status.clone_from(&status);
    }
    assert_eq!(place.first.http.count("HEAD "), asked + 1);
}

#[tokio::test]
async fn a_registry_that_is_out_is_one_event_for_all_images_and_their_number_is_written_once_a_minute() {
    let mut place = Place::new(Catalog::default(), has(), has()).await;
    place.first_is_asked_over_tls();
    let image = |tag: usize| format!("{}/team/app:{tag}", place.destination.address);
    let pods = (1..=30).map(|tag| waiting(pod("team-a", &format!("web-{tag}"), &image(tag), "")));
    place.stage.workloads.lists_pods(&pods.collect::<Vec<_>>());
    place.stage.pass(11).await;
    place.stage.says_number(20);
    let before = place.stage.status().clone();
    place.stage.pass(11).await;
    assert_eq!(place.destination.http.count("HEAD "), 30);
    assert_eq!(*place.stage.status(), before, "only the number is another one");
    place.stage.pass(60).await;
    place.stage.says_number(30);
    assert_eq!(place.stage.events(), [reasons::REGISTRY_UNREACHABLE]);
    // Another registry, or another reason, is news.
    place.names_the_login();
    place.stage.pass(11).await;
    assert_eq!(place.stage.events(), [reasons::REGISTRY_UNREACHABLE, reasons::SECRET_UNUSABLE]);
}
