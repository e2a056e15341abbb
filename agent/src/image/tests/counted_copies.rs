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
