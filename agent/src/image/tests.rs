//! Whole looks, the status that is written after them, and what is done beside them.

pub mod fixtures;
pub mod stage;

use imgop_core::api::Mode;
use imgop_core::api::conditions::STALLED;
use imgop_fakes::ApiServer;
use serde_json::json;

use super::*;
use crate::image::schedule::later;
use crate::image::tests::fixtures::{agent, image, listed_job, now};
use crate::image::tests::stage::Stage;

/// An agent whose API server has one unfinished Job of this Image, and takes every status.
async fn agent_with_a_job(image: &Image) -> Context {
    let uid = image.uid().unwrap();
    let told = serde_json::to_value(image).unwrap();
    let server = ApiServer::scripted(move |path| match path {
        path if path.contains("/jobs") => {
            (200, json!({"metadata": {}, "items": [listed_job("j", &uid, &uid)]}))
        }
        _ => (200, told.clone()),
    });
    agent(server.client(), "*").await.unwrap()
}

#[tokio::test]
async fn a_deleted_image_frees_its_places_at_once() {
    let image = image(Mode::Recurrent);
    let uid = image.uid().unwrap();
    let context = agent_with_a_job(&image).await;
    assert!(context.budget.unfinished(&uid) == 1 && context.may_have_jobs(&uid));
    free_places(&Ok(watcher::Event::Apply(DeserializeGuard(Ok(image.clone())))), &context);
    assert_eq!(context.budget.unfinished(&uid), 1);
    free_places(&Ok(watcher::Event::Delete(DeserializeGuard(Ok(image)))), &context);
    assert!(context.budget.unfinished(&uid) == 0 && !context.may_have_jobs(&uid));
}

#[tokio::test]
async fn a_look_at_an_image_that_was_deleted_meanwhile_keeps_no_places() {
    for is_there in [true, false] {
        let mut image = image(Mode::Recurrent);
        image.spec.source.version = "no [version".into();
        let uid = image.uid().unwrap();
        let context = Arc::new(agent_with_a_job(&image).await);
        let (store, mut writer) = reflector::store();
        if is_there {
            writer.apply_watcher_event(&watcher::Event::Apply(DeserializeGuard(Ok(image.clone()))));
        }
        context.rivals.watch(vec![store]);
        reconcile(Arc::new(DeserializeGuard(Ok(image))), context.clone()).await.unwrap();
        assert_eq!(context.budget.unfinished(&uid), usize::from(is_there));
    }
}

#[tokio::test]
async fn the_agent_is_ready_without_a_namespace_that_it_cannot_watch() {
    let (unknown, ready) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicBool::new(false)));
    ready_without_some(Duration::ZERO, 2, unknown, ready.clone()).await;
    assert!(ready.load(Ordering::Acquire));
}

#[tokio::test]
async fn all_namespaces_together_have_as_many_looks_at_once_as_the_settings_say() {
    let image = image(Mode::Recurrent);
    let context = Arc::new(agent_with_a_job(&image).await);
    let all = context.turns.acquire_many(context.config.max_concurrent_reconciles.into()).await.unwrap();
    let mut looking = std::pin::pin!(reconcile(Arc::new(DeserializeGuard(Ok(image))), context.clone()));
    for _ in 0..50 {
        assert!(futures::poll!(looking.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(all);
    looking.await.unwrap();
}

#[tokio::test]
async fn a_status_that_could_not_be_written_is_written_later_without_asking_any_registry() {
    let stage = Stage::of_a_synced_image().await;
    stage.registry.refuse(401);
    stage.api.fail("PATCH", true);
    let mut memory = memory::Remembered { next_look: Some(now()), ..memory::Remembered::default() };
    assert!(look(&stage.context, &stage.image, &mut memory, now()).await.is_err());
    let asked = stage.registry.requests().len();
    assert!(asked > 0 && stage.api.bodies("PATCH").len() == 1);

    stage.api.fail("PATCH", false);
    for seconds in [1, 2] {
        let at = later(now(), Duration::from_secs(seconds));
        look(&stage.context, &stage.image, &mut memory, at).await.unwrap();
    }
    let written = stage.api.bodies("PATCH");
    assert_eq!(written.len(), 2, "once more, and then it is said");
    let status: ImageStatus = serde_json::from_value(written[1]["status"].clone()).unwrap();
    assert_eq!(find(&status.conditions, STALLED).unwrap().reason, reasons::REGISTRY_UNAUTHORIZED);
    assert_eq!(stage.registry.requests().len(), asked);
}

#[tokio::test]
async fn what_was_copied_is_history_and_counted_once_also_when_its_status_is_written_late() {
    let stage = Stage::of_a_synced_image().await;
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", "{}");
    stage.registry.hold_manifest("target", "v2.13.1", "{}");
    stage.api.fail("PATCH", true);
    let mut memory =
        memory::Remembered { next_look: Some(now()), published: 1, ..memory::Remembered::default() };
    let copied = || stage.context.metrics.tags_copied.get();
    assert!(look(&stage.context, &stage.image, &mut memory, now()).await.is_err());
    assert_eq!(copied(), 0, "nothing is counted that may be counted again");

    stage.api.fail("PATCH", false);
    look(&stage.context, &stage.image, &mut memory, later(now(), Duration::from_secs(1))).await.unwrap();
    let written = stage.api.bodies("PATCH");
    let status: ImageStatus = serde_json::from_value(written[1]["status"].clone()).unwrap();
    assert_eq!(status.history[0].copied, Some(1));
    assert_eq!((copied(), memory.published), (1, 0));
}

#[tokio::test]
async fn a_status_of_a_new_spec_that_could_not_be_written_is_written_without_asking_any_registry() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.status = None;
    stage.registry.refuse(401);
    stage.api.fail("PATCH", true);
    let mut memory = memory::Remembered::default();
    assert!(look(&stage.context, &stage.image, &mut memory, now()).await.is_err());
    let asked = stage.registry.requests().len();
    for seconds in [2, 4] {
        let at = later(now(), Duration::from_secs(seconds));
        assert!(look(&stage.context, &stage.image, &mut memory, at).await.is_err());
    }
    stage.api.fail("PATCH", false);
    look(&stage.context, &stage.image, &mut memory, later(now(), Duration::from_secs(8))).await.unwrap();
    assert_eq!(stage.registry.requests().len(), asked, "its credential is refused, and not shown again");
    assert!(memory.unsaid.is_none());
}

#[tokio::test]
async fn a_status_whose_answer_was_lost_is_not_written_twice() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.registry.refuse(401);
    stage.api.fail("PATCH", true);
    let mut memory = memory::Remembered { next_look: Some(now()), ..memory::Remembered::default() };
    assert!(look(&stage.context, &stage.image, &mut memory, now()).await.is_err());
    // It was written all the same, as the watch tells.
    let written = stage.api.bodies("PATCH").pop().unwrap();
    stage.image.status = serde_json::from_value(written["status"].clone()).unwrap();
    look(&stage.context, &stage.image, &mut memory, later(now(), Duration::from_secs(2))).await.unwrap();
    assert_eq!(stage.api.bodies("PATCH").len(), 1);
    assert!(memory.unsaid.is_none());
}
