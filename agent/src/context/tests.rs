//! How an agent begins.

use imgop_fakes::{ApiServer, forbidden};
use serde_json::json;

use crate::image::tests::fixtures::{agent, listed_job};

#[tokio::test]
async fn a_namespace_whose_jobs_cannot_be_listed_stops_no_other() {
    let answer = |path: &str| match path {
        path if path.contains("/namespaces/a/") => forbidden(),
        _ => (200, json!({"metadata": {}, "items": [listed_job("j", "uid", "uid")]})),
    };
    let context = agent(ApiServer::scripted(answer).client(), "a,team-a").await.unwrap();
    assert_eq!(context.budget.unfinished("uid"), 1);
    assert!(context.may_have_jobs("uid"));
}

#[tokio::test]
async fn an_agent_that_may_list_nowhere_does_not_begin() {
    assert!(agent(ApiServer::scripted(|_| forbidden()).client(), "a,b").await.is_err());
    assert!(agent(ApiServer::scripted(|_| forbidden()).client(), "*").await.is_err());
}

#[tokio::test]
async fn jobs_that_are_forged_without_end_do_not_keep_the_agent_from_beginning() {
    let endless = |_: &str| {
        let items = [listed_job("j", "uid", "uid"), listed_job("k", "forged", "another")];
        (200, json!({"metadata": {"continue": "more"}, "items": items}))
    };
    let context = agent(ApiServer::scripted(endless).client(), "*").await.unwrap();
    assert!(context.may_have_jobs("uid") && !context.may_have_jobs("forged"));
}
