//! Contexts of git over ssh, which only pods speak: what is asked for is built, and what sees nothing says so.

use std::time::Duration;

use imgop_core::api::{Architecture, BuildReason, ImageBuilderSpec, REQUESTED_AT_ANNOTATION, RebuildOn};
use imgop_core::build::BuildFailure;
use imgop_core::build::step::{SourceReport, StepReport};

use super::stage::Stage;

fn over_ssh(spec: &mut ImageBuilderSpec) {
    let git =
        serde_json::json!({ "git": { "url": "ssh://git@git.example.com/app.git", "revision": "main" } });
    (spec.source, spec.context) = (None, serde_json::from_value(git).unwrap());
}

fn prepared(commit: &str) -> StepReport {
    let source = SourceReport { commit: Some(commit.into()), ..SourceReport::default() };
    StepReport { source: Some(source), ..StepReport::default() }
}

#[tokio::test]
async fn a_request_and_a_new_spec_are_each_a_build_of_what_the_pod_finds() {
    let mut stage = Stage::new(|spec, _| over_ssh(spec)).await;
    for (nth, commit) in ["commit-1", "commit-2", "commit-3"].into_iter().enumerate() {
        stage.passes(2).await;
        assert_eq!(stage.jobs().len(), nth + 1);
        assert!(
            !serde_json::to_string(&stage.jobs()[nth]).unwrap().contains("commit-1"),
            "no older commit is given"
        );
        let digest = stage.pushed("linux/amd64", commit);
        stage.end_well_after(nth, &digest, &prepared(commit));
        let status = stage.pass().await;
        assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
        assert_eq!(status.source.unwrap().commit.as_deref(), Some(commit));
        if nth == 0 {
            stage.annotate(REQUESTED_AT_ANNOTATION, "pushed");
        } else {
            stage.edit(|spec| _ = spec.image.labels.insert("a".into(), commit.into()));
        }
        stage.now += Duration::from_mins(1);
    }
}

#[tokio::test]
async fn a_platform_that_was_built_before_is_not_beside_one_of_a_newer_commit() {
    let mut stage = Stage::new(|spec, _| {
        over_ssh(spec);
        spec.architecture = Some(Architecture::Both);
    })
    .await;
    stage.passes(2).await;
    let amd64 = stage.pushed("linux/amd64", "1");
    stage.end_well_after(0, &amd64, &prepared("c1"));
    stage.pass().await;
    stage.end_badly(1, BuildFailure::StepFailed);
    stage.passes(2).await;
    assert_eq!(stage.ready().0, "StepFailed", "{}", stage.ready().1);
    stage.annotate(REQUESTED_AT_ANNOTATION, "corrected");
    let status = stage.passes(2).await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::Requested));
    assert_eq!(stage.parts()[2..], ["2 linux/amd64 1", "2 linux/arm64 1"]);
}

#[tokio::test]
async fn rebuild_on_source_over_ssh_is_a_warning_as_long_as_it_is_set() {
    let mut stage = Stage::new(|spec, _| over_ssh(spec)).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well_after(0, &digest, &prepared("c1"));
    assert_eq!(stage.pass().await.warnings, Vec::<String>::new());
    stage.edit(|spec| spec.rebuild_on = vec![RebuildOn::Source]);
    let status = stage.passes(2).await;
    assert!(
        status.warnings[0].starts_with("spec.rebuildOn: Source sees no commit over ssh"),
        "{:?}",
        status.warnings
    );
    assert_eq!((stage.jobs().len(), status.warnings.len()), (1, 1));
    stage.edit(|spec| spec.rebuild_on.clear());
    assert_eq!(stage.passes(2).await.warnings, Vec::<String>::new());
}
