//! Destinations that have nothing yet.

use imgop_core::api::Engine;

use super::*;

#[tokio::test]
async fn the_first_job_is_told_that_its_destination_has_nothing_and_one_after_it_is_not() {
    let copy = copy_of("v2.13.1", "{}");
    for (attempt, is_told) in [(1, true), (2, false)] {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING);
        stage.image.spec.engine = Some(Engine::Native);
        let observed = Observed { destination_is_new: true, ..observed(&[&copy]) };
        let mut memory = memory(&[], (now(), observed));
        if attempt > 1 {
            let at = now() - Duration::from_hours(1);
            let message = "the node was lost".to_owned();
            let failed = Outcome::Failed { reason: FailureReason::CopyFailed, message, at };
            memory.outcomes.insert(copy.clone(), failed);
        }
        memory.sync().probed.insert(Copy { attempt, ..copy.clone() });
        stage.pass(&mut memory, now()).await.unwrap();
        let bodies = stage.api.bodies("POST");
        let job = bodies.iter().find(|body| body["kind"] == "Job").unwrap();
        let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        assert_eq!(arguments.contains("isNew"), is_told, "{arguments}");
    }
}
