//! Objects as metrics show them.

use imgop_core::api::conditions::{NewCondition, merge};

use super::*;
use crate::controller::known_objects;

#[tokio::test]
async fn an_object_is_shown_as_the_store_has_it_with_the_last_look_of_this_process() {
    let mut case = Case::new().await;
    let (status, message) = (Some(true), String::new());
    let ready = NewCondition { type_: READY, status, reason: reasons::SUCCEEDED, message };
    case.image.status.as_mut().unwrap().conditions = merge(&[], vec![ready], Some(1), now());
    case.shows(stored(case.image.clone()));
    let metrics = case.runner.kind.agent().metrics.clone();
    metrics.objects.add(known_objects::of(&case.runner));
    metrics.watch_objects(Some(10));
    let labels = r#"kind="Image",namespace="team-a",name="argocd""#;
    let value = |metric: &str| {
        let beginning = format!("imgop_object_{metric}_timestamp_seconds{{{labels}}} ");
        let text = metrics.text().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&beginning)?.parse::<i64>().ok())
    };
    let has = |line: &str| metrics.text().unwrap().lines().any(|shown| shown == line);
    assert!(has(&format!(r#"imgop_object_state{{{labels},state="Ready",reason="Succeeded"}} 1"#)));
    let recorded = (value("last_look"), value("last_success"));

    let before = Timestamp::now().as_second();
    case.registry.refuse(401);
    case.image.metadata.generation = Some(99);
    case.reconcile(stored(case.image.clone())).await;
    assert!(value("last_look").unwrap() >= before, "a look that fails is one");
    assert!(recorded.0.is_none_or(|recorded| recorded < before));
    // The watch has not shown yet what was written: it seems to be ready.
    case.image.status = case.written().pop();
    case.shows(stored(case.image.clone()));
    assert_eq!(value("last_success"), recorded.1);
    let reason = "RegistryUnauthorized";
    assert!(has(&format!(r#"imgop_object_state{{{labels},state="Stalled",reason="{reason}"}} 1"#)));
    assert!(has(r#"imgop_objects{kind="Image",state="Stalled"} 1"#));
    drop(case);
    assert!(!metrics.text().unwrap().contains("argocd"), "a controller that has ended shows nothing");
}
