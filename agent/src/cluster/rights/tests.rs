use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::cluster::fixtures::api_server;

const ACCOUNT: &str = "imgop-system:imgop-agent";

/// Rights that an administrator grants when the switch is set.
fn granted_by(switch: &Arc<AtomicBool>) -> (Rights, crate::cluster::fixtures::Asked) {
    let switch = switch.clone();
    let (client, asked) = api_server(move |_| {
        let allowed = switch.load(Ordering::Relaxed);
        (201, serde_json::json!({"metadata": {}, "spec": {}, "status": {"allowed": allowed}}).to_string())
    });
    (Rights::new(client, ACCOUNT.to_owned()), asked)
}

#[tokio::test]
async fn a_namespace_that_was_just_enabled_is_when_a_sync_is_requested() {
    let switch = Arc::default();
    let (rights, asked) = granted_by(&switch);
    let may = async |freshness| rights.may(Right::CREATE_JOBS, "team-a", freshness).await.unwrap();
    assert!(!may(Freshness::Cached).await);
    switch.store(true, Ordering::Relaxed);
    assert!(!may(Freshness::Cached).await, "it was asked a moment ago");
    assert!(may(Freshness::Now).await);
    assert!(may(Freshness::Cached).await && may(Freshness::Now).await);
    assert_eq!(asked.lock().unwrap().len(), 2, "a right that is there is not asked for each time");
}

#[tokio::test]
async fn the_right_that_is_missing_is_named() {
    let switch = Arc::new(AtomicBool::new(true));
    let (rights, asked) = granted_by(&switch);
    let missing =
        async |namespace| rights.missing(&Right::FOR_JOBS, namespace, Freshness::Cached).await.unwrap();
    assert_eq!(missing("team-a").await, None);
    assert_eq!(asked.lock().unwrap().len(), Right::FOR_JOBS.len());
    switch.store(false, Ordering::Relaxed);
    assert_eq!(missing("team-b").await, Some(Right::CREATE_JOBS));
    assert_eq!(Right::DELETE_JOBS.to_string(), "delete jobs");
}

#[tokio::test]
async fn the_advice_is_a_command() {
    let (rights, _) = granted_by(&Arc::default());
    insta::assert_snapshot!(rights.how_to_grant(Right::LIST_PODS, "team-a"), @"to allow it: kubectl create rolebinding imgop-agent -n team-a --clusterrole=imgop-agent-namespace --serviceaccount=imgop-system:imgop-agent");
    insta::assert_snapshot!(rights.how_to_grant(Right::GET_SECRETS, "team-a"), @"to allow it: kubectl create rolebinding imgop-agent-secrets -n team-a --clusterrole=imgop-agent-secrets --serviceaccount=imgop-system:imgop-agent");
    insta::assert_snapshot!(rights.how_to_grant(Right::USE_AWS, "team-a"), @"to allow it: kubectl create rolebinding imgop-agent-aws -n team-a --clusterrole=imgop-agent-aws --serviceaccount=imgop-system:imgop-agent");
}

#[tokio::test]
async fn a_right_that_many_passes_ask_for_at_once_is_reviewed_once() {
    let (rights, asked) = granted_by(&Arc::new(AtomicBool::new(true)));
    for freshness in [Freshness::Cached, Freshness::Now] {
        let all = (0..100).map(|_| rights.may(Right::CREATE_JOBS, "team-a", freshness));
        for may in futures::future::join_all(all).await {
            assert!(may.unwrap());
        }
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
}
