//! Which tags show which image, and when.

use imgop_core::api::{Architecture, BuildReason, BuildResult, ImageBuilder, RegistryAccess};
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use serde_json::json;

use super::stage::Stage;
use crate::cluster::Freshness;
use crate::controller::{Objects, Stored};

#[tokio::test]
async fn a_new_tag_is_set_without_a_pod_and_only_then_is_the_image_ready() {
    let mut stage = Box::pin(Stage::succeeded()).await;
    let image = stage.registry.manifest("app", "v1");
    stage.edit(|spec| spec.image.version = "v2".into());
    let status = stage.pass().await;
    let build = status.build.unwrap();
    assert_eq!(build.reason, BuildReason::SpecChanged);
    assert_eq!(build.changes.as_deref(), Some("image (generation 1 → 2)"));
    assert_ne!(stage.ready().0, "Succeeded");
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    assert_eq!((stage.registry.manifest("app", "v2"), stage.jobs().len()), (image.clone(), 1));
    assert_eq!(status.image.unwrap().tags, ["v2"]);
    stage.edit(|spec| spec.image.additional_tags = vec!["latest".into()]);
    let status = stage.passes(2).await;
    assert_eq!((stage.registry.manifest("app", "latest"), stage.jobs().len()), (image, 1));
    assert_eq!(status.image.unwrap().tags, ["v2", "latest"]);
    let written = stage.builder.status.clone();
    stage.passes(2).await;
    assert_eq!(stage.builder.status, written, "and nothing more");
}

#[tokio::test]
async fn another_repository_is_built_for() {
    let mut stage = Box::pin(Stage::succeeded()).await;
    stage.edit(|spec| spec.image.name = spec.image.name.replace("/app", "/other"));
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
    let digest = stage.pushed_to("other", "linux/amd64", "1");
    stage.end_well(1, &digest);
    let status = stage.pass().await;
    assert!(stage.registry.manifest("other", "v1").is_some(), "{}", stage.ready().1);
    assert!(status.image.unwrap().repository.unwrap().ends_with("/other"));
}

#[tokio::test]
async fn a_tag_that_changes_during_the_build_is_set_at_its_end() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    stage.edit(|spec| spec.image.version = "v2".into());
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    let status = stage.passes(3).await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len(), status.history.len()), ("Succeeded", 1, 1));
    assert!(stage.registry.manifest("app", "v2").is_some() && stage.registry.manifest("app", "v1").is_none());
}

#[tokio::test]
async fn an_immutable_tag_ends_the_build_with_what_it_shows_and_should_show() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.registry.hold_manifest("app", "v1", "{}");
    stage.registry.refuse_put_to("/v2/app/manifests/v1", Some(("TAG_INVALID", "tag is immutable")));
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    let status = stage.pass().await;
    let (reason, message) = stage.ready();
    assert_eq!((reason.as_str(), status.history[0].result), ("PublishFailed", BuildResult::Failed));
    let old = imgop_registry::reference::Digest::of(b"{}");
    assert!(message.contains(digest.as_str()) && message.contains(old.as_str()), "{message}");
    assert!(message.contains("app:v1") && message.contains("immutable"), "{message}");
    let asked = stage.registry.count("PUT");
    stage.passes(3).await;
    assert_eq!(stage.registry.count("PUT"), asked, "it is the same the next time");
    stage.registry.refuse_put_to("/v2/app/manifests/v1", None);
    stage.annotate(imgop_core::api::REQUESTED_AT_ANNOTATION, "again");
    stage.passes(2).await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Succeeded", 1));
}

#[tokio::test]
async fn a_registry_that_takes_nothing_for_now_ends_no_build() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.registry.refuse_put_to("/v2/app/manifests/v1", Some(("UNSUPPORTED", "in read-only mode")));
    let status = stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), status.history.len()), ("PublishFailed", 0));
    assert!(!stage.ready().1.contains("another tag"), "{}", stage.ready().1);
    stage.registry.refuse_put_to("/v2/app/manifests/v1", None);
    stage.now += std::time::Duration::from_mins(1);
    stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Succeeded", 1));
}

#[tokio::test]
async fn an_image_of_which_the_registry_has_not_all_any_more_is_built_again() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.registry.refuse_put_to("/v2/app/manifests/v1", Some(("MANIFEST_BLOB_UNKNOWN", "blob unknown")));
    stage.pass().await;
    assert!(stage.ready().1.contains("no longer at the registry"), "{}", stage.ready().1);
    stage.registry.refuse_put_to("/v2/app/manifests/v1", None);
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/amd64 2"]);
}

#[tokio::test]
async fn what_the_registry_never_takes_ends_the_build() {
    let both =
        |spec: &mut imgop_core::api::ImageBuilderSpec, _: &str| spec.architecture = Some(Architecture::Both);
    let mut stage = Stage::new(both).await;
    stage.passes(2).await;
    for (nth, platform) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
        let digest = stage.pushed(platform, "1");
        stage.registry.refuse_puts("MANIFEST_INVALID");
        stage.end_well(nth, &digest);
        stage.pass().await;
    }
    let status = stage.builder.status.clone().unwrap();
    assert_eq!((stage.ready().0.as_str(), status.history.len()), ("PublishFailed", 1));
    assert!(stage.ready().1.contains("takes no index"), "{}", stage.ready().1);
}

#[tokio::test]
async fn a_tag_that_is_refused_after_another_was_set_is_named_beside_that() {
    let mut stage =
        Stage::new(|spec, _| spec.image.additional_tags = vec!["v1.0".into(), "v1.0.0".into()]).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.registry.refuse_put_to("/v2/app/manifests/v1.0.0", Some(("TAG_INVALID", "tag is immutable")));
    let status = stage.pass().await;
    assert!(stage.ready().1.ends_with("; the new image is already under v1, v1.0"), "{}", stage.ready().1);
    let image = status.image.unwrap();
    assert_eq!(
        (image.digest.as_str(), image.tags),
        (digest.as_str(), vec!["v1".to_owned(), "v1.0".to_owned()])
    );
}

#[tokio::test]
async fn what_another_repository_never_takes_ends_the_build_and_leaves_it_what_it_had() {
    let mut stage =
        Stage::new(|spec, host| spec.image.additional_tags = vec![format!("{host}/copy:v1")]).await;
    stage.passes(2).await;
    stage.succeeds().await;
    let copy = stage.builder.status.clone().unwrap().image.unwrap().tags[1].clone();
    stage.edit(|spec| spec.source = Some("FROM scratch\nLABEL a=c\n".into()));
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "2");
    stage.end_well(1, &digest);
    let refused = format!("/v2/copy/manifests/{digest}");
    stage.registry.refuse_put_to(&refused, Some(("MANIFEST_BLOB_UNKNOWN", "blob unknown")));
    assert_eq!(stage.pass().await.history.len(), 1, "it is tried again");
    stage.registry.refuse_put_to(&refused, Some(("MANIFEST_INVALID", "not here")));
    stage.now += std::time::Duration::from_mins(1);
    let status = stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), status.history.len()), ("PublishFailed", 2));
    assert!(stage.ready().1.contains("leave that out of image.additionalTags"), "{}", stage.ready().1);
    let image = status.image.unwrap();
    assert_eq!((image.tags, image.earlier_tags), (vec!["v1".to_owned()], vec![copy]));
}

#[tokio::test]
async fn a_credential_that_is_refused_at_the_end_is_left_alone_until_it_is_another() {
    let mut stage = Stage::new(|spec, _| {
        spec.image.credentials = Some(imgop_core::api::Credentials { secret_name: "push".into() });
    })
    .await;
    let host = format!("127.0.0.1:{}", stage.registry.address.port());
    stage.hold_docker_config("push", &[&host], "u");
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.registry.refuse_one("/v2/app/manifests/v1", 403);
    stage.pass().await;
    assert_eq!(stage.ready().0, "RegistryUnauthorized", "{}", stage.ready().1);
    let asked = stage.registry.requests().len();
    stage.passes(10).await;
    assert_eq!(stage.registry.requests().len(), asked, "the same Secrets are refused again");
    stage.registry.refuse_nothing();
    stage.now += std::time::Duration::from_mins(2);
    stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Succeeded", 1));
}

#[tokio::test]
async fn what_is_built_stays_known_when_it_cannot_be_published_and_its_pods_are_gone() {
    let mut stage = Stage::new(|spec, _| spec.architecture = Some(Architecture::Amd64)).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.registry.refuse(500);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "PublishFailed");
    assert_eq!(status.platforms[0].digest.as_deref(), Some(digest.as_str()));
    stage.vanishes(0);
    stage.restart();
    stage.registry.refuse_nothing();
    stage.passes(2).await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Succeeded", 1), "{}", stage.ready().1);
}

/// Objects of this one.
fn only(builder: ImageBuilder) -> Objects<ImageBuilder> {
    let (store, mut writer) = kube::runtime::reflector::store();
    writer.apply_watcher_event(&Event::Apply(Stored::of(&DeserializeGuard(Ok(builder)))));
    Objects::new([store])
}

/// What a build says that succeeded where one of namespace `team-b` has the same tag. An administrator may keep the
/// registry for `team-a`.
async fn said_beside(is_kept: bool, edit: impl FnOnce(&mut ImageBuilder)) -> String {
    let mut stage = Stage::running().await;
    let mut other = stage.builder.clone();
    (other.metadata.namespace, other.metadata.uid) = (Some("team-b".into()), Some("other".into()));
    edit(&mut other);
    stage.builders.builders = only(other);
    for (namespace, team) in [("team-a", "a"), ("team-b", "b")] {
        let metadata = json!({ "name": namespace, "labels": { "team": team } });
        stage.api.hold(&format!("/api/v1/namespaces/{namespace}"), json!({ "metadata": metadata }));
        stage.builders.agent.policies.labels(namespace, Freshness::Cached).await.unwrap();
    }
    let host = stage.builder.spec.image.name.trim_end_matches("/app").to_owned();
    let spec = json!({ "hosts": [host], "repositories": ["/"], "actions": ["Push"],
        "namespaceSelector": { "matchLabels": { "team": "a" } } });
    let kept = RegistryAccess::new("kept", serde_json::from_value(spec).unwrap());
    stage.builders.agent.policies.show(if is_kept { std::slice::from_ref(&kept) } else { &[] });
    Box::pin(stage.succeeds()).await;
    let at_once = stage.ready().1;
    stage.passes(2).await;
    assert_eq!(stage.ready().1, at_once, "it is said for as long as it is so");
    at_once
}

#[tokio::test]
async fn a_build_says_that_objects_of_other_namespaces_put_its_tags_and_names_none_of_them() {
    let said = said_beside(false, |_| ()).await;
    assert!(said.contains("; objects of other namespaces give v1 other content"), "{said}");
    assert!(!said.contains("team-b"), "{said}");
    let kept = said_beside(true, |_| ()).await;
    let at_rest = said_beside(false, |other| other.spec.suspend = true).await;
    let elsewhere = said_beside(false, |other| other.spec.image.version = "v2".into()).await;
    for undisputed in [kept, at_rest, elsewhere] {
        assert!(!undisputed.contains("other namespaces"), "{undisputed}");
    }
}
