//! Destinations that have nothing yet.

use imgop_core::api::Engine;

use super::*;

/// The arguments of the first Job.
fn arguments(stage: &Stage) -> Option<String> {
    let bodies = stage.api.bodies("POST");
    let job = bodies.iter().find(|body| body["kind"] == "Job")?;
    Some(job["spec"]["template"]["spec"]["containers"][0]["args"].to_string())
}

#[tokio::test]
async fn that_a_destination_has_nothing_is_found_out_for_one_tag_too_where_a_native_job_is_to_be_told() {
    for (engine, is_told) in [(Engine::Native, true), (Engine::Skopeo, false)] {
        let mut stage = Stage::of_a_synced_image().await;
        stage.image.spec.engine = Some(engine);
        stage.image.spec.source.version = "v2.13.1".to_owned();
        stage.registry.hold_manifest("source", "v2.13.1", "{}");
        let mut memory = due_now();
        for _ in 0..3 {
            if arguments(&stage).is_none() {
                stage.pass(&mut memory, now()).await.unwrap();
            }
        }
        let arguments = arguments(&stage).unwrap();
        assert_eq!(arguments.contains("isNew"), is_told, "{arguments}");
        let requests = stage.registry.requests();
        let lists = requests.iter().filter(|line| line.contains("/v2/target/tags/list")).count();
        assert_eq!(lists, usize::from(is_told), "{requests:?}");
    }
}

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
        let arguments = arguments(&stage).unwrap();
        assert_eq!(arguments.contains("isNew"), is_told, "{arguments}");
    }
}
