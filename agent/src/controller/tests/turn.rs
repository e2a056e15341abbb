//! What the wait for a turn means for a pass.

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

#[tokio::test]
async fn all_namespaces_together_have_as_many_passes_at_once_as_the_settings_say() {
    let case = Case::new().await;
    let all = all_turns(&case).await;
    let object = stored(case.image.clone());
    let mut pass = std::pin::pin!(case.runner.reconcile(&object));
    for _ in 0..50 {
        assert!(futures::poll!(pass.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(all);
    pass.await;
}

/// Reconciles the Image, of which something `changes` while it waits for a turn. Returns whether anything was asked.
async fn is_asked_after(changes: impl FnOnce(&Case, Image)) -> bool {
    let mut case = Case::new().await;
    // Another spec is due at once.
    case.image.metadata.generation = Some(2);
    case.shows(stored(case.image.clone()));
    let all = all_turns(&case).await;
    let object = stored(case.image.clone());
    let mut pass = std::pin::pin!(case.runner.reconcile(&object));
    assert!(futures::poll!(pass.as_mut()).is_pending());
    changes(&case, case.image.clone());
    drop(all);
    pass.await;
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
    assert!(!is_asked_after(shows(|image| image.metadata.uid = Some("another".to_owned()))).await);
    let deleted = |case: &Case, image| {
        let event = watcher::Event::Delete(stored(image));
        case.watched.borrow_mut().apply_watcher_event(&event);
    };
    assert!(!is_asked_after(deleted).await);
}
