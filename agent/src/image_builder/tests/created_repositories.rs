//! Repositories of ECR that are created before something is built for them.

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::{CreationPolicy, Destination, Image, ImageSpec, Mode, RepositoryCreation, Source};
use imgop_core::build::BuildRequest;
use imgop_fakes::FakeAws;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::controller::Objects;
use crate::image_builder::memory::Memory;
use crate::image_builder::{ImageBuilders, Pass};
use crate::registry_access::Policies;
use crate::registry_access::testing::{ECR, fake_aws, lent_ecr};

/// A pass over an ImageBuilder whose namespace is lent an identity that may do this at AWS.
async fn built(aws: &Value, source: &str) -> (Stage, FakeAws) {
    let (fake, settings) = fake_aws().await;
    fake.deny("PutLifecyclePolicy", Some("AccessDeniedException"));
    let edit = |spec: &mut imgop_core::api::ImageBuilderSpec, _: &str| {
        let image = &mut spec.image;
        (image.name, image.tls, image.use_aws_irsa) = (format!("{ECR}/mirror/app"), None, true);
        image.additional_tags = vec![format!("{ECR}/mirror/other:1")];
        let policy = CreationPolicy::IfMissing;
        let lifecycle_policy = Some(r#"{"rules":[]}"#.to_owned());
        image.create = Some(Box::new(RepositoryCreation { policy, lifecycle_policy, ..Default::default() }));
        spec.source = Some(source.to_owned());
    };
    let mut stage = Stage::with_agent(&[], |agent| agent.at_aws(settings), edit).await;
    stage.builders.agent.policies.show(&[lent_ecr(aws)]);
    let namespace = json!({ "metadata": { "name": "team-a", "labels": { "team": "a" } } });
    stage.api.hold("/api/v1/namespaces/team-a", namespace);
    stage.pass().await;
    (stage, fake)
}

fn creating() -> Value {
    json!({ "identity": "Agent", "createRepositories": true })
}

#[tokio::test]
async fn a_missing_repository_is_created_before_the_build_begins_which_waits_until_it_is_as_it_should_be() {
    // Without its policy nothing is pushed there, and nothing is asked of the registry.
    let (stage, aws) = built(&creating(), "FROM scratch\nLABEL a=b\n").await;
    let made = aws.repository("mirror/app").unwrap();
    assert_eq!(made.tags.get("imgop.io/managed").map(String::as_str), Some("team-a"));
    let (reason, message) = stage.ready();
    assert_eq!(reason, "RepositoryNotReady", "{message}");
    assert!(message.contains("ecr:PutLifecyclePolicy") && stage.jobs().is_empty(), "{message}");
}

const OLDER_POLICY: &str = r#"{"rules":["older"]}"#;

/// An Image that creates the same repository with [`OLDER_POLICY`] and is older than the ImageBuilder.
fn older(stage: &mut Stage) -> Image {
    let create = RepositoryCreation {
        policy: CreationPolicy::IfMissing,
        lifecycle_policy: Some(OLDER_POLICY.to_owned()),
        ..RepositoryCreation::default()
    };
    let mut spec = ImageSpec::new(Mode::Recurrent, Source::new("quay.io/a/app", "1"), Destination::default());
    let to = &mut spec.destination;
    (to.name, to.use_aws_irsa, to.create) = (format!("{ECR}/mirror/app"), true, Some(Box::new(create)));
    let mut image = Image::new("older", spec);
    image.metadata.namespace = stage.builder.metadata.namespace.clone();
    let created = stage.now - Duration::from_hours(9);
    (image.metadata.uid, image.metadata.creation_timestamp) = (Some("older".into()), Some(Time(created)));
    stage.builder.metadata.creation_timestamp = Some(Time(stage.now));
    image
}

/// The same agent beside these Images.
fn beside(stage: &mut Stage, images: Objects<Image>) {
    stage.builders = ImageBuilders::new(stage.builders.agent.clone(), Objects::new([]), images);
    stage.memory = Memory::default();
}

#[tokio::test]
async fn a_policy_of_which_an_older_image_of_the_namespace_has_another_one_is_set_as_that_says() {
    let (mut stage, aws) = built(&creating(), "FROM scratch\nLABEL a=b\n").await;
    aws.deny("PutLifecyclePolicy", None);
    aws.deny("SetRepositoryPolicy", Some("AccessDeniedException"));
    let image = older(&mut stage);
    beside(&mut stage, Objects::listed([image]));
    stage.edit(|spec| {
        let create = spec.image.create.as_mut().unwrap();
        create.access_policy = Some(r#"{"Statement":[]}"#.to_owned());
    });
    stage.pass().await;
    let (reason, message) = stage.ready();
    assert!(reason == "RepositoryNotReady" && message.contains("ecr:SetRepositoryPolicy"), "{message}");
    let lifecycle = aws.repository("mirror/app").unwrap().lifecycle;
    assert_eq!(lifecycle.as_deref(), Some(OLDER_POLICY));
}

#[tokio::test]
async fn a_policy_of_another_object_that_the_builder_may_not_set_and_has_none_of_does_not_stop_it() {
    let (mut stage, aws) = built(&creating(), "FROM scratch\nLABEL a=b\n").await;
    let image = older(&mut stage);
    beside(&mut stage, Objects::listed([image]));
    stage.edit(|spec| spec.image.create.as_mut().unwrap().lifecycle_policy = None);
    let asked = aws.operations().len();
    stage.pass().await;
    let (reason, message) = stage.ready();
    assert_ne!(reason, "RepositoryNotReady", "{message}");
    assert!(aws.operations()[asked..].contains(&"PutLifecyclePolicy".to_owned()));
    assert_eq!(unset(&stage), [] as [&str; 0]);
}

/// What is said of policies that are not set.
fn unset(stage: &Stage) -> Vec<String> {
    let pass = Pass::new(&stage.builders, &stage.builder, &stage.memory, stage.now);
    pass.unset_policies(&BuildRequest::parse(&stage.builder.spec).unwrap())
}

/// The status says this of its policies.
fn says(stage: &mut Stage, warnings: &[&str]) {
    let warnings = warnings.iter().map(|warning| (*warning).to_owned()).collect();
    stage.builder.status.get_or_insert_default().warnings = warnings;
}

const SAID: &str = "spec.image.create.lifecyclePolicy is not set: …";

#[tokio::test]
async fn what_is_said_of_policies_stays_while_it_is_not_known_what_others_may_create() {
    let (mut stage, _aws) = built(&creating(), "FROM scratch\nLABEL a=b\n").await;
    let mut image = older(&mut stage);
    image.spec.destination.create.as_mut().unwrap().adopt = true;
    beside(&mut stage, Objects::listed([image]));
    says(&mut stage, &[SAID]);
    assert_eq!(unset(&stage), [] as [&str; 0], "the other one may not adopt it");

    let policies = Policies::new(stage.api.client());
    Arc::get_mut(&mut stage.builders.agent).unwrap().policies = policies;
    assert_eq!(unset(&stage), [SAID], "no RegistryAccess is known");
    stage.builders.agent.policies.show(&[lent_ecr(&creating())]);
    assert_eq!(unset(&stage), [SAID], "the labels of the namespace are not known");
    says(&mut stage, &[]);
    assert_eq!(unset(&stage), [] as [&str; 0]);
    stage.edit(|spec| spec.image.create.as_mut().unwrap().lifecycle_policy = None);
    says(&mut stage, &[SAID]);
    assert_eq!(unset(&stage), [] as [&str; 0], "there is no policy any more");
}

#[tokio::test]
async fn a_namespace_that_cannot_be_watched_keeps_what_is_said_of_policies_only_for_a_while() {
    let (mut stage, _aws) = built(&creating(), "FROM scratch\nLABEL a=b\n").await;
    let (never_listed, _writer) = reflector::store();
    beside(&mut stage, Objects::new([never_listed]));
    says(&mut stage, &[SAID]);
    assert_eq!(unset(&stage), [] as [&str; 0], "the agent runs for an hour");
    let now = stage.now;
    Arc::get_mut(&mut stage.builders.agent).unwrap().started = now;
    assert_eq!(unset(&stage), [SAID]);
}

#[tokio::test]
async fn nothing_is_created_for_what_cannot_be_built_or_where_no_administrator_lets_the_namespace() {
    let (stage, aws) = built(&creating(), "FROM scratch\nRUNN x\n").await;
    assert_eq!(stage.ready().0, "DockerfileInvalid");
    assert!(aws.repository("mirror/app").is_none());

    let (stage, aws) = built(&json!({ "identity": "Agent" }), "FROM scratch\nLABEL a=b\n").await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "DestinationNotAllowed", "{message}");
    assert!(message.starts_with("spec.image.create: "), "{message}");
    assert!(
        message.contains("aws.createRepositories") && aws.repository("mirror/app").is_none(),
        "{message}"
    );
    assert!(stage.jobs().is_empty());
}
