//! What became of copies, in the metrics.

use imgop_core::api::container_name;

use super::*;

/// Returns the lines of /metrics that begin so and are not zero.
fn lines(stage: &Stage, beginning: &str) -> Vec<String> {
    let text = stage.images.agent.metrics.text().unwrap();
    let lines = text.lines().filter(|line| line.starts_with(beginning) && !line.ends_with(" 0"));
    lines.map(str::to_owned).collect()
}

/// The pod of the Job has ended with this exit code, after a minute.
fn ended(stage: &Stage, exit_code: i32) {
    let terminated = serde_json::json!({ "exitCode": exit_code, "reason": "r", "message": "",
        "startedAt": now() - Duration::from_mins(2), "finishedAt": now() - Duration::from_mins(1) });
    let container =
        serde_json::json!({ "name": container_name(0, 0), "state": { "terminated": terminated } });
    let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
    stage.has_pod(&serde_json::json!({ "phase": phase, "containerStatuses": [container] }));
}

#[tokio::test]
async fn a_copy_is_counted_once_by_what_became_of_it_and_its_duration_if_it_succeeded() {
    for (exit_code, labels, is_timed) in
        [(0, r#"result="Succeeded",reason="""#, true), (1, r#"result="Failed",reason="CopyFailed""#, false)]
    {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING);
        let copy = copy_of("v2.13.1", "{}");
        stage.has_job(&copy);
        let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
        stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(lines(&stage, "imgop_copies_total"), Vec::<String>::new(), "it runs");
        ended(&stage, exit_code);
        for _ in 0..2 {
            stage.pass(&mut memory, now()).await.unwrap();
        }
        assert_eq!(lines(&stage, "imgop_copies_total"), [format!("imgop_copies_total{{{labels}}} 1")]);
        let sums = lines(&stage, "imgop_copy_duration_seconds_sum");
        let minute = "imgop_copy_duration_seconds_sum 60.0".to_owned();
        assert_eq!(sums.contains(&minute), is_timed, "{sums:?}");
    }
}

#[tokio::test]
async fn a_copy_whose_job_vanishes_is_counted_as_failed() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
    stage.pass(&mut memory, now()).await.unwrap();
    let failed = r#"imgop_copies_total{result="Failed",reason="CopyFailed"} 1"#;
    assert_eq!(lines(&stage, "imgop_copies_total"), [failed]);
}

/// Returns what is counted under the names of k8s-copycat.
fn of_registries(stage: &Stage) -> Vec<String> {
    // Which registry it was is not named here: to Prometheus an empty label is none.
    let of =
        |line: String| line.strip_prefix("k8s_copycat_registry_").unwrap().replace(r#"{registry=""}"#, "");
    lines(stage, "k8s_copycat_registry_").into_iter().map(of).collect()
}

#[tokio::test]
async fn a_source_is_read_once_its_job_has_ended_and_a_destination_written_once_the_tag_is_set() {
    let (stage, mut memory) = left_alone().await;
    stage.end_job();
    for _ in 0..2 {
        stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(of_registries(&stage), ["pull_success_total 1", "push_success_total 1"]);
    }
    assert!(memory.sync().pushed.is_empty());
}

#[tokio::test]
async fn a_tag_that_is_refused_is_not_written_although_its_source_was_read() {
    let (stage, mut memory) = left_alone().await;
    let refusal = ("TAG_INVALID", "tags that end in 1 are reserved");
    stage.registry.refuse_put_to("/v2/target/manifests/v2.13.1", Some(refusal));
    stage.end_job();
    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(of_registries(&stage), ["pull_success_total 1", "push_error_total 1"]);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_unread_and_so_is_a_tag_that_it_does_not_have() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.spec.source.version = "v2.13.1".into();
    stage.image.metadata.generation = Some(2);
    stage.pass(&mut Memory::default(), now()).await.unwrap();
    assert_eq!(of_registries(&stage), ["pull_error_total 1"]);
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.0"]}"#);
    stage.pass(&mut Memory::default(), now()).await.unwrap();
    assert_eq!(of_registries(&stage), ["pull_error_total 2"]);
}
