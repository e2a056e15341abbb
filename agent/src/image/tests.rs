//! What is done beside the looks.

use imgop_core::api::Mode;
use serde_json::json;

use super::*;
use crate::image::fixtures::{agent, api_server, image, listed_job};

/// An agent whose API server has one unfinished Job of this Image, and takes every status.
async fn agent_with_a_job(image: &Image) -> Context {
    let uid = image.uid().unwrap();
    let told = serde_json::to_value(image).unwrap();
    let (client, _) = api_server(move |path| match path {
        path if path.contains("/jobs") => {
            (200, json!({"metadata": {}, "items": [listed_job("j", &uid, &uid)]}))
        }
        _ => (200, told.clone()),
    });
    agent(client, "*").await.unwrap()
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
