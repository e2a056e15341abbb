//! What cannot be built is found out without a pod.

use imgop_core::api::conditions::{RECONCILING, STALLED, is_true};

use super::stage::Stage;

async fn refused(edit: impl FnOnce(&mut imgop_core::api::ImageBuilderSpec, &str)) -> Stage {
    let mut stage = Stage::new(edit).await;
    stage.pass().await;
    assert!(stage.jobs().is_empty(), "{:?}", stage.parts());
    stage
}

fn is_stalled(stage: &Stage) -> bool {
    is_true(&stage.builder.status.as_ref().unwrap().conditions, STALLED)
}

#[tokio::test]
async fn a_mistake_in_the_dockerfile_costs_no_pod_and_no_request() {
    let stage = refused(|spec, _| spec.source = Some("FROM scratch\nRUNN x\n".into())).await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "DockerfileInvalid");
    assert!(message.starts_with("the Dockerfile, line 2, column 1: "), "{message}");
    assert!(is_stalled(&stage) && stage.registry.requests().is_empty());
}

#[tokio::test]
async fn a_template_that_gives_pods_an_identity_costs_no_pod_and_no_request() {
    let stage = refused(|spec, _| {
        spec.job_template.labels = [("azure.workload.identity/use".into(), "true".into())].into();
    })
    .await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("spec.jobTemplate.labels: azure.workload.identity/use"), "{message}");
    assert!(is_stalled(&stage) && stage.registry.requests().is_empty());
}

#[tokio::test]
async fn a_tag_or_a_cache_that_another_namespace_alone_may_write_costs_no_pod_and_no_request() {
    for field in ["image", "additionalTags", "cache"] {
        let mut stage = Stage::new(|spec, host| match field {
            "image" => spec.image.name = format!("{host}/theirs/app"),
            "additionalTags" => spec.image.additional_tags = vec![format!("{host}/theirs/app:1")],
            _ => {
                spec.cache.mode = imgop_core::api::CacheMode::Registry;
                spec.cache.repository = Some(format!("{host}/theirs/cache"));
            }
        })
        .await;
        let host = format!("127.0.0.1:{}", stage.registry.address.port());
        let spec = serde_json::json!({ "hosts": [host], "repositories": ["theirs/"], "actions": ["Push"],
            "namespaceSelector": { "matchLabels": { "team": "b" } } });
        let granted = imgop_core::api::RegistryAccess::new("granted", serde_json::from_value(spec).unwrap());
        stage.builders.agent.policies.show(&[granted]);
        let namespace = serde_json::json!({ "metadata": { "name": "team-a", "labels": { "team": "a" } } });
        stage.api.hold("/api/v1/namespaces/team-a", namespace);
        stage.pass().await;
        let (reason, message) = stage.ready();
        assert_eq!(reason, "DestinationNotAllowed", "{field}: {message}");
        assert!(message.contains("/theirs/") && !message.contains("granted"), "{message}");
        assert!(stage.jobs().is_empty() && stage.registry.requests().is_empty(), "{field}");
    }
}

#[tokio::test]
async fn a_base_image_that_is_not_there_is_named() {
    let mut stage = refused(|spec, host| spec.source = Some(format!("FROM {host}/base:1\n"))).await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "BaseImageNotFound");
    assert!(message.starts_with("the Dockerfile, line 1, names "), "{message}");
    assert!(
        message.contains("/base:1, which is not at its registry; name one that is: kubectl imgop tags "),
        "{message}"
    );
    stage.registry.hold_manifest("base", "1", "{\"config\":{},\"layers\":[]}");
    let asked = stage.registry.requests().len();
    stage.pass().await;
    assert_eq!(stage.registry.requests().len(), asked, "it is asked for again slowly");
}

#[tokio::test]
async fn a_base_image_without_the_platform_is_named_with_those_that_it_has() {
    let stage = Stage::new(|spec, host| spec.source = Some(format!("FROM {host}/base:1\n"))).await;
    let index = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"platform":{"os":"linux","architecture":"s390x"}}]}"#;
    stage.registry.hold_manifest("base", "1", index);
    stage.registry.hold_content("base", index);
    let mut stage = stage;
    stage.pass().await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "PlatformNotFound");
    assert!(message.contains("is not built for linux/amd64, but for linux/s390x"), "{message}");
}

#[tokio::test]
async fn of_both_platforms_neither_is_built_where_the_base_has_one_alone() {
    let mut stage = Stage::new(|spec, host| {
        spec.source = Some(format!("FROM {host}/base:1\n"));
        spec.architecture = Some(imgop_core::api::Architecture::Both);
    })
    .await;
    let index = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"platform":{"os":"linux","architecture":"arm64"}}]}"#;
    stage.registry.hold_manifest("base", "1", index);
    stage.registry.hold_content("base", index);
    stage.passes(2).await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "PlatformNotFound");
    assert!(message.contains("is not built for linux/amd64, but for linux/arm64"), "{message}");
    assert!(stage.jobs().is_empty());
}

#[tokio::test]
async fn an_image_that_may_not_be_pulled_costs_no_pod() {
    let mut stage = Stage::new(|spec, host| {
        spec.source = Some(format!("FROM scratch\nCOPY --from={host}/private:1 /tool /tool\n"));
    })
    .await;
    stage.registry.refuse_one("/v2/private/manifests/1", 403);
    stage.passes(2).await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "RegistryUnauthorized");
    assert!(message.contains("spec.registries[0].credentials"), "{message}");
    assert!(stage.jobs().is_empty());
}

#[tokio::test]
async fn a_push_that_is_denied_costs_no_pod_and_few_requests_and_is_tried_again_soon() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.registry.refuse_one("/v2/app/blobs/uploads/", 403);
    stage.pass().await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "RegistryUnauthorized");
    assert!(message.contains("cannot push to") && message.contains("spec.image.credentials"), "{message}");
    assert!(is_stalled(&stage) && stage.jobs().is_empty());
    let asked = stage.registry.requests().len();
    assert!(asked <= 3, "{:?}", stage.registry.requests());
    stage.pass().await;
    assert_eq!(stage.registry.requests().len(), asked, "the same Secrets are refused again");
}

#[tokio::test]
async fn a_secret_or_a_key_that_is_missing_is_named_and_waited_for() {
    let secret = serde_json::json!([{ "id": "token", "secretName": "build" }]);
    let mut stage = refused(|spec, _| spec.secrets = serde_json::from_value(secret).unwrap()).await;
    insta::assert_snapshot!(stage.ready().1, @r#"spec.secrets[0] ("token") names Secret "build", which does not exist in this namespace; create it, or correct the name"#);
    assert_eq!(stage.ready().0, "SecretUnusable");
    let path = "/api/v1/namespaces/team-a/secrets/build";
    let secret = |key: &str| serde_json::json!({ "metadata": { "name": "build" }, "data": { key: "eA==" } });
    stage.api.hold(path, secret("other"));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.now += std::time::Duration::from_secs(5);
    stage.pass().await;
    assert!(stage.ready().1.contains(r#"which has no key "token""#), "{}", stage.ready().1);
    stage.api.hold(path, secret("token"));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.now += std::time::Duration::from_secs(5);
    let status = stage.pass().await;
    assert!(status.build.is_some(), "{:?}", stage.ready());
}

#[tokio::test]
async fn a_config_map_that_is_missing_wakes_the_build_when_it_appears() {
    let context = serde_json::json!({ "configMap": { "name": "files" } });
    let mut stage = refused(|spec, _| {
        spec.source = None;
        spec.context = serde_json::from_value(context).unwrap();
    })
    .await;
    assert_eq!(stage.ready().0, "ContextInvalid");
    let files = serde_json::json!({ "metadata": { "name": "files" }, "data": { "Dockerfile": "FROM scratch\nLABEL a=b" } });
    stage.api.hold("/api/v1/namespaces/team-a/configmaps/files", files);
    stage.now += std::time::Duration::from_secs(5);
    let status = stage.pass().await;
    assert!(status.build.is_some(), "{:?}", stage.ready());
    assert!(status.source.unwrap().context_digest.is_some());
}

#[tokio::test]
async fn a_secret_of_the_cache_that_is_missing_costs_no_pod() {
    let cache = serde_json::json!({ "mode": "Registry", "repository": "quay.io/a/cache", "credentials": { "secretName": "typo" } });
    let stage = refused(|spec, _| spec.cache = serde_json::from_value(cache).unwrap()).await;
    insta::assert_snapshot!(stage.ready().1, @r#"spec.cache.credentials.secretName names Secret "typo", which does not exist in this namespace; create it, or correct the name"#);
}

#[tokio::test]
async fn a_pull_that_is_refused_is_left_alone_whatever_other_secrets_there_are() {
    let secret = serde_json::json!([{ "id": "token", "secretName": "build" }]);
    let mut stage = Stage::new(|spec, host| {
        spec.source = Some(format!("FROM {host}/base:1\n"));
        spec.secrets = serde_json::from_value(secret).unwrap();
    })
    .await;
    let secret = serde_json::json!({ "metadata": { "name": "build", "resourceVersion": "1" }, "data": { "token": "eA==" } });
    stage.api.hold("/api/v1/namespaces/team-a/secrets/build", secret);
    stage.registry.refuse_one("/v2/base/manifests/1", 403);
    stage.pass().await;
    assert_eq!(stage.ready().0, "RegistryUnauthorized", "{}", stage.ready().1);
    let asked = stage.registry.requests().len();
    stage.now += std::time::Duration::from_secs(5);
    stage.pass().await;
    assert_eq!(stage.registry.requests().len(), asked, "the same Secrets are refused again");
}

#[tokio::test]
async fn a_pushed_folder_that_the_registry_removed_costs_no_pod_and_the_condition_says_what_to_do() {
    let digest = imgop_registry::reference::Digest::of(b"{}");
    let mut stage = refused(|spec, host| {
        let name = format!("{host}/app@{digest}");
        let image = serde_json::json!({ "image": { "name": name, "tls": { "mode": "PlainHTTP" } } });
        spec.context = serde_json::from_value(image).unwrap();
    })
    .await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "BaseImageNotFound");
    assert!(message.contains("Run the same kubectl imgop build again"), "{message}");
    assert_eq!(stage.registry.hold_content("app", "{}"), digest, "it is sent again");
    stage.annotate(imgop_core::api::REQUESTED_AT_ANNOTATION, "now");
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1"], "{}", stage.ready().1);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_tried_again() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.registry.refuse(500);
    stage.pass().await;
    assert_eq!(stage.ready().0, "RegistryUnreachable");
    assert!(is_true(&stage.builder.status.as_ref().unwrap().conditions, RECONCILING));
}

#[tokio::test]
async fn every_repository_that_the_image_goes_to_is_asked_before_there_is_a_pod() {
    let mut stage =
        Stage::new(|spec, host| spec.image.additional_tags = vec![format!("{host}/second:1")]).await;
    stage.registry.refuse_one("/v2/second/blobs/uploads/", 403);
    stage.pass().await;
    let (reason, message) = stage.ready();
    assert!(stage.jobs().is_empty() && reason == "RegistryUnauthorized", "{reason}: {message}");
    assert!(message.contains("/second: "), "{message}");
}
