//! Tags that are set, or only found, at a small registry on loopback.

use std::task::Poll;

use imgop_core::api::Mode;
use imgop_core::copy::{CopyRequest, Observed};
use imgop_fakes::{ApiServer, WritableRegistry};
use imgop_registry::{Access, Registries, Settings};

use super::*;
use crate::image::memory::Remembered;
use crate::image::tests::fixtures::{agent, copy, image, now, request};

const MANIFEST: &str = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

/// Whether the right to write is proven once this tag was published so.
async fn is_proven(publish: Publish) -> bool {
    let server = ApiServer::scripted(|_| (200, serde_json::json!({"metadata": {}, "items": []})));
    let (context, image) = (agent(server.client(), "*").await.unwrap(), image(Mode::Recurrent));
    let registry = WritableRegistry::start().await;
    registry.hold_content("app", MANIFEST);
    registry.hold_manifest("app", "v2.13.1", if publish == Publish::Direct { MANIFEST } else { "before" });
    let request = CopyRequest { destination: registry.repository("app"), publish, ..request(&image) };
    let registries = Registries::new(Settings { system_proxy: false, ..Settings::default() });
    let client = registries.repository(&request.destination, &Access::default());
    let mut work = Work {
        request: &request,
        observed_at: now(),
        observed: Observed::default(),
        runs: Vec::new(),
        failures: Vec::new(),
        taken: std::collections::HashMap::new(),
        retry_now: false,
    };
    let mut memory = Remembered::default();
    let mut look = Look { context: &context, image: &image, memory: &mut memory, now: now() };
    let copy = Copy { digest: Digest::of(MANIFEST.as_bytes()), ..copy("v2.13.1", 1) };
    let end = Instant::now() + PATIENCE;
    look.publish_all((&client, &client), vec![copy], &mut work, end).await.unwrap();
    assert_eq!(memory.published, 1);
    let uid = image.metadata.uid.as_deref().unwrap();
    let proven = context.rivals.written_to(uid) == Some(request.destination.clone());
    assert_eq!(proven, registry.count("PUT") > 0);
    proven
}

#[tokio::test]
async fn only_a_tag_that_was_put_proves_that_an_image_may_write() {
    assert!(is_proven(Publish::Staged).await);
    assert!(!is_proven(Publish::Direct).await, "who put the tag that is shown is not known");
}

#[tokio::test]
async fn what_was_done_before_the_end_is_kept_and_what_never_ends_is_left() {
    let setting = futures::stream::iter([1, 2, 3]).map(|n| async move {
        if n == 2 {
            std::future::pending::<()>().await;
        }
        n
    });
    let mut looks = 0;
    let end = std::future::poll_fn(|context| {
        looks += 1;
        context.waker().wake_by_ref();
        if looks > 5 { Poll::Ready(()) } else { Poll::Pending }
    });
    let done: Vec<i32> = until(end, setting.buffer_unordered(AT_ONCE)).collect().await;
    assert_eq!(done, [1, 3]);
}
