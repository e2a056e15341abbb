//! The parts of a build: all of one content, each tried as it may be.

use std::time::Duration;

use imgop_core::api::{Architecture, BuildReason, BuildResult};
use imgop_core::build::BuildFailure;
use imgop_core::build::step::{BaseReport, SourceReport, StepReport};
use imgop_registry::reference::Digest;

use super::stage::Stage;
use crate::controller::Reconcile as _;

/// What `prepare` reports of this commit and of a base with this content.
fn prepared(commit: &str, base: &str) -> StepReport {
    StepReport {
        source: Some(SourceReport { commit: Some(commit.into()), ..SourceReport::default() }),
        bases: vec![BaseReport {
            image: "quay.io/a/b:1".parse().unwrap(),
            digest: Digest::of(base.as_bytes()),
        }],
        ..StepReport::default()
    }
}

#[tokio::test]
async fn a_platform_that_was_built_from_something_else_is_built_again_before_a_tag_is_set() {
    for (commit, base) in [("c2", "1"), ("c1", "2")] {
        // Only the pod asks a git server over ssh.
        let git = serde_json::json!({ "git": { "url": "ssh://git@git.example.com/team/app" } });
        let mut stage = Stage::new(|spec, _| {
            spec.architecture = Some(Architecture::Both);
            (spec.source, spec.context) = (None, Some(serde_json::from_value(git).unwrap()));
        })
        .await;
        stage.passes(2).await;
        let amd64 = stage.pushed("linux/amd64", "1");
        stage.end_well_after(0, &amd64, &prepared("c1", "1"));
        stage.pass().await;
        let arm64 = stage.pushed("linux/arm64", "1");
        stage.end_well_after(1, &arm64, &prepared(commit, base));
        let status = stage.pass().await;
        assert_eq!(stage.ready().0, "VerificationFailed", "{}", stage.ready().1);
        assert!(stage.registry.manifest("app", "v1").is_none());
        assert_eq!(status.source.unwrap().commit.as_deref(), Some("c1"));
        stage.now += Duration::from_mins(1);
        stage.pass().await;
        assert_eq!(stage.parts()[2..], ["1 linux/arm64 2"]);
        let again = serde_json::to_string(&stage.jobs()[2]).unwrap();
        assert!(again.contains(Digest::of(b"1").as_str()), "it gets what the build is of");
        let arm64 = stage.pushed("linux/arm64", "2");
        stage.end_well_after(2, &arm64, &prepared("c1", "1"));
        stage.pass().await;
        assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    }
}

#[tokio::test]
async fn warnings_of_the_containers_are_in_the_status_with_their_lines() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    let lines = ["Dockerfile line 2: HEALTHCHECK", "Dockerfile line 3: ONBUILD"].map(str::to_owned);
    let prepared = StepReport { warnings: lines.to_vec(), ..StepReport::default() };
    stage.end_well_after(0, &digest, &prepared);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    assert!(lines.iter().all(|line| status.warnings.contains(line)), "{:?}", status.warnings);
    stage.now += Duration::from_hours(1);
    let status = stage.pass().await;
    assert!(lines.iter().all(|line| status.warnings.contains(line)), "as long as that image is there");
}

fn files(text: &str) -> serde_json::Value {
    serde_json::json!({ "metadata": { "name": "files" }, "data": { "Dockerfile": "FROM scratch\nCOPY a /a", "a": text } })
}

#[tokio::test]
async fn a_config_map_that_changes_during_a_build_is_the_next_build() {
    let path = "/api/v1/namespaces/team-a/configmaps/files";
    let context = serde_json::json!({ "configMap": { "name": "files" } });
    let mut stage = Stage::new(|spec, _| {
        spec.source = None;
        spec.context = serde_json::from_value(context).unwrap();
    })
    .await;
    stage.api.hold(path, files("1"));
    let status = stage.passes(2).await;
    let first = status.source.unwrap().context_digest.unwrap();
    let job = serde_json::to_string(&stage.jobs()[0]).unwrap();
    assert!(job.contains(&first), "the pod sees that its files are others");
    stage.api.hold(path, files("2"));
    stage.end_badly(0, BuildFailure::Interrupted);
    let status = stage.pass().await;
    assert_eq!(status.history.last().map(|build| build.result), Some(BuildResult::Superseded));
    let status = stage.passes(2).await;
    assert_eq!((stage.parts().len(), status.next_build_time.is_some()), (1, true), "minInterval");
    stage.now += Duration::from_mins(5);
    let status = stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
    assert_ne!(status.source.unwrap().context_digest.unwrap(), first);
}

#[tokio::test]
async fn a_value_of_an_argument_that_changes_during_a_build_is_the_next_build() {
    let path = "/api/v1/namespaces/team-a/configmaps/values";
    let values = |a: &str| serde_json::json!({ "metadata": { "name": "values" }, "data": { "a": a } });
    let from = serde_json::json!([
        { "name": "A", "valueFrom": { "configMapKeyRef": { "name": "values", "key": "a" } } }]);
    let mut stage = Stage::new(|spec, _| {
        spec.source = Some("FROM scratch\nARG A\nLABEL a=$A\n".into());
        spec.build_args = serde_json::from_value(from).unwrap();
    })
    .await;
    stage.api.hold(path, values("1"));
    stage.passes(2).await;
    stage.api.hold(path, values("2"));
    stage.end_badly(0, BuildFailure::Interrupted);
    stage.pass().await;
    stage.now += Duration::from_mins(5);
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
}

#[tokio::test]
async fn credentials_for_paths_of_registries_reach_the_pod_as_they_are() {
    let registries = serde_json::json!([
        { "host": "quay.io", "credentials": { "secretName": "quay" } },
        { "host": "ghcr.io", "credentials": { "secretName": "ghcr" } } ]);
    let mut stage = Stage::new(|spec, _| {
        let more: Vec<imgop_core::api::PullRegistry> = serde_json::from_value(registries).unwrap();
        spec.registries.extend(more);
    })
    .await;
    for (name, scope) in [("quay", "quay.io/org-a"), ("ghcr", "ghcr.io")] {
        stage.hold_docker_config(name, &[scope, "other.example"], "u");
    }
    stage.passes(2).await;
    let written = stage.written_docker_config();
    let scopes: Vec<&String> = written["auths"].as_object().unwrap().keys().collect();
    assert_eq!(scopes, ["ghcr.io", "quay.io/org-a"]);
}

#[tokio::test]
async fn the_credential_of_the_context_is_for_its_repository_alone() {
    let mut stage = Stage::new(|spec, host| {
        let tls = serde_json::json!({ "mode": "PlainHTTP" });
        let image = serde_json::json!({ "name": format!("{host}/org/files:1"), "tls": tls, "credentials": { "secretName": "context" } });
        (spec.source, spec.context) =
            (None, Some(serde_json::from_value(serde_json::json!({ "image": image })).unwrap()));
        let registries = serde_json::json!([{ "host": host, "tls": tls, "credentials": { "secretName": "bases" } }]);
        spec.registries = serde_json::from_value(registries).unwrap();
    })
    .await;
    stage.registry.hold_manifest("org/files", "1", "{}");
    let host = format!("127.0.0.1:{}", stage.registry.address.port());
    for name in ["bases", "context"] {
        stage.hold_docker_config(name, &[&host], name);
    }
    stage.passes(2).await;
    let written = stage.written_docker_config();
    let auth = |scope: &str| written["auths"][scope]["auth"].as_str().unwrap_or_default().to_owned();
    let encoded =
        |name: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{name}:p"));
    assert_eq!(auth(&host), encoded("bases"), "{written}");
    assert_eq!(auth(&format!("{host}/org/files")), encoded("context"));
}

#[tokio::test]
async fn a_pod_that_does_not_start_is_tried_with_the_next_tier_at_once() {
    let mut stage = Stage::with_settings(&["--build-tiers=a1,b"], |_, _| ()).await;
    stage.passes(2).await;
    let tier = |stage: &Stage, nth: usize| {
        let pod = stage.jobs()[nth].spec.clone().unwrap().template.spec.unwrap();
        pod.host_users
    };
    stage.does_not_start(0);
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/amd64 2"], "{:?}", stage.ready());
    assert_eq!((tier(&stage, 0), tier(&stage, 1)), (Some(false), None));
    stage.pass().await;
    assert_eq!(stage.deleted(), 1, "the Job that holds a place");
    stage.does_not_start(1);
    stage.pass().await;
    assert_eq!(
        (stage.ready().0.as_str(), stage.jobs().len()),
        ("PodNotStarted", 2),
        "each once, and then slowly"
    );
}

#[tokio::test]
async fn the_tier_that_starts_pods_is_tried_first_by_the_next_build_and_the_order_counts_again_after_an_hour()
{
    let mut stage = Stage::with_settings(&["--build-tiers=a1,b"], |_, _| ()).await;
    let host_users =
        |stage: &Stage, nth: usize| stage.jobs()[nth].spec.clone().unwrap().template.spec.unwrap().host_users;
    let finish = async |stage: &mut Stage, nth: usize| {
        let digest = stage.pushed("linux/amd64", "1");
        stage.end_well(nth, &digest);
        stage.passes(2).await;
        assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    };
    let build_again = async |stage: &mut Stage| {
        let text = format!("FROM scratch\nLABEL t=\"{}\"\n", stage.now);
        stage.edit(|spec| spec.source = Some(text));
        stage.passes(2).await;
    };
    stage.passes(2).await;
    stage.does_not_start(0);
    stage.passes(2).await;
    finish(&mut stage, 1).await;
    build_again(&mut stage).await;
    finish(&mut stage, 2).await;
    stage.now += Duration::from_hours(2);
    build_again(&mut stage).await;
    let tiers = [0, 1, 2, 3].map(|nth| host_users(&stage, nth));
    assert_eq!(tiers, [Some(false), None, None, Some(false)]);
}

#[tokio::test]
async fn a_job_that_is_stuck_or_lost_keeps_no_place_from_the_next_try() {
    let one_place = ["--max-jobs-per-namespace=1", "--build-tiers=a1,b"];
    for is_lost in [false, true] {
        let mut stage = Stage::with_settings(&one_place, |_, _| ()).await;
        stage.passes(2).await;
        if is_lost {
            stage.loses_node(0);
        } else {
            stage.does_not_start(0);
        }
        stage.passes(2).await;
        assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/amd64 2"], "{:?}", stage.ready());
        assert_eq!(stage.deleted(), 1);
    }
}

#[tokio::test]
async fn a_try_whose_job_went_before_the_next_one_had_a_place_is_counted() {
    let mut stage = Stage::with_settings(&["--build-tiers=a1,b"], |_, _| ()).await;
    stage.passes(2).await;
    stage.does_not_start(0);
    stage.edit(|spec| spec.suspend = true);
    let status = stage.passes(3).await;
    assert_eq!((stage.deleted(), stage.jobs().len(), status.platforms[0].attempts), (1, 1, 1));
    stage.edit(|spec| spec.suspend = false);
    stage.restart();
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/amd64 2"]);
    let tier = stage.jobs()[1].spec.clone().unwrap().template.spec.unwrap().host_users;
    assert_eq!(tier, None, "the next tier");
}

#[tokio::test]
async fn a_build_ends_when_one_platform_failed_for_good_and_the_others_would_only_be_tried_again() {
    let both =
        |spec: &mut imgop_core::api::ImageBuilderSpec, _: &str| spec.architecture = Some(Architecture::Both);
    let mut stage = Stage::new(both).await;
    stage.passes(2).await;
    stage.end_badly(1, BuildFailure::StepFailed);
    let status = stage.pass().await;
    assert!(status.build.is_some(), "what runs may end");
    stage.does_not_start(0);
    let status = stage.pass().await;
    assert_eq!(status.history.last().map(|build| build.result), Some(BuildResult::Failed));
    assert_eq!(stage.ready().0, "StepFailed");
    assert!(stage.ready().1.contains("the pod does not start"), "{}", stage.ready().1);
    assert_eq!(stage.deleted(), 1, "the Job that holds a place");
    stage.now += Duration::from_hours(1);
    stage.passes(3).await;
    assert_eq!(stage.jobs().len(), 2);
}

#[tokio::test]
async fn tries_that_ended_otherwise_say_nothing_of_the_tier() {
    let mut stage = Stage::with_settings(&["--build-tiers=a1,b"], |_, _| ()).await;
    stage.passes(2).await;
    stage.end_badly(0, BuildFailure::Interrupted);
    stage.pass().await;
    stage.end_badly(1, BuildFailure::PushFailed);
    stage.now += Duration::from_mins(2);
    stage.pass().await;
    assert_eq!(stage.jobs().len(), 3);
    assert!(
        stage
            .jobs()
            .iter()
            .all(|job| { job.spec.clone().unwrap().template.spec.unwrap().host_users == Some(false) })
    );
}

#[tokio::test]
async fn no_more_jobs_of_builds_run_than_the_administrator_allows() {
    let both =
        |spec: &mut imgop_core::api::ImageBuilderSpec, _: &str| spec.architecture = Some(Architecture::Both);
    let mut stage = Stage::with_settings(&["--max-builds=1"], both).await;
    stage.passes(3).await;
    assert_eq!(stage.jobs().len(), 1);
    assert!(stage.ready().1.ends_with("as many as MAX_BUILDS of the agent allows"), "{}", stage.ready().1);
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.pass().await;
    assert_eq!(stage.jobs().len(), 2);
}

#[tokio::test]
async fn jobs_of_earlier_processes_count_as_soon_as_their_image_builder_is_seen() {
    let mut stage = Stage::with_settings(&["--max-builds=1"], |_, _| ()).await;
    let mut other = stage.builder.clone();
    (other.metadata.uid, other.metadata.name) = (Some("other".into()), Some("other".into()));
    stage.passes(2).await;
    let owner = crate::cluster::owner::Owner::of(&other).controller_reference();
    let mut job = stage.jobs()[0].clone();
    let labels = job.metadata.labels.get_or_insert_default();
    labels.insert(imgop_core::api::OWNER_UID_LABEL.into(), "other".into());
    (job.metadata.name, job.metadata.uid) = (Some("earlier".into()), Some("earlier".into()));
    job.metadata.owner_references = Some(vec![owner]);
    stage.vanishes(0);
    stage.builders.agent.jobs.show(&job);
    stage.builders.seen(&other);
    stage.passes(2).await;
    assert!(stage.ready().1.ends_with("as many as MAX_BUILDS of the agent allows"), "{}", stage.ready().1);
    assert_eq!(stage.jobs().len(), 1);
    let next = stage.try_pass().await.unwrap().next;
    assert_eq!(next, Some(Duration::from_mins(10)), "it is woken");
    stage.builders.agent.jobs.is_gone(&job);
    stage.pass().await;
    assert_eq!(stage.jobs().len(), 2);
}

#[tokio::test]
async fn a_field_that_has_no_effect_is_a_warning() {
    let cache = serde_json::json!({ "mode": "Volume", "volume": { "size": "1Gi" } });
    let mut stage = Stage::new(|spec, _| {
        spec.cache = serde_json::from_value(cache).unwrap();
        spec.image.publish = imgop_core::api::Publish::Direct;
    })
    .await;
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::Created));
    assert!(status.warnings.iter().any(|warning| warning.starts_with("spec.cache.mode: ")));
    assert!(status.warnings.iter().any(|warning| warning.starts_with("spec.image.publish: ")));
}

#[tokio::test]
async fn platforms_that_end_between_two_passes_are_published_by_the_next() {
    let mut stage = Stage::new(|spec, _| spec.architecture = Some(Architecture::Both)).await;
    stage.passes(2).await;
    for (nth, platform) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
        let digest = stage.pushed(platform, "1");
        stage.end_well(nth, &digest);
    }
    stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
}
