//! Images that are suspended and resumed with their mirror.

use imgop_core::api::SUSPENDED_WITH_ANNOTATION;
use imgop_core::api::conditions::{READY, reasons};
use serde_json::{Value, json};

use super::stage::Stage;

#[tokio::test(start_paused = true)]
async fn the_images_of_a_suspended_mirror_are_suspended_and_resumed_with_it() {
    let mut stage = Stage::new(2);
    stage.settle().await;
    stage.change(|spec| {
        spec.suspend = true;
        spec.entries.clear();
    });
    stage.pass(11).await;
    let bodies = stage.api.bodies("PATCH");
    let suspended = &bodies[bodies.len() - 1];
    assert_eq!(suspended["spec"], json!({ "suspend": true }), "and nothing else");
    assert_eq!(stage.writes().len(), 4, "none is deleted");
    assert_eq!(stage.condition(READY).reason, reasons::SUSPENDED);
}

/// A mirror of these many Images that has come to rest, and their names.
async fn at_rest(count: usize) -> (Stage, Vec<String>) {
    let mut stage = Stage::new(count);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    let names = stage.images().into_iter().filter_map(|image| image.metadata.name).collect();
    (stage, names)
}

/// The watch shows that an Image is suspended, with the mark of this mirror.
fn show_suspended(stage: &mut Stage, name: &str, mirror: &str) {
    let image = stage.images().into_iter().find(|image| image.metadata.name.as_deref() == Some(name));
    let mut image = image.unwrap();
    image.spec.suspend = true;
    let annotations = image.metadata.annotations.get_or_insert_default();
    annotations.insert(SUSPENDED_WITH_ANNOTATION.to_owned(), mirror.to_owned());
    stage.show(image);
}

/// How many times an Image was suspended or resumed with the mirror.
fn tries(stage: &Stage, name: &str) -> usize {
    let is_try = |line: &&String| line.contains("fieldManager=imgop-mirror-suspend") && line.contains(name);
    stage.writes().iter().filter(is_try).count()
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_suspended_or_resumed_keeps_no_other_one_waiting() {
    let (mut stage, names) = at_rest(3).await;
    stage.api.fail_with("PATCH", &names[0], 403, "denied by policy");
    stage.change(|spec| spec.suspend = true);
    stage.pass(11).await;
    assert_eq!(names.iter().map(|name| tries(&stage, name)).collect::<Vec<_>>(), [1, 1, 1]);
    names[1..].iter().for_each(|name| show_suspended(&mut stage, name, "acme"));
    let result = stage.pass(2).await;
    let said = stage.condition(READY).message.clone();
    assert!(said.contains(&names[0]) && said.contains("denied by policy"), "{said}");
    assert_eq!((tries(&stage, &names[0]), result.next.map(|wait| wait.as_secs())), (1, Some(30)));
    let before = stage.status().clone();
    stage.pass(30).await;
    assert_eq!(tries(&stage, &names[0]), 2);
    assert_eq!(*stage.status(), before, "nothing is written for that");
    stage.api.fail("PATCH", false);
    stage.pass(31).await;
    show_suspended(&mut stage, &names[0], "acme");
    stage.pass(2).await;
    assert!(!stage.condition(READY).message.contains("could not"), "{}", stage.condition(READY).message);

    stage.api.fail_with("PATCH", &names[0], 422, "spec: Invalid value");
    stage.change(|spec| spec.suspend = false);
    let before: Vec<usize> = names.iter().map(|name| tries(&stage, name)).collect();
    stage.pass(11).await;
    let after: Vec<usize> = names.iter().map(|name| tries(&stage, name)).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| before + 1 == *after), "{before:?} {after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copied_mark_resumes_nothing_that_its_owner_suspended_and_is_asked_about_once() {
    let (mut stage, names) = at_rest(2).await;
    show_suspended(&mut stage, &names[0], "acme");
    let mut left: Value = serde_json::to_value(&stage.images()[0]).unwrap();
    left["apiVersion"] = json!("skopeo.io/v1alpha1");
    stage.api.answer_with("PATCH", &names[0], left);
    for _ in 0..8 {
        stage.pass(11).await;
    }
    assert_eq!(tries(&stage, &names[0]), 1);
    let ready = stage.condition(READY);
    assert_eq!(ready.reason, reasons::IMAGES_NOT_READY);
    assert!(ready.message.contains("is suspended"), "{}", ready.message);
    let bodies = stage.api.bodies("PATCH");
    assert!(bodies.iter().all(|body| body["spec"]["suspend"] != json!(false)));
}

#[tokio::test(start_paused = true)]
async fn the_mark_of_another_mirror_keeps_no_image_from_being_suspended() {
    let (mut stage, names) = at_rest(1).await;
    let mut image = stage.images().remove(0);
    let annotations = image.metadata.annotations.get_or_insert_default();
    annotations.insert(SUSPENDED_WITH_ANNOTATION.to_owned(), "other".to_owned());
    stage.show(image);
    stage.change(|spec| spec.suspend = true);
    stage.pass(11).await;
    let body = stage.api.bodies("PATCH").pop().unwrap();
    assert_eq!(body["spec"], json!({ "suspend": true }));
    assert_eq!(body["metadata"]["annotations"][SUSPENDED_WITH_ANNOTATION], "acme");
    assert_eq!(tries(&stage, &names[0]), 1);
}
