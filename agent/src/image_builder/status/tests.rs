//! What a status says, step by step.

use imgop_core::api::{BuiltImageStatus, ConcurrencyPolicy};

use super::*;
use crate::image_builder::tests::fixtures::{builder, now, record};

fn start(number: u64) -> Start {
    let changes = Some("commit c1 → c2".to_owned());
    Start { number, reason: BuildReason::SourceChanged, changes, replaces: None }
}

fn begun(status: ImageBuilderStatus, number: u64) -> ImageBuilderStatus {
    let builder = builder(|spec| spec.concurrency_policy = ConcurrencyPolicy::Replace);
    let request = BuildRequest::parse(&builder.spec).unwrap();
    begin(status, &request, &start(number), Some(4), &[], now())
}

#[test]
fn a_build_that_begins_is_in_the_status_before_anything_is_made() {
    let status = begun(ImageBuilderStatus::default(), 1);
    let shown = with_readiness(status, &builder(|_| {}), Readiness::progressing("build 1 begins"), now());
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
}

#[test]
fn a_build_that_another_takes_the_place_of_is_history_with_its_reason() {
    let status = begun(begun(ImageBuilderStatus::default(), 1), 2);
    assert_eq!(status.history.len(), 1);
    let first = &status.history[0];
    assert_eq!((first.number, first.result), (1, BuildResult::Superseded));
    assert_eq!(first.changes.as_deref(), Some("commit c1 → c2"));
    assert_eq!(number(&status), Some(2));
}

#[test]
fn a_build_that_failed_keeps_why_in_the_history() {
    let why = format!("linux/arm64: line 7: `RUN {}` exited with 2", "é".repeat(400));
    let failed = Ended::failed(BuildFailure::StepFailed, why.clone(), BuildDuration::default());
    let status = end(begun(ImageBuilderStatus::default(), 1), &failed);
    let record = &status.history[0];
    assert_eq!((record.result, record.failure.as_deref()), (BuildResult::Failed, Some("StepFailed")));
    let kept = record.message.as_deref().unwrap();
    assert!(kept.len() <= MAX_RECORD_BYTES && kept.starts_with("linux/arm64: line 7"), "{kept}");
}

#[test]
fn history_and_jobs_are_bounded() {
    let mut status = ImageBuilderStatus::default();
    for number in 1..=40 {
        status = end(begun(status, number), &Ended::of(BuildResult::Cancelled));
        add_job(&mut status, &format!("job-{number}"));
        add_job(&mut status, &format!("job-{number}"));
    }
    assert_eq!((status.history.len(), status.ran_jobs.len()), (MAX_HISTORY, MAX_RAN_JOBS));
    assert_eq!(status.history.last().unwrap().number, 40);
}

#[test]
fn the_conditions_of_the_last_build_come_back_after_others() {
    let failed = BuildRecord { failure: Some("StepFailed".into()), ..record(3, BuildResult::Failed) };
    let part = PlatformStatus {
        platform: "linux/arm64".into(),
        state: PlatformState::Failed,
        message: Some("line 7: `RUN make` exited with 2".into()),
        last_lines: vec!["cc x.c".into(), "cannot find libfoo".into()],
        ..PlatformStatus::default()
    };
    let status =
        ImageBuilderStatus { history: vec![failed], platforms: vec![part], ..ImageBuilderStatus::default() };
    let ready = &rest(&status).conditions[0];
    assert_eq!(ready.reason, "StepFailed");
    insta::assert_snapshot!(ready.message, @"build 3 failed; linux/arm64: line 7: `RUN make` exited with 2: cc x.c | cannot find libfoo");
    assert_eq!(why_failed(&status), "linux/arm64: line 7: `RUN make` exited with 2");
    let of = |result| {
        let status = ImageBuilderStatus { history: vec![record(3, result)], ..ImageBuilderStatus::default() };
        let readiness = rest(&status);
        (readiness.conditions[0].status, readiness.conditions[0].reason)
    };
    assert_eq!(of(BuildResult::Succeeded), (Some(true), "Succeeded"));
    assert_eq!(of(BuildResult::Cancelled), (Some(false), "Cancelled"));
}

#[test]
fn a_tag_that_is_a_number_is_no_number_of_a_build() {
    let said = |tags: &[&str]| {
        let tags = tags.iter().map(ToString::to_string).collect();
        let image = BuiltImageStatus { digest: "sha256:ab".into(), tags, ..BuiltImageStatus::default() };
        succeeded(&ImageBuilderStatus { image: Some(image), ..ImageBuilderStatus::default() }, 1)
    };
    assert_eq!(said(&["1"]), "build 1: tag 1 is sha256:ab");
    assert_eq!(said(&["2", "latest"]), "build 1: tags 2, latest are sha256:ab");
}

#[test]
fn a_long_message_is_cut_where_it_is_shown() {
    let long = Readiness::stalled("StepFailed", "é".repeat(4000));
    let status = with_readiness(ImageBuilderStatus::default(), &builder(|_| {}), long, now());
    assert!(status.conditions.iter().all(|condition| condition.message.len() <= MAX_MESSAGE_BYTES));
}

#[test]
fn whose_default_a_destination_is_stands_beside_it_for_as_long_as_it_is_the_default() {
    let status = begun(ImageBuilderStatus::default(), 1);
    let repository = status.destination.clone().unwrap().repository;
    let shown = |status: &ImageBuilderStatus, repository: Option<&str>| {
        let mut status = status.clone();
        let defaulted = repository.map(|repository| DefaultedDestination {
            repository: repository.to_owned(),
            defaults_from: "RegistryAccess/corp".to_owned(),
        });
        show_defaults(&mut status, defaulted);
        status
    };
    let from = |status: &ImageBuilderStatus| status.destination.clone().unwrap().defaults_from;
    let with_default = shown(&status, Some(&repository));
    assert_eq!(from(&with_default).as_deref(), Some("RegistryAccess/corp"));
    // The build under way, or the last one, went elsewhere.
    assert_eq!(from(&shown(&status, Some("r.example.com/other"))), None);
    assert_eq!(from(&shown(&with_default, None)), None);
}
