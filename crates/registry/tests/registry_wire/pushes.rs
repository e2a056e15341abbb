//! Whether an account may push, found out before anything is made that would be pushed.

use imgop_fakes::{ScriptedRegistry, client, reply};
use imgop_registry::Reason;

async fn that_answers(status: u16) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match seen.method.as_str() {
        "POST" => reply(status, &[("location", "/v2/a/blobs/uploads/1?_state=s")], ""),
        _ => reply(204, &[], ""),
    })
    .await
}

#[tokio::test]
async fn the_right_to_push_is_checked_with_two_requests_and_leaves_no_upload() {
    let registry = that_answers(202).await;
    client(&registry.repository("a")).check_push().await.unwrap();
    assert_eq!(registry.lines(), ["POST /v2/a/blobs/uploads/", "DELETE /v2/a/blobs/uploads/1?_state=s"]);
}

#[tokio::test]
async fn who_may_not_push_is_told_so_with_one_request() {
    for (status, reason) in [(401, Reason::Unauthorized), (403, Reason::Forbidden)] {
        let registry = that_answers(status).await;
        let error = client(&registry.repository("a")).check_push().await.unwrap_err();
        assert_eq!(*error.reason(), reason);
        assert!(error.to_string().starts_with("cannot push to "), "{error}");
        assert_eq!(registry.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_wants_no_empty_upload_is_left_to_the_push_itself() {
    for status in [201, 400, 404, 405] {
        assert!(client(&that_answers(status).await.repository("a")).check_push().await.is_ok(), "{status}");
    }
}
