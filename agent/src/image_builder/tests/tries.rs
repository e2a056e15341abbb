//! Tries of parts: what is begun, given up, and learnt from.

use imgop_core::api::{Architecture, BuildResult, ImageBuilderSpec, PlatformState};
use imgop_core::build::BuildFailure;
use serde_json::json;

use super::stage::Stage;
use crate::image_builder::memory::Memory;

fn both(spec: &mut ImageBuilderSpec, _: &str) {
    spec.architecture = Some(Architecture::Both);
}

#[tokio::test]
async fn a_platform_that_was_given_up_is_not_why_the_build_failed() {
    let three = ["linux/amd64", "linux/arm64", "linux/s390x"].map(str::to_owned);
    let mut stage = Stage::new(|spec, _| (spec.architecture, spec.platforms) = (None, three.to_vec())).await;
    stage.passes(2).await;
    stage.end_badly(1, BuildFailure::StepFailed);
    stage.does_not_start(0);
    stage.pass().await;
    assert_eq!(stage.deleted(), 1, "it is given up");
    stage.vanishes(0);
    for is_restarted in [false, true] {
        if is_restarted {
            stage.restart();
        }
        assert!(stage.pass().await.build.is_some(), "the third may end");
    }
    let digest = stage.pushed("linux/s390x", "1");
    stage.end_well(2, &digest);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "StepFailed", "{}", stage.ready().1);
    let failure = status.history.last().and_then(|build| build.failure.clone());
    assert_eq!(failure.as_deref(), Some("StepFailed"));
    assert_eq!(status.platforms[0].reason.as_deref(), Some("PodNotStarted"), "of the platform itself");
}

#[tokio::test]
async fn a_platform_that_was_never_tried_does_not_wait_when_the_build_is_over() {
    let mut stage = Stage::with_settings(&["--max-builds=1"], both).await;
    stage.passes(2).await;
    stage.end_badly(0, BuildFailure::StepFailed);
    let status = stage.pass().await;
    let [tried, other] = [0, 1].map(|nth: usize| &status.platforms[nth]);
    assert_eq!((tried.state, tried.reason.as_deref()), (PlatformState::Failed, Some("StepFailed")));
    assert_eq!((other.state, other.attempts, other.reason.clone()), (PlatformState::Failed, 0, None));
    assert_eq!(status.history.last().map(|build| build.result), Some(BuildResult::Failed));
    assert!(stage.ready().1.contains("since another platform failed"), "{}", stage.ready().1);
}

#[tokio::test]
async fn a_job_that_is_refused_does_not_hide_those_that_were_created_before_it() {
    let mut stage = Stage::with_settings(&["--build-tiers=a1,b"], both).await;
    stage.passes(2).await;
    stage.does_not_start(0);
    stage.does_not_start(1);
    stage.api.fail_from(4, "POST", "/jobs", 422, "not like this");
    for _ in 0..2 {
        let status = stage.pass().await;
        assert!(stage.ready().1.contains("not like this"), "{}", stage.ready().1);
        let [amd64, arm64] = [0, 1].map(|nth: usize| &status.platforms[nth]);
        assert_eq!((amd64.attempts, amd64.not_started, amd64.state), (2, 1, PlatformState::Running));
        assert_eq!((arm64.attempts, arm64.not_started), (1, 0));
    }
}

#[tokio::test]
async fn which_tier_starts_pods_is_found_out_in_each_namespace() {
    let mut stage = Stage::with_settings(&["--build-tiers=a1,b"], |_, _| ()).await;
    stage.passes(2).await;
    stage.does_not_start(0);
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(1, &digest);
    stage.passes(2).await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    let metadata = &mut stage.builder.metadata;
    (metadata.namespace, metadata.uid) = (Some("team-b".into()), Some("another".into()));
    stage.builder.status = None;
    stage.memory = Memory::default();
    stage.passes(2).await;
    let jobs = stage.jobs();
    let tiers: Vec<Option<bool>> =
        jobs.iter().map(|job| job.spec.clone().unwrap().template.spec.unwrap().host_users).collect();
    assert_eq!(tiers, [Some(false), None, Some(false)], "{:?}", stage.ready());
}

#[tokio::test]
async fn another_template_is_for_pods_that_wait_for_a_node_and_begins_no_build() {
    let mut stage = Stage::new(both).await;
    stage.passes(2).await;
    stage.waits_for_node(0);
    stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), stage.deleted()), ("PlatformUnavailable", 0));
    stage.edit(|spec| spec.job_template.priority_class_name = Some("high".into()));
    let status = stage.pass().await;
    assert_eq!((stage.deleted(), stage.jobs().len()), (1, 3), "the other one runs as it did");
    assert_eq!(stage.parts()[2], stage.parts()[0], "and it was no failed try");
    let again = stage.jobs()[2].spec.clone().unwrap().template.spec.unwrap();
    assert_eq!(again.priority_class_name.as_deref(), Some("high"));
    assert_eq!(status.build.map(|build| build.number), Some(1));
}

#[tokio::test]
async fn a_pod_that_no_node_has_room_for_is_made_anew_once_the_spec_asks_for_less() {
    let asked = |memory: &str| json!({ "requests": { "memory": memory } });
    let mut stage = Stage::new(both).await;
    stage.edit(|spec| spec.resources = serde_json::from_value(asked("64Gi")).unwrap());
    stage.passes(2).await;
    stage.waits_for_node(0);
    stage.pass().await;
    stage.edit(|spec| spec.resources = serde_json::from_value(asked("1Gi")).unwrap());
    stage.pass().await;
    assert_eq!((stage.deleted(), stage.jobs().len()), (1, 3));
    let again = stage.jobs()[2].spec.clone().unwrap().template.spec.unwrap();
    let of_build = again.init_containers.unwrap().into_iter().find(|container| container.name == "build");
    let asked = of_build.unwrap().resources.unwrap().requests.unwrap();
    assert_eq!(asked["memory"].0, "1Gi");
    stage.waits_for_node(2);
    stage.passes(2).await;
    assert_eq!(stage.deleted(), 1, "nothing has changed");
}

#[tokio::test]
async fn why_a_pod_did_not_start_is_said_while_it_is_tried_again() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    stage.does_not_start(0);
    stage.passes(2).await;
    stage.now += std::time::Duration::from_hours(1);
    stage.passes(2).await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Progressing", 2));
    assert!(
        stage.ready().1.contains("last time: the pod does not start: ErrImagePull"),
        "{}",
        stage.ready().1
    );
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(1, &digest);
    stage.passes(2).await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
}
