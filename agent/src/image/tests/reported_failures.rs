//! What stands in the way of a pass, as the condition, the events and the metrics have it.

use std::sync::atomic::AtomicUsize;

use imgop_core::copy::ObserveError;

use super::*;
use crate::cluster::rights::Right;
use crate::image::failures::AskedWith;
use crate::notifications::Completed;

fn message(status: &ImageStatus) -> &str {
    &find(&status.conditions, READY).unwrap().message
}

#[tokio::test]
async fn a_right_that_is_missing_alone_is_named_in_the_condition_with_what_grants_it() {
    for withheld in Right::FOR_JOBS {
        let asked = AtomicUsize::new(0);
        let server = ApiServer::scripted(move |_| {
            let allowed = Right::FOR_JOBS[asked.fetch_add(1, Ordering::Relaxed)] != withheld;
            (201, serde_json::json!({ "metadata": {}, "spec": {}, "status": { "allowed": allowed } }))
        });
        let mut stage = Stage::of_a_synced_image().await;
        stage.images = Images::new(fixtures::agent(server.client()), Objects::new([]));
        in_sync(&stage);
        let result = stage.pass(&mut due_now(), now()).await.unwrap();
        assert_eq!(reason(&result), reasons::NAMESPACE_NOT_ENABLED);
        let last = &server.bodies("POST").pop().unwrap()["spec"]["resourceAttributes"];
        assert_eq!((&last["verb"], &last["resource"]), (&withheld.verb.into(), &withheld.resource.into()));
        let status = result.report.unwrap().status;
        let what = format!("the agent may not {withheld} in this namespace (checked again every 30 s); ");
        let advice = "to allow it: kubectl create rolebinding imgop-agent -n team-a ";
        assert!(message(&status).starts_with(&format!("{what}{advice}")), "{}", message(&status));
        assert!(stage.registry.requests().is_empty(), "no registry is asked");
    }
}

#[tokio::test]
async fn a_job_that_the_api_server_cannot_create_is_an_event_and_is_counted() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    let words = "failed calling webhook \"policy.example.com\": connection refused";
    stage.api.fail_with("POST", "/jobs", 500, words);
    let mut memory = memory(&[], (now(), observed(&[&copy])));
    let report = stage.pass(&mut memory, now()).await.unwrap().report.unwrap();
    stage.images.reported(&stage.image, &report, now());
    let metrics = stage.images.agent.metrics.text().unwrap();
    for line in [
        r#"imgop_syncs_total{kind="Image",reason="JobRefused"} 1"#,
        r#"imgop_api_failures_total{kind="Image"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let (before, after) = (&stage.image.status.as_ref().unwrap().conditions, &report.status.conditions);
    let owner = Owner::of(&stage.image);
    stage.images.agent.events.transition(&owner, (before, after), Completed::default()).await;
    let event = stage.api.bodies("POST").pop().unwrap();
    assert_eq!((&event["type"], &event["reason"]), (&"Warning".into(), &"JobRefused".into()), "{event}");
    assert!(event["note"].as_str().unwrap().contains(words), "{event}");
}

#[tokio::test]
async fn registries_that_take_too_long_are_reported_with_the_setting_of_long_tag_lists() {
    let stage = Stage::of_a_synced_image().await;
    let mut memory = Memory::default();
    let pass = Pass::new(&stage.images, &stage.image, &memory, now());
    let halt = Halt::Observe { error: ObserveError::TooSlow { seconds: 330 }, with: AskedWith::default() };
    let readiness = pass.halted(halt, &mut memory).unwrap().findings.unwrap().readiness;
    let ready = readiness.conditions.iter().find(|condition| condition.type_ == READY).unwrap();
    assert_eq!(ready.reason, reasons::REGISTRY_UNREACHABLE);
    assert_eq!(
        ready.message,
        "the registries did not answer within 330 seconds; long tag lists have longer with \
         REGISTRY_LIST_TIMEOUT of the agent"
    );
}
