//! What becomes of Jobs that use what is lent once their object is gone: no reference to an owner takes them with it.

use serde_json::json;

use super::*;
use crate::jobs::place_in;

/// A controller whose Image has a Job where those are that use what is lent.
async fn with_lent_job() -> Case {
    let case = Case::new().await;
    let (agent, owner) = (case.runner.kind.agent(), Owner::of(&case.image));
    let job = json!({ "metadata": { "name": "copies", "uid": "of the job" },
        "spec": { "template": { "spec": { "containers": [] } } } });
    let job: Job = serde_json::from_value(job).unwrap();
    agent.jobs.show(&place_in(job, &owner, agent.jobs.lent_namespace()));
    case
}

/// Lets what was begun go on, and returns how many Jobs were asked to be deleted by then.
async fn deletions(case: &Case) -> usize {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    case.api.requests().iter().filter(|line| line.starts_with("DELETE") && line.contains("/jobs/")).count()
}

#[tokio::test]
async fn the_deletion_of_an_object_deletes_its_jobs_elsewhere_and_no_others() {
    let case = with_lent_job().await;
    let agent = case.runner.kind.agent();
    let mut another = case.image.clone();
    another.metadata.uid = Some("another".to_owned());
    leave_queue(&Ok(watcher::Event::Delete(stored(another))), agent);
    leave_queue(&Ok(watcher::Event::Apply(stored(case.image.clone()))), agent);
    assert_eq!(deletions(&case).await, 0);
    leave_queue(&Ok(watcher::Event::Delete(stored(case.image.clone()))), agent);
    assert_eq!(deletions(&case).await, 1);
}

#[tokio::test]
async fn a_deletion_that_no_watch_saw_is_made_up_for_once_all_objects_are_known() {
    let case = with_lent_job().await;
    tokio::time::pause();
    let eviction = tokio::spawn(evict_deleted(case.runner.clone()));
    let after_a_round = async || {
        deletions(&case).await;
        tokio::time::advance(EVICTION_INTERVAL + Duration::from_secs(1)).await;
        deletions(&case).await
    };
    let lists = |objects: &[Image]| {
        let mut watched = case.watched.borrow_mut();
        watched.apply_watcher_event(&watcher::Event::Init);
        for object in objects {
            watched.apply_watcher_event(&watcher::Event::InitApply(stored(object.clone())));
        }
        watched.apply_watcher_event(&watcher::Event::InitDone);
    };
    let deleted = watcher::Event::Delete(stored(case.image.clone()));
    case.watched.borrow_mut().apply_watcher_event(&deleted);
    assert_eq!(after_a_round().await, 0, "what is not listed yet is not gone");
    lists(std::slice::from_ref(&case.image));
    assert_eq!(after_a_round().await, 0, "it is there");
    lists(&[]);
    assert_eq!(after_a_round().await, 1);
    eviction.abort();
}
