//! What the wait for a turn means for a pass.

use futures::channel::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::turns::Turn;

/// Takes all turns that there are.
async fn all_turns(case: &Case) -> Vec<Turn> {
    let agent = case.runner.kind.agent();
    let mut all = Vec::new();
    for n in 0..agent.config.max_concurrent_reconciles {
        let key = TurnKey { namespace: n.to_string(), hosts: Vec::new() };
        all.push(agent.turns.take(key).await.unwrap());
    }
    all
}

/// Shows a worker that the Image is due, lets `meanwhile` happen while it waits for a turn, and then gives it one.
/// Returns how many passes there were.
async fn passes_after(case: &Case, meanwhile: impl FnOnce(&Case)) -> u64 {
    let all = all_turns(case).await;
    let (watch, changed) = mpsc::unbounded();
    let stop = CancellationToken::new();
    let mut worker = std::pin::pin!(Worker::new(case.runner.clone()).run(changed, stop.clone()));
    // However often something comes, it waits once.
    for _ in 0..3 {
        watch.unbounded_send(vec![case.name()]).unwrap();
    }
    for _ in 0..50 {
        assert!(futures::poll!(worker.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(case.passes(), 0);
    meanwhile(case);
    drop(all);
    assert!(futures::poll!(worker.as_mut()).is_pending());
    stop.cancel();
    worker.await;
    case.passes()
}

#[tokio::test]
async fn all_namespaces_together_have_as_many_passes_at_once_as_the_settings_say() {
    let case = Case::new().await;
    assert_eq!(passes_after(&case, |_| {}).await, 1);
}

/// Reconciles the Image, of which something `changes` while it waits for a turn. Returns whether anything was asked.
async fn is_asked_after(changes: impl FnOnce(&Case, Image)) -> bool {
    let mut case = Case::new().await;
    // Another spec is due at once.
    case.image.metadata.generation = Some(2);
    case.shows(stored(case.image.clone()));
    passes_after(&case, |case| changes(case, case.image.clone())).await;
    !case.registry.requests().is_empty()
}

#[tokio::test]
async fn what_changes_while_a_pass_waits_for_its_turn_counts() {
    assert!(is_asked_after(|_, _| {}).await);
    let shows = |change: fn(&mut Image)| {
        move |case: &Case, mut image: Image| {
            change(&mut image);
            case.shows(stored(image));
        }
    };
    assert!(!is_asked_after(shows(|image| image.spec.suspend = true)).await);
    let deleting = |image: &mut Image| {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now());
        image.metadata.deletion_timestamp = Some(now);
    };
    assert!(!is_asked_after(shows(deleting)).await);
    let anew = |image: &mut Image| image.metadata.uid = Some("another".to_owned());
    assert!(is_asked_after(shows(anew)).await, "it is reconciled as the one that it is by then");
    let deleted = |case: &Case, image| {
        let event = watcher::Event::Delete(stored(image));
        case.watched.borrow_mut().apply_watcher_event(&event);
    };
    assert!(!is_asked_after(deleted).await);
}

#[tokio::test]
async fn an_object_that_one_of_its_jobs_wakes_is_reconciled_without_a_change() {
    let case = Case::new().await;
    let (_watch, changed) = mpsc::unbounded();
    let stop = CancellationToken::new();
    let mut worker = std::pin::pin!(Worker::new(case.runner.clone()).run(changed, stop.clone()));
    assert!(futures::poll!(worker.as_mut()).is_pending());
    let jobs = &case.runner.kind.agent().jobs;
    jobs.wake(&Owner::of(&case.image));
    assert!(futures::poll!(worker.as_mut()).is_pending());
    stop.cancel();
    worker.await;
    assert_eq!(case.passes(), 1);
}

#[tokio::test]
async fn a_change_makes_one_object_due_and_a_list_all_of_them_once_they_are_known() {
    let (store, mut writer) = reflector::store();
    let mut due = |event| {
        writer.apply_watcher_event(&event);
        changed(&Ok(event), &store)
    };
    let image = crate::image::tests::fixtures::image(imgop_core::api::Mode::Recurrent);
    let one = stored(image.clone());
    assert_eq!(due(watcher::Event::Apply(one.clone())), [one.namespaced_name().clone()]);
    assert_eq!(due(watcher::Event::Init).len(), 0);
    assert_eq!(due(watcher::Event::InitApply(one.clone())).len(), 0);
    assert_eq!(due(watcher::Event::InitDone), [one.namespaced_name().clone()]);
    assert_eq!(due(watcher::Event::Delete(one)).len(), 0);
}
