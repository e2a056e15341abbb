//! Images whose specs do not say where tags go.

use imgop_core::api::{DefaultedDestination, Destination, Mode};

use super::*;
use crate::controller::Objects;

const OF_ALL: &str = "--destination-default-registry";

/// An Image of which the spec leaves the destination open, and which was synced to this repository.
async fn synced_to(repository: Option<String>) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.spec.mode = Mode::OneShot;
    stage.image.spec.destination =
        Destination { name: String::new(), ..stage.image.spec.destination.clone() };
    let defaults_from = "RegistryAccess/before".to_owned();
    let status = stage.image.status.as_mut().unwrap();
    status.destination = repository.map(|repository| DefaultedDestination { repository, defaults_from });
    stage
}

/// Where images of all namespaces go by default, at the stage's registry.
fn place(stage: &Stage) -> String {
    format!("localhost:{}", stage.registry.address.port())
}

fn has_default(stage: &mut Stage, prefix: &str) {
    let setting = format!("{OF_ALL}={prefix}");
    stage.images = Images::new(fixtures::agent_with(stage.api.client(), &[&setting]), Objects::new([]));
}

#[tokio::test]
async fn without_a_default_the_field_is_named_and_what_an_administrator_can_set_and_no_registry_is_asked() {
    let stage = synced_to(None).await;
    let result = stage.pass(&mut due_now(), now()).await.unwrap();
    let status = &result.report.as_ref().unwrap().status;
    assert_eq!(reason(&result), reasons::INVALID_SPEC);
    let message = &find(&status.conditions, READY).unwrap().message;
    assert!(
        message.starts_with("spec.destination.name is missing") && message.contains("RegistryAccess"),
        "{message}"
    );
    assert_eq!(stage.registry.requests().len(), 0);
    assert_eq!(result.next, Some(SECRET_INTERVAL), "an administrator may set one at any time");
    assert_eq!(status.destination, None);
}

#[tokio::test]
async fn a_new_default_is_as_a_new_spec_and_the_status_says_whose_it_is() {
    let mut stage = synced_to(Some("r.example.com/source".to_owned())).await;
    let prefix = place(&stage);
    has_default(&mut stage, &prefix);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    let destination = result.report.unwrap().status.destination.unwrap();
    assert_eq!(destination.repository, format!("{prefix}/source"));
    assert_eq!(destination.defaults_from, "DESTINATION_DEFAULT_REGISTRY");
}

#[tokio::test]
async fn an_image_that_is_done_stays_so_while_its_default_is_the_same() {
    let prefix = place(&synced_to(None).await);
    let mut stage = synced_to(Some(format!("{prefix}/source"))).await;
    has_default(&mut stage, &prefix);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    assert!(result.report.is_none());
    assert_eq!(stage.registry.requests().len(), 0);
}
