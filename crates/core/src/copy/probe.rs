//! Probes the destination before Jobs are created: a tag may be there although a list did not name it, and
//! its content may be there from a Job whose end was not seen. Two requests are cheaper than a pod. What is not
//! there is looked at once at the source, whether Skopeo can copy it as it is, if it is Skopeo that copies.

use futures::StreamExt as _;
use imgop_registry::reference::{Digest, ManifestRef, Tag};
use imgop_registry::{RegistryError, RepositoryClient};
use tokio::time::Instant;

use super::parts::{BySkopeo, by_skopeo};
use super::route::{MAX_CONCURRENT_TAGS, Refusals, Route, until};
use super::{Copy, EngineFields, MadeOf, Observed, ObservedTag, Outcome, Run, Seen, TagState};
use crate::api::{Engine, Publish};

/// Why Skopeo does not copy an index that lists blobs.
const LISTS_LAYERS: &str = "it is an index that lists layers themselves, as a cache of BuildKit, of which the engine Skopeo \
                            copies nothing, and Native all";

/// A probe: whose destination is asked, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// Between which repositories is copied.
    pub route: Route<'a>,
    /// What copies.
    pub engine: Engine,
    /// Whether the destination has no such repository yet. It is not asked then.
    pub destination_is_new: bool,
    /// Until when it is asked.
    pub end: Instant,
}

/// What the destination answered.
#[derive(Debug, Default)]
pub struct Probed {
    /// The copies that were asked for, whatever the answer. For the others there was no time.
    pub copies: Vec<Copy>,
    /// Tags that are there, with what they show.
    pub seen: Vec<(Tag, Digest)>,
    /// Copies whose content is there, as if a Job had just copied it.
    pub runs: Vec<Run>,
    /// Tags whose content is copied in parts.
    pub in_parts: Vec<(Tag, MadeOf)>,
    /// Copies whose content the engine cannot copy.
    pub not_copied: Vec<Copy>,
}

/// What both sides answered for one copy.
struct Answer {
    copy: Copy,
    /// What the tag shows.
    tag: Result<Option<Digest>, RegistryError>,
    /// Whether the whole content is there.
    content: Result<bool, RegistryError>,
    how: BySkopeo,
}

impl Probe<'_> {
    /// Asks the destination for the tags and the contents of these copies. Fails if it refuses the credential; any other
    /// error leaves its copy to a Job.
    pub async fn of(self, copies: Vec<Copy>) -> Result<Probed, RegistryError> {
        let asked = futures::stream::iter(copies).map(|copy| self.ask(copy));
        let asked = until(self.end, asked.buffer_unordered(MAX_CONCURRENT_TAGS));
        let answers: Vec<Answer> = asked.collect().await;
        let (mut probed, mut refusals) = (Probed::default(), Refusals::default());
        for Answer { copy, tag, content, how } in answers {
            refusals.add(&tag);
            // Nothing was asked for a content of which nothing is known.
            if !matches!(content, Ok(false)) {
                refusals.add(&content);
            }
            if let Ok(Some(digest)) = tag {
                probed.seen.push((copy.destination_tag.clone(), digest));
            }
            if matches!(content, Ok(true)) {
                probed.runs.push(Run { copy: copy.clone(), outcome: Outcome::Succeeded });
            }
            match how {
                BySkopeo::AsItIs => {}
                BySkopeo::InParts(made_of) => probed.in_parts.push((copy.destination_tag.clone(), made_of)),
                BySkopeo::NotAtAll => probed.not_copied.push(copy.clone()),
            }
            probed.copies.push(copy);
        }
        refusals.of_all().map_or(Ok(probed), Err)
    }

    async fn ask(self, copy: Copy) -> Answer {
        let Route { request, destination, .. } = self.route;
        let tag = if self.destination_is_new {
            Ok(None)
        } else {
            let head = destination.head(&ManifestRef::Tag(copy.destination_tag.clone())).await;
            head.map(|descriptor| descriptor.map(|descriptor| descriptor.digest))
        };
        let content = match &tag {
            _ if self.destination_is_new => Ok(false),
            Ok(None) if request.publish == Publish::Staged => has_all(destination, copy.parts()).await,
            // Of a tag that was copied whole the parts are there.
            Ok(_) if copy.made_of.is_some() => has_all(destination, copy.parts()).await,
            _ => Ok(false),
        };
        let is_there =
            matches!(content, Ok(true)) || matches!(&tag, Ok(Some(shown)) if *shown == copy.digest);
        let is_as_it_is = is_there || self.engine == Engine::Native;
        let how = if is_as_it_is { Ok(BySkopeo::AsItIs) } else { by_skopeo(self.route, &copy).await };
        let how = how.unwrap_or_else(|error| {
            tracing::debug!(%error, "whether a content is copied in parts is not known; Skopeo is to copy it as it is");
            BySkopeo::AsItIs
        });
        Answer { copy, tag, content, how }
    }
}

impl Observed {
    /// Notes that Skopeo cannot copy the content of a tag that is missing or differs, and which fields let Native copy it.
    pub fn not_copied_by_skopeo(&mut self, destination_tag: &Tag, fields: EngineFields) {
        let is_it = |tag: &&mut ObservedTag| {
            tag.destination_tag == *destination_tag
                && matches!(tag.state(), TagState::Missing | TagState::Differs)
        };
        for tag in self.tags.iter_mut().filter(is_it) {
            tag.source = Seen::Unsupported(format!("{}: {LISTS_LAYERS} ({fields})", tag.source_ref));
        }
    }
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

    use imgop_fakes::{IMAGE, INDEX, WritableRegistry, client};

    use super::*;
    use crate::copy::Origin;
    use crate::copy::fixtures::{copy, observed_tag, request};
    use crate::copy::parts::MAX_READS;

    const MANIFEST: &str = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

    async fn probe_of(registry: &WritableRegistry, publish: Publish, copies: Vec<Copy>) -> Probed {
        probe_by(Engine::Skopeo, registry, publish, copies).await
    }

    async fn probe_by(
        engine: Engine,
        registry: &WritableRegistry,
        publish: Publish,
        copies: Vec<Copy>,
    ) -> Probed {
        let mut request = request("v2.13.x");
        (request.destination, request.publish) = (registry.repository("app"), publish);
        request.source = registry.repository("source");
        let (source, destination) = (&client(&request.source), &client(&request.destination));
        let route = Route { request: &request, source, destination, read_ahead: None };
        probing(route, engine, false).of(copies).await.unwrap()
    }

    fn probing(route: Route<'_>, engine: Engine, destination_is_new: bool) -> Probe<'_> {
        Probe { route, engine, destination_is_new, end: Instant::now() + Duration::from_mins(1) }
    }

    #[tokio::test]
    async fn a_destination_without_such_a_repository_is_asked_for_nothing() {
        let registry = WritableRegistry::start().await;
        let (mut request, copy) = (request("v2.13.x"), copy("v2.13.1", 1));
        (request.destination, request.publish) = (registry.repository("app"), Publish::Staged);
        let (source, destination) = (&client(&request.source), &client(&request.destination));
        let route = Route { request: &request, source, destination, read_ahead: None };
        let asked = async |is_new| {
            let probed = probing(route, Engine::Native, is_new).of(vec![copy.clone()]).await.unwrap();
            assert_eq!((probed.copies, probed.seen, probed.runs), (vec![copy.clone()], vec![], vec![]));
            registry.requests().len()
        };
        assert_eq!(asked(true).await, 0);
        assert_eq!(asked(false).await, 2, "otherwise for the tag and for its content");
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
    async fn one_content_that_may_not_be_shown_is_no_refusal_of_all() {
        let registry = WritableRegistry::start().await;
        let copy = copy("v2.13.1", 1);
        registry.refuse_one(&format!("/v2/app/manifests/{}", copy.digest), 403);
        let probed = probe_of(&registry, Publish::Staged, vec![copy.clone()]).await;
        assert_eq!((probed.copies, probed.runs), (vec![copy], vec![]), "its Job says what is wrong with it");
    }

    #[tokio::test]
    async fn an_index_of_indexes_is_copied_in_parts() {
        let registry = WritableRegistry::start().await;
        let index =
            |entries: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entries}]}}"#);
        let entry = |media_type: &str, digest: &Digest, more: &str| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":1{more}}}"#)
        };
        let images = ["amd64", "arm64", "s390x"].map(|name| Digest::of(name.as_bytes()));
        let plain = registry.hold_content("source", &index(&entry(IMAGE, &images[0], "")));
        let artifact = r#","artifactType":"application/vnd.example""#;
        let inner = index(&[entry(IMAGE, &images[1], artifact), entry(IMAGE, &images[2], "")].join(","));
        let inner = registry.hold_content("source", &inner);
        let top = index(&[entry(INDEX, &plain, ""), entry(INDEX, &inner, "")].join(","));
        let copy = Copy { digest: registry.hold_content("source", &top), ..copy("v2.13.1", 1) };
        let probed = probe_of(&registry, Publish::Staged, vec![copy.clone()]).await;
        let parts = vec![plain, images[1].clone(), images[2].clone()];
        let made_of = MadeOf { origin: Origin::AllOf(copy.digest.clone()), parts };
        assert_eq!(probed.in_parts, [(copy.destination_tag.clone(), made_of)]);
        let probed = probe_by(Engine::Native, &registry, Publish::Staged, vec![copy]).await;
        assert_eq!(probed.in_parts, [], "the agent's own program copies it as it is");
    }

    #[tokio::test]
    async fn an_index_that_lists_layers_is_named_before_skopeo_is_to_copy_it_with_the_engine_that_does() {
        let registry = WritableRegistry::start().await;
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let entry = format!(r#"{{"mediaType":"{layer}","digest":"{}","size":1}}"#, Digest::of(b"layer"));
        let cache = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#);
        let copy = Copy { digest: registry.hold_content("source", &cache), ..copy("v2.13.1", 1) };
        let probed = probe_of(&registry, Publish::Staged, vec![copy.clone()]).await;
        assert_eq!(probed.not_copied, std::slice::from_ref(&copy));
        let tag = observed_tag("v2.13.1", Seen::Present(copy.digest.clone()), Seen::Absent);
        let unsupported = |fields| {
            let mut observed = Observed { tags: vec![tag.clone()], ..Observed::default() };
            observed.not_copied_by_skopeo(&copy.destination_tag, fields);
            assert_eq!(observed.tags[0].state(), TagState::FormatUnsupported);
            observed.tags[0].unsupported_because().unwrap().to_owned()
        };
        insta::assert_snapshot!(unsupported(EngineFields::SpecOrSetting), @"v2.13.1: it is an index that lists layers themselves, as a cache of BuildKit, of which the engine Skopeo copies nothing, and Native all (spec.engine, or COPY_ENGINE_FALLBACK of the agent)");
        insta::assert_snapshot!(unsupported(EngineFields::Spec), @"v2.13.1: it is an index that lists layers themselves, as a cache of BuildKit, of which the engine Skopeo copies nothing, and Native all (spec.engine)");
        let probed = probe_by(Engine::Native, &registry, Publish::Staged, vec![copy]).await;
        assert_eq!(probed.not_copied, [], "the agent's own program copies it");
    }

    #[tokio::test]
    async fn no_more_of_an_index_is_read_than_a_job_could_copy() {
        let registry = WritableRegistry::start().await;
        let index =
            |entries: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entries}]}}"#);
        let inner = |number: usize| {
            let image = Digest::of(number.to_string().as_bytes());
            let entry = format!(
                r#"{{"mediaType":"{IMAGE}","digest":"{image}","size":1,"artifactType":"application/vnd.example"}}"#
            );
            let digest = registry.hold_content("source", &index(&entry));
            format!(r#"{{"mediaType":"{INDEX}","digest":"{digest}","size":1}}"#)
        };
        let entries: Vec<String> = (0..150).map(inner).collect();
        let digest = registry.hold_content("source", &index(&entries.join(",")));
        let copy = Copy { digest, ..copy("v2.13.1", 1) };
        let probed = probe_of(&registry, Publish::Staged, vec![copy]).await;
        assert_eq!(probed.in_parts, []);
        let is_read =
            |request: &&String| request.starts_with("GET") && request.contains("/source/manifests/");
        let reads = registry.requests().iter().filter(is_read).count();
        assert!((MAX_READS..=MAX_READS + 2).contains(&reads), "{reads} manifests were read");
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
        let route = Route { request: &request, source: destination, destination, read_ahead: None };
        let refused = probing(route, Engine::Skopeo, false).of(vec![copy("v2.13.1", 1)]).await;
        assert!(refused.is_err());
    }
}
