//! What is said where it is not known which registry has what pods cannot pull.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::conditions::{READY, reasons};
use imgop_core::api::{Credentials, TlsMode, WorkloadOrigin};
use imgop_fakes::Catalog;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::on_the_fly::Place;
use crate::cluster::ready_gate::ReadyGate;
use crate::workload_mirror::workloads::testing::{pod, waiting};

fn has() -> Catalog {
    Catalog::default().with("team/app", &[("1", "content")])
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
    assert!(place.stage.condition(READY).message.contains("; 1 images that pods cannot pull"));
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
