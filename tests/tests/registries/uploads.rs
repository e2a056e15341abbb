//! What registries make of an upload of which a chunk breaks off.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use imgop_registry::reference::Digest;
use imgop_registry::{Content, ContentStream};
use imgop_tests::wait::poll;

use crate::every_registry::{Way, registries};

/// Bytes of a chunk, and of what arrives of the one that breaks off.
const CHUNK: usize = 1 << 20;
const HALF: usize = CHUNK / 2;

#[tokio::test]
async fn an_upload_of_which_a_chunk_breaks_off_goes_on_at_distribution_3_and_begins_anew_at_2()
-> anyhow::Result<()> {
    for registry in registries(Way::Open).await? {
        let (_, client) = registry.client("uploads/broken", &registry.access())?;
        let blob = Bytes::from("a layer ".repeat(2 * CHUNK / 8));
        let (digest, length) = (Digest::of(&blob), u64::try_from(CHUNK)?);
        let begun = client.begin_upload(&digest).await?;
        let first = Content::from(blob.slice(..CHUNK));
        let upload = client.append_chunk(&begun, &digest, first, length).await?;
        let place = upload.place().context("its place is elsewhere")?;
        let kept = client.resume_upload(place, &digest).await?.map(|upload| upload.position());
        assert_eq!(kept, Some(length), "{registry}");
        let half = stream::iter([Ok::<Bytes, io::Error>(blob.slice(CHUNK..CHUNK + HALF))]);
        let second = Content::Stream(ContentStream::new(length, half.chain(stream::pending())));
        let arrived = poll("half of a chunk has arrived", Duration::from_mins(1), || async {
            let left = client.resume_upload(place, &digest).await?;
            let position = left.as_ref().map(|upload| usize::try_from(upload.position()));
            let has_arrived = position.transpose()?.is_none_or(|position| position == CHUNK + HALF);
            anyhow::Ok(has_arrived.then_some(left))
        });
        let left = tokio::select! {
            _ = client.append_chunk(&upload, &digest, second, length) => bail!("a chunk has ended that has no end"),
            left = arrived => left?,
        };
        if registry.program == "docker-registry" {
            assert_eq!(left, None, "{registry}");
            continue;
        }
        let rest = Content::from(blob.slice(CHUNK + HALF..));
        client.finish_upload(&left.context("it is gone")?, &digest, rest).await?;
        assert!(client.has_blob(&digest).await?, "{registry}");
    }
    Ok(())
}
