//! Pods that do not start.

use imgop_core::api::{Engine, NATIVE_CONTAINER};

use super::*;
use crate::image::job_batches::JobEngine;

#[tokio::test]
async fn a_pod_waits_for_a_node_as_long_as_the_settings_say_and_the_condition_says_why() {
    for (settings, is_given_up) in [(&[][..], false), (&["--job-pending-seconds=60"], true)] {
        let mut stage = Stage::of_a_synced_image().await;
        stage.images = Images::new(fixtures::agent_with(stage.api.client(), settings), Objects::new([]));
        stage.is_reconciling(reasons::PROGRESSING);
        let copy = copy_of("v2.13.1", "{}");
        stage.has_job(&copy);
        let why = "0/3 nodes are available";
        let unscheduled = serde_json::json!({ "type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": why });
        stage.has_pod(&serde_json::json!({ "phase": "Pending", "conditions": [unscheduled] }));
        let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
        let result = stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(stage.api.bodies("DELETE").len(), usize::from(is_given_up));
        let status = result.report.unwrap().status;
        let message = &find(&status.conditions, READY).unwrap().message;
        assert!(message.contains(why), "{message}");
    }
}

/// A pod that no node takes.
fn unscheduled() -> serde_json::Value {
    let condition = serde_json::json!({ "type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available" });
    serde_json::json!({ "phase": "Pending", "conditions": [condition] })
}

#[tokio::test]
async fn a_job_whose_pod_waits_for_a_node_is_made_anew_for_another_template_and_one_that_runs_is_not() {
    for (status, is_replaced) in [(unscheduled(), true), (serde_json::json!({ "phase": "Running" }), false)] {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING);
        let copy = copy_of("v2.13.1", "{}");
        stage.has_job(&copy);
        stage.has_pod(&status);
        let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
        stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(stage.api.bodies("DELETE").len(), 0, "its template is that of the spec");
        let pool = ("pool".to_owned(), "mirror".to_owned());
        stage.image.spec.job_template.node_selector = [pool].into();
        stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(stage.api.bodies("DELETE").len(), usize::from(is_replaced));
        let jobs: Vec<_> =
            stage.api.bodies("POST").into_iter().filter(|body| body["kind"] == "Job").collect();
        assert_eq!(jobs.len(), usize::from(is_replaced), "{jobs:?}");
        if is_replaced {
            assert_eq!(jobs[0]["spec"]["template"]["spec"]["nodeSelector"]["pool"], "mirror");
            let copies = jobs[0]["metadata"]["annotations"][imgop_core::api::COPIES_ANNOTATION].to_string();
            assert!(copies.contains(r#"\"attempt\":1"#), "it was no failed try: {copies}");
        }
    }
}

#[tokio::test]
async fn a_job_whose_pod_waits_for_a_node_is_made_anew_by_the_engine_that_the_spec_names_by_then() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    stage.has_job(&copy);
    stage.has_pod(&unscheduled());
    stage.image.spec.engine = Some(Engine::Native);
    let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(stage.api.bodies("DELETE").len(), 1);
    let bodies = stage.api.bodies("POST");
    let job = bodies.iter().find(|body| body["kind"] == "Job").unwrap();
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["name"], NATIVE_CONTAINER);
}

#[tokio::test]
async fn a_job_of_native_in_the_place_of_skopeo_waits_for_a_node_unless_the_spec_names_another_engine() {
    for (made_as, named, is_replaced) in [
        (JobEngine::Fallback, None, false),
        (JobEngine::Fallback, Some(Engine::Skopeo), true),
        (JobEngine::Named(Engine::Native), None, true),
    ] {
        let mut stage = Stage::of_a_synced_image().await;
        let settings = ["--copy-engine-fallback=true"];
        stage.images = Images::new(fixtures::agent_with(stage.api.client(), &settings), Objects::new([]));
        stage.is_reconciling(reasons::PROGRESSING);
        let copy = copy_of("v2.13.1", "{}");
        stage.has_job_of(&copy, made_as);
        stage.has_pod(&unscheduled());
        stage.image.spec.engine = named;
        let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
        stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(stage.api.bodies("DELETE").len(), usize::from(is_replaced), "{made_as:?} {named:?}");
    }
}

#[tokio::test]
async fn why_no_pod_could_be_made_is_in_the_condition_with_what_helps_and_stays_during_the_next_try() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    stage.has_job(&copy);
    stage.without_pod();
    let words = "Error creating: pods \"imgop-argocd-\" is forbidden: maximum memory usage per Container is 256Mi, but \
                 limit is 512Mi";
    stage.api.hold_list(
        "events",
        vec![serde_json::json!({ "metadata": { "name": "e", "namespace": "team-a" },
        "involvedObject": {}, "reason": "FailedCreate", "message": words })],
    );
    let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
    stage.pass(&mut memory, now()).await.unwrap();
    let later = now() + Duration::from_mins(1);
    let result = stage.pass(&mut memory, later).await.unwrap();
    let status = result.report.unwrap().status;
    let message = |status: &ImageStatus| find(&status.conditions, READY).unwrap().message.clone();
    let why = "a LimitRange of the namespace refuses the pod: maximum memory usage per Container is 256Mi, but limit is \
               512Mi; set spec.jobTemplate.resources, or JOB_MEMORY_REQUEST and JOB_MEMORY_LIMIT of the agent";
    assert!(message(&status).contains(&format!("{why} (1 try, ")), "{}", message(&status));
    stage.image.status = Some(status);
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", "{}");
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":[]}"#);
    let result = stage.pass(&mut memory, later + Duration::from_mins(1)).await.unwrap();
    let status = result.report.unwrap().status;
    assert_eq!(find(&status.conditions, READY).unwrap().reason, reasons::PROGRESSING);
    let message = message(&status);
    assert!(
        message.ends_with(&format!("1 being copied; v2.13.1 is tried again; last time: {why}")),
        "{message}"
    );
}
