//! Probes the destination before Jobs are created: a tag may be there although a list did not name it, and
//! its content may be there from a Job whose end was not seen. Two requests are cheaper than a pod.

use futures::StreamExt as _;
use imgop_registry::reference::{Digest, ManifestRef, Tag};
use imgop_registry::{RegistryError, RepositoryClient};
use tokio::time::Instant;

use super::route::{MAX_CONCURRENT_TAGS, Route, is_refusal, until};
use super::{Copy, Outcome, Run};
use crate::api::Publish;

/// What the destination answered.
#[derive(Debug, Default)]
pub struct Probed {
    /// The copies that were asked for, whatever the answer. The others get a Job all the same.
    pub copies: Vec<Copy>,
    /// Tags that are there, with what they show.
    pub seen: Vec<(Tag, Digest)>,
    /// Copies whose content is there, as if a Job had just copied it.
    pub runs: Vec<Run>,
}

/// Asks the destination for the tags and the contents of these copies until `end`. Fails if it refuses the
/// credential; any other error leaves its copy to a Job.
pub async fn probe(route: Route<'_>, copies: Vec<Copy>, end: Instant) -> Result<Probed, RegistryError> {
    let asked = futures::stream::iter(copies).map(|copy| async move {
        let (tag, content) = ask(route, &copy).await;
        (copy, tag, content)
    });
    let answers: Vec<_> = until(end, asked.buffer_unordered(MAX_CONCURRENT_TAGS)).collect().await;
    let mut probed = Probed::default();
    for (copy, tag, content) in answers {
        match (&tag, &content) {
            (Err(error), _) | (_, Err(error)) if is_refusal(error) => return Err(error.clone()),
            _ => {}
        }
        if let Ok(Some(digest)) = tag {
            probed.seen.push((copy.destination_tag.clone(), digest));
        }
        if matches!(content, Ok(true)) {
            probed.runs.push(Run { copy: copy.clone(), outcome: Outcome::Succeeded });
        }
        probed.copies.push(copy);
    }
    Ok(probed)
}

/// Returns what the tag shows, and whether the whole content is there.
async fn ask(
    Route { request, destination, .. }: Route<'_>,
    copy: &Copy,
) -> (Result<Option<Digest>, RegistryError>, Result<bool, RegistryError>) {
    let tag = destination.head(&ManifestRef::Tag(copy.destination_tag.clone())).await;
    let tag = tag.map(|descriptor| descriptor.map(|descriptor| descriptor.digest));
    let content = match &tag {
        Ok(None) if request.publish == Publish::Staged => has_all(destination, copy.parts()).await,
        // Of a tag that was copied whole the parts are there.
        Ok(_) if copy.made_of.is_some() => has_all(destination, copy.parts()).await,
        _ => Ok(false),
    };
    (tag, content)
}

/// Returns whether the destination has everything that would be copied.
async fn has_all(destination: &RepositoryClient, parts: &[Digest]) -> Result<bool, RegistryError> {
    for part in parts {
        if destination.head(&ManifestRef::Digest(part.clone())).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use imgop_fakes::{WritableRegistry, client};

    use super::*;
    use crate::copy::fixtures::{copy, request};

    const MANIFEST: &str = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

    async fn probe_of(registry: &WritableRegistry, publish: Publish, copies: Vec<Copy>) -> Probed {
        let mut request = request("v2.13.x");
        (request.destination, request.publish) = (registry.repository("app"), publish);
        let destination = &client(&request.destination);
        let route = Route { request: &request, source: destination, destination };
        probe(route, copies, Instant::now() + Duration::from_mins(1)).await.unwrap()
    }

    #[tokio::test]
    async fn content_that_is_there_without_its_tag_needs_no_job() {
        let registry = WritableRegistry::start().await;
        let there = Copy { digest: registry.hold_content("app", MANIFEST), ..copy("v2.13.1", 1) };
        let absent = copy("v2.13.2", 1);
        let probed = probe_of(&registry, Publish::Staged, vec![there.clone(), absent.clone()]).await;
        assert_eq!(probed.runs, [Run { copy: there.clone(), outcome: Outcome::Succeeded }]);
        assert_eq!((probed.copies.len(), probed.seen.len()), (2, 0));
        let direct = probe_of(&registry, Publish::Direct, vec![there]).await;
        assert_eq!(direct.runs, [], "its Job pushes to the tag");
    }

    #[tokio::test]
    async fn a_tag_that_a_list_did_not_name_is_seen() {
        let registry = WritableRegistry::start().await;
        registry.hold_manifest("app", "v2.13.1", MANIFEST);
        let copy = copy("v2.13.1", 1);
        let probed = probe_of(&registry, Publish::Staged, vec![copy.clone()]).await;
        assert_eq!(probed.seen, [(copy.destination_tag, Digest::of(MANIFEST.as_bytes()))]);
        assert_eq!(probed.runs, []);
    }

    #[tokio::test]
    async fn a_refusal_ends_all_and_an_error_leaves_its_copy_to_a_job() {
        let registry = WritableRegistry::start().await;
        registry.refuse(400);
        let probed = probe_of(&registry, Publish::Staged, vec![copy("v2.13.1", 1)]).await;
        assert_eq!((probed.copies.len(), probed.seen.len(), probed.runs.len()), (1, 0, 0));
        registry.refuse(403);
        let mut request = request("v2.13.x");
        request.destination = registry.repository("app");
        let destination = &client(&request.destination);
        let route = Route { request: &request, source: destination, destination };
        let refused = probe(route, vec![copy("v2.13.1", 1)], Instant::now() + Duration::from_mins(1)).await;
        assert!(refused.is_err());
    }
}
