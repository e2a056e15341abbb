//! Whether an account may push, found out before anything is made that would be pushed; and blobs that are uploaded.

use std::io::Write as _;

use imgop_fakes::{ScriptedRegistry, UploadRegistry, basic, client, reply, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Content, Reason, Registries, RepositoryClient};

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

/// The client of the user of a registry.
fn user(registry: &UploadRegistry) -> RepositoryClient {
    Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "hunter2"))
}

#[tokio::test]
async fn a_file_is_uploaded_as_a_whole_once() {
    let registry = UploadRegistry::start().await;
    let client = user(&registry);
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let digest = Digest::of(&bytes);
    let content = || Content::File { path: file.path().to_owned(), length: bytes.len() as u64 };
    assert!(client.upload_blob(&digest, content()).await.unwrap());
    let place = format!("a/blobs/{digest}");
    assert_eq!(registry.held(&place).as_deref(), Some(bytes.as_slice()));
    let put = registry.sent("PUT ").remove(0);
    assert_eq!(put.header("content-length"), Some(bytes.len().to_string().as_str()));
    assert_eq!(put.query("state"), Some("s"), "what the registry added to the place stays");
    assert!(!client.upload_blob(&digest, content()).await.unwrap());
    let lines = [
        format!("HEAD /v2/{place}"),
        "POST /v2/a/blobs/uploads/".to_owned(),
        put.line(),
        format!("HEAD /v2/{place}"),
    ];
    assert_eq!(registry.lines(), lines);
}

#[tokio::test]
async fn an_upload_that_is_refused_is_cancelled() {
    let registry = UploadRegistry::start().await;
    let other = Digest::of(b"other");
    let error = user(&registry).upload_blob(&other, b"these".to_vec().into()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot upload {other} to ")), "{error}");
    assert_eq!(*error.reason(), Reason::Rejected);
    assert_eq!(registry.lines().last().unwrap(), "DELETE /v2/a/blobs/uploads/1?state=s");
    let gone = Content::File { path: "/no/such/file".into(), length: 1 };
    let error = user(&registry).upload_blob(&other, gone).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/file cannot be read"), "{error}");
}
