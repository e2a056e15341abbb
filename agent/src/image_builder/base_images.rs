//! What the tags show that builds are made from. However many `ImageBuilders` name a tag, it is looked up once a period
//! with each credential.

use std::time::Duration;

use imgop_core::build::ImageReference;
use imgop_registry::cache::{Bounded, SingleFlight};
use imgop_registry::reference::Digest;
use imgop_registry::{Account, RegistryError, RepositoryClient};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Tags of which the answers are kept.
const MAX_TAGS: usize = 10_000;
/// How long an answer is kept at most.
const MAX_TTL: Duration = Duration::from_hours(24);

/// What one account sees of an image: it says nothing of what another one may see.
type Key = (Account, ImageReference);
type Answer = Result<Option<Digest>, RegistryError>;

/// What tags show, as it was last seen.
#[derive(Default)]
pub(super) struct BaseImages {
    seen: Mutex<Option<Bounded<Key, (Digest, Instant)>>>,
    requests: SingleFlight<Key, Answer>,
}

impl BaseImages {
    /// Returns what an image shows, as it was seen no longer ago than `max_age`; none if it is not there.
    pub async fn digest(
        &self,
        client: &RepositoryClient,
        image: &ImageReference,
        max_age: Duration,
    ) -> Answer {
        if let Some(digest) = &image.digest {
            return Ok(Some(digest.clone()));
        }
        let Some(what) = image.manifest_ref() else { return Ok(None) };
        let key = (client.account(), image.clone());
        let is_fresh = |(_, at): &&(Digest, Instant)| at.elapsed() < max_age;
        let seen = self.seen.lock().as_ref().and_then(|seen| seen.get(&key).filter(is_fresh).cloned());
        if let Some((digest, _)) = seen {
            return Ok(Some(digest));
        }
        let look_up = || async { Ok(client.head(&what).await?.map(|descriptor| descriptor.digest)) };
        let (answer, _) = self.requests.run(&key, look_up).await;
        if let Ok(Some(digest)) = &answer {
            let mut seen = self.seen.lock();
            let seen = seen.get_or_insert_with(|| Bounded::new(MAX_TAGS));
            seen.insert(key, (digest.clone(), Instant::now()), MAX_TTL);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use imgop_fakes::{WritableRegistry, client};

    use super::*;

    #[tokio::test]
    async fn a_tag_is_looked_up_once_a_period_for_all_that_name_it() {
        let registry = WritableRegistry::start().await;
        registry.hold_manifest("base", "1", "{}");
        let repository = registry.repository("base");
        let image: ImageReference = format!("{repository}:1").parse().unwrap();
        let (bases, client) = (BaseImages::default(), client(&repository));
        let hour = Duration::from_hours(1);
        let answers = futures::future::join_all((0..20).map(|_| bases.digest(&client, &image, hour))).await;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap().is_some()));
        assert_eq!(registry.count("HEAD"), 1);
        bases.digest(&client, &image, Duration::ZERO).await.unwrap();
        assert_eq!(registry.count("HEAD"), 2, "the period is over");
        let pinned = ImageReference { digest: Some(Digest::of(b"x")), ..image };
        assert_eq!(bases.digest(&client, &pinned, Duration::ZERO).await.unwrap(), pinned.digest);
        assert_eq!(registry.count("HEAD"), 2, "what never moves is never asked for");
    }
}
