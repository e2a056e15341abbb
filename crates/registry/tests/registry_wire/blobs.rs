//! Blobs that are read and uploaded piece by piece.

use std::time::Duration;

use imgop_fakes::{Fault, ScriptedRegistry, StoringRegistry, client, reply, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{
    Access, Begun, BlobStream, Content, ContentStream, Registries, RegistryError, Settings,
};

async fn all(mut stream: BlobStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.piece().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

#[tokio::test]
async fn a_blob_is_read_from_any_byte_on_with_a_closed_range() {
    let registry = StoringRegistry::start().await;
    let digest = registry.hold_blob("app", "0123456789");
    let client = client(&registry.repository("app"));
    let whole = client.read_blob(&digest, 0, 10, None).await.unwrap();
    assert_eq!((whole.offset(), whole.length()), (0, Some(10)));
    let slot = whole.slot();
    assert_eq!(all(whole).await, b"0123456789");
    let part = client.read_blob(&digest, 7, 10, Some(slot)).await.unwrap();
    assert_eq!((part.offset(), all(part).await.as_slice()), (7, b"789".as_slice()));
    let ranges: Vec<_> = registry.asked().into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=7-9".to_owned())]);
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_says_where_it_begins() {
    let registry = ScriptedRegistry::start(|_| reply(200, &[], "0123456789")).await;
    let stream = client(&registry.repository("app")).read_blob(&Digest::of(b"x"), 7, 10, None).await.unwrap();
    assert_eq!(stream.offset(), 0);
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_an_error_that_names_it() {
    let registry = StoringRegistry::start().await;
    let digest = registry.hold_blob("app", "0123456789");
    registry.fail(|_, _| Some(Fault::Cut(4)));
    let mut stream = client(&registry.repository("app")).read_blob(&digest, 0, 10, None).await.unwrap();
    let mut read = 0;
    let error = loop {
        match stream.piece().await {
            Ok(piece) => read += piece.expect("no end").len(),
            Err(error) => break error,
        }
    };
    assert_eq!(read, 4);
    assert!(error.is_retryable() && error.to_string().contains(digest.as_str()), "{error}");
}

#[tokio::test]
async fn an_upload_in_chunks_goes_on_where_the_registry_says() {
    let registry = StoringRegistry::start().await;
    let client = client(&registry.repository("app"));
    let digest = Digest::of(b"0123456789");
    let upload = client.begin_upload(&digest).await.unwrap();
    let upload = client.append_chunk(&upload, &digest, Content::from("0123"), 4).await.unwrap();
    assert_eq!(upload.position(), 4);
    let place = upload.place().unwrap().to_owned();
    let upload = client.resume_upload(&place, &digest).await.unwrap().unwrap();
    let upload = client.append_chunk(&upload, &digest, Content::from("456789"), 6).await.unwrap();
    client.finish_upload(&upload, &digest, Content::from("")).await.unwrap();
    assert_eq!(registry.blobs("app")[digest.as_str()], "0123456789");
    assert_eq!(client.resume_upload(&place, &digest).await.unwrap(), None, "it has ended");
}

#[tokio::test]
async fn a_place_that_is_not_at_the_registry_is_not_asked() {
    let (registry, other) = (StoringRegistry::start().await, StoringRegistry::start().await);
    let client = client(&registry.repository("app"));
    let digest = Digest::of(b"x");
    for place in [format!("http://{}/v2/app/blobs/uploads/1", other.address), "no address".to_owned()] {
        assert_eq!(client.resume_upload(&place, &digest).await.unwrap(), None);
    }
    assert_eq!(registry.asked().len() + other.asked().len(), 0);
}

#[tokio::test]
async fn a_place_of_the_registry_that_is_none_of_uploads_to_the_repository_is_sent_nothing() {
    let registry = StoringRegistry::start().await;
    let client = client(&registry.repository("app"));
    let digest = Digest::of(b"x");
    for path in [
        format!("prod/manifests/{digest}"),
        format!("app/manifests/{digest}"),
        "prod/blobs/uploads/1".to_owned(),
        "app/blobs/uploads/../../../prod/manifests/latest".to_owned(),
        "app/blobs/uploads/..%2f..%2f..%2fprod%2fmanifests%2flatest".to_owned(),
    ] {
        let place = format!("http://{}/v2/{path}", registry.address);
        assert_eq!(client.resume_upload(&place, &digest).await.unwrap(), None, "{path}");
    }
    assert_eq!(registry.asked().len(), 0);
}

#[tokio::test]
async fn an_upload_goes_on_at_an_unusual_place_for_the_process_that_was_given_it_alone() {
    let registry = ScriptedRegistry::start(|seen| match seen.method.as_str() {
        "GET" => reply(204, &[("range", "0-3")], ""),
        _ => reply(202, &[("location", "/artifacts-uploads/1"), ("range", "0-3")], ""),
    })
    .await;
    let digest = Digest::of(b"0123456789");
    let given = client(&registry.repository("app"));
    let upload = given.begin_upload(&digest).await.unwrap();
    let place = upload.place().unwrap().to_owned();
    assert_eq!(given.resume_upload(&place, &digest).await.unwrap().unwrap().position(), 4);
    let another = client(&registry.repository("app"));
    assert_eq!(another.resume_upload(&place, &digest).await.unwrap(), None);
    assert_eq!(registry.count("GET /artifacts-uploads/"), 1);
}

#[tokio::test]
async fn a_registry_that_does_not_say_how_much_it_has_of_an_upload_is_sent_it_anew() {
    let registry = ScriptedRegistry::start(|_| reply(200, &[], "a manifest")).await;
    let place = format!("http://{}/v2/app/blobs/uploads/1", registry.address);
    let client = client(&registry.repository("app"));
    assert_eq!(client.resume_upload(&place, &Digest::of(b"x")).await.unwrap(), None);
}

#[tokio::test]
async fn an_upload_that_is_begun_instead_of_a_mount_is_used() {
    let registry = StoringRegistry::start().await;
    let digest = registry.hold_blob("base", "layer");
    let client = client(&registry.repository("app"));
    let from = registry.repository("base");
    assert_eq!(client.mount_or_begin(&digest, &from).await.unwrap(), Begun::Mounted);
    registry.refuse_mounts();
    let Begun::Upload(upload) = client.mount_or_begin(&digest, &from).await.unwrap() else {
        panic!("nothing is mounted")
    };
    client.finish_upload(&upload, &digest, Content::from("layer")).await.unwrap();
    assert_eq!((registry.count("POST "), registry.count("DELETE "), registry.uploads()), (2, 0, 0));
}

/// A registry that takes chunks, and answers the end of an upload like this after a while.
async fn ending(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    after: Duration,
) -> ScriptedRegistry {
    ScriptedRegistry::start_async(move |seen| async move {
        match seen.method.as_str() {
            "PUT" => {
                tokio::time::sleep(after).await;
                reply(status, headers, "")
            }
            "PATCH" => reply(202, &[("location", "/v2/app/blobs/uploads/1"), ("range", "0-3")], ""),
            _ => reply(202, &[("location", "/v2/app/blobs/uploads/1")], ""),
        }
    })
    .await
}

/// Uploads four bytes in a chunk, and ends that.
async fn end(registry: &ScriptedRegistry, settings: Settings) -> Result<(), RegistryError> {
    let client = Registries::new(settings).repository(&registry.repository("app"), &Access::default());
    let digest = Digest::of(b"0123");
    let upload = client.begin_upload(&digest).await.unwrap();
    let upload = client.append_chunk(&upload, &digest, Content::from("0123"), 4).await.unwrap();
    client.finish_upload(&upload, &digest, Content::from("")).await
}

#[tokio::test]
async fn a_registry_may_take_its_time_to_put_an_upload_together_and_is_asked_for_it_once() {
    let moment = Duration::from_millis(50);
    let slow = ending(201, &[], moment * 4).await;
    end(&slow, Settings { read_timeout: moment, ..settings() }).await.unwrap();
    assert_eq!(slow.count("PUT "), 1);
    let failing = ending(503, &[], Duration::ZERO).await;
    assert!(end(&failing, settings()).await.unwrap_err().is_retryable());
    assert_eq!(failing.count("PUT "), 1, "what it has begun is not begun anew");
}

#[tokio::test]
async fn a_blob_is_there_only_if_the_registry_says_so_and_names_no_other_one() {
    const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    for (status, headers) in [(202, &[][..]), (201, &[("docker-content-digest", OTHER)][..])] {
        let registry = ending(status, headers, Duration::ZERO).await;
        assert!(end(&registry, settings()).await.is_err(), "{status} {headers:?}");
    }
    let silent = ending(201, &[("docker-content-digest", "")], Duration::ZERO).await;
    end(&silent, settings()).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_wants_fewer_requests_is_not_asked_to_drop_an_upload() {
    let registry = StoringRegistry::start().await;
    let client = client(&registry.repository("app"));
    let digest = Digest::of(b"layer");
    registry.fail(|_, line| line.starts_with("PUT ").then_some(Fault::TooMany));
    let upload = client.begin_upload(&digest).await.unwrap();
    let stream = || {
        let pieces = futures::stream::iter([Ok(bytes::Bytes::from("layer"))]);
        Content::Stream(ContentStream::new(5, pieces))
    };
    assert!(client.finish_upload(&upload, &digest, stream()).await.is_err());
    assert_eq!((registry.count("DELETE "), registry.uploads()), (0, 1));
    registry.heal();
    client.finish_upload(&upload, &digest, stream()).await.unwrap();
}
