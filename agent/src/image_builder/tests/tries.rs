//! Tries of parts: what is begun, given up, and learnt from.

use imgop_core::build::BuildFailure;

use super::stage::Stage;

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
