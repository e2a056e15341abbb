//! The end of a build: its parts are verified, the index is written by digest, and the tags come last.

use std::time::Duration;

use imgop_core::api::{
    BuildDuration, BuildResult, BuiltImageStatus, Format, ImageBuilder, ImageBuilderStatus, PlatformState,
};
use imgop_core::build::{BuildFailure, BuildRequest, LastBuild, Publication, TagSeen, publication};
use imgop_core::readiness::Readiness;
use imgop_registry::oci::{IndexFormat, IndexedImage, PlatformSelector, image_index};
use imgop_registry::reference::{Digest, ManifestRef, Repository, Tag};
use imgop_registry::{Manifest, RegistryError, RepositoryClient};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::{Instant, sleep, timeout};

use super::access::NamedEndpoint;
use super::halt::Halt;
use super::last_build::destination_status;
use super::memory::Memory;
use super::part_status::duration;
use super::publish_refusals::{NotPut, Refused, index_refused, part_refused, partly_published, tag_refused};
use super::running::Parts;
use super::status::{Ended, end, number, succeeded};
use super::{Conclusion, Pass, REGISTRY_TIMEOUT, SHORT_INTERVAL};
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::watch::{Keep, Watch, find};

/// How often a registry is asked for a tag that was put; some show it only after a while.
const MAX_READS: u32 = 4;

/// The manifest of a part, as it was read back.
struct Verified {
    platform: PlatformSelector,
    manifest: Manifest,
}

/// Why parts are not what they should be.
enum Wrong {
    /// The registry does not have the manifest any more.
    Lost(PlatformSelector),
    /// It is of another platform.
    Other(String),
}

impl Pass<'_> {
    /// Publishes a build whose parts are at the registry.
    pub(super) async fn publish(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        status: &mut ImageBuilderStatus,
        parts: &Parts,
        built: Vec<(PlatformSelector, Digest)>,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        self.no_conflict(request)?;
        let was_refused = memory.blocked.is_some();
        let freshness = if was_refused { Freshness::Rechecked } else { Freshness::Cached };
        let access = self.access(request, freshness, memory).await?;
        let (began, mut shown) = (Instant::now(), None);
        let end = timeout(REGISTRY_TIMEOUT, async {
            let verified = match self.verified(&access.destination, &built).await? {
                Ok(verified) => verified,
                Err(wrong) => return Ok(Err(wrong)),
            };
            let put = self.put(request, last, parts, &access.destination, &verified, &mut shown).await?;
            Ok(put.map(|manifest| (manifest, verified)))
        });
        let published = end.await.unwrap_or_else(|_| {
            let message = "the registry took too long to answer; what is done stays done";
            Err(Halt::of(BuildFailure::PublishFailed, message))
        });
        // A credential that was refused is not tried again before one is another.
        let published = published.map_err(|halt| halt.until_one_changes(&access.versions.all()));
        match published {
            Ok(Ok((Some(manifest), verified))) => {
                let status = status.clone();
                let took = BuildDuration {
                    publish: u32::try_from(began.elapsed().as_secs()).unwrap_or(u32::MAX),
                    ..duration(&parts.tries, last.started_at)
                };
                self.builders.counters.pushed(self.builder, last.number, &parts.tries);
                Ok(self.succeed(request, last, status, took, (&manifest, &verified), memory))
            }
            // A newer build was begun, or the object is gone.
            Ok(Ok((None, _))) => Ok(Conclusion::unchanged(SHORT_INTERVAL)),
            Ok(Err(wrong)) => Ok(self.verification_failed(status.clone(), wrong)),
            Err(halt) => Err(match shown {
                Some(image) => partly_published(halt, image, request, status),
                None => halt,
            }),
        }
    }

    /// Returns the number of the newest build that the live object has; none if that does not exist any more, or is
    /// another one of its name.
    async fn newest_number(&self) -> Result<Option<u64>, Halt> {
        let what = Watch {
            namespace: Some(self.namespace().to_owned()),
            label_selector: None,
            field_selector: None,
            keep: Keep { fields: &["status"], ..Keep::OBJECT },
        };
        let object = || format!("ImageBuilder \"{}/{}\"", self.namespace(), self.owner.name);
        let failed = |cause| Halt::Api(ApiError { verb: "get", object: object(), cause });
        let found = find::<LiveStatus>(self.agent().client.clone(), what, &self.owner.name).await;
        let Some(found) = found.map_err(|error| failed(ApiCause::of_watch(&error)))? else { return Ok(None) };
        let live = found.0.map_err(|error| failed(ApiCause::Invalid(error.error)))?;
        let is_this = live.metadata.uid.as_deref() == Some(self.owner.uid.as_str());
        let is_there = is_this && live.metadata.deletion_timestamp.is_none();
        Ok(is_there.then(|| number(&live.status).unwrap_or_default()))
    }

    /// Reads the manifests of all parts back, each by its digest and of its platform.
    async fn verified(
        &self,
        client: &RepositoryClient,
        built: &[(PlatformSelector, Digest)],
    ) -> Result<Result<Vec<Verified>, Wrong>, Halt> {
        let mut verified = Vec::new();
        for (platform, digest) in built {
            let manifest = client.manifest(&ManifestRef::Digest(digest.clone())).await;
            let Some(manifest) = manifest.map_err(|error| self.push_failed(&error))? else {
                return Ok(Err(Wrong::Lost(platform.clone())));
            };
            let of = client.platform(&manifest).await.map_err(|error| self.push_failed(&error))?;
            if !of.as_ref().is_some_and(|of| platform.matches(of)) {
                let of = of.map_or_else(|| "no platform".to_owned(), |of| of.to_string());
                return Ok(Err(Wrong::Other(format!("{digest} is of {of} instead of {platform}"))));
            }
            verified.push(Verified { platform: platform.clone(), manifest });
        }
        Ok(Ok(verified))
    }

    /// Puts what is built under its tags, one step after the other. Returns the manifest that all of them show; none if
    /// there is a newer build: an older one never takes its tags. `shown` gets what tags show before all of them do.
    async fn put(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        parts: &Parts,
        client: &RepositoryClient,
        verified: &[Verified],
        shown: &mut Option<BuiltImageStatus>,
    ) -> Result<Result<Option<Manifest>, Wrong>, Halt> {
        let mut seen = self.tags(request).await?;
        let mut index: Option<Manifest> = None;
        loop {
            let Some(newest) = self.newest_number().await? else { return Ok(Ok(None)) };
            let at_registry = index.as_ref().map(|index| &index.digest);
            let put = match publication(request, (last.number, newest), &parts.planned, at_registry, &seen) {
                Publication::PartsMissing | Publication::Superseded => return Ok(Ok(None)),
                Publication::PutIndex(_) => {
                    self.put_index(request, client, verified).await.map(|put| index = Some(put))
                }
                Publication::SetTags(digest, tags) => {
                    let Some(content) = content(index.as_ref(), verified) else { return Ok(Ok(None)) };
                    let is_shown = |tag: &&(Repository, Tag)| !tags.contains(tag);
                    let set: Vec<_> = request.destination.tags.iter().filter(is_shown).collect();
                    *shown = (!set.is_empty()).then(|| self.image(request, content, verified, &set));
                    // One at a time: a newer build may begin meanwhile.
                    let Some((repository, tag)) = tags.into_iter().next() else { return Ok(Ok(None)) };
                    let to = self.client_of(&repository).await?;
                    if repository != request.destination.repository {
                        self.spread(&to, (&request.destination.repository, &repository), verified).await?;
                    }
                    let put = self.set_tag(&to, (&repository, &tag), content, &digest).await;
                    seen.retain(|seen| (&seen.repository, &seen.tag) != (&repository, &tag));
                    seen.push(TagSeen { repository, tag, digest: Some(digest) });
                    put
                }
                Publication::Done(_) => return Ok(Ok(content(index.as_ref(), verified).cloned())),
            };
            match (put, verified) {
                (Ok(()), _) => {}
                (Err(NotPut::Halt(halt)), _) => return Err(halt),
                (Err(NotPut::Incomplete(_)), [only]) => return Ok(Err(Wrong::Lost(only.platform.clone()))),
                // Which part is gone is seen when they are verified again.
                (Err(NotPut::Incomplete(error)), _) => return Err(self.push_failed(&error)),
            }
        }
    }

    /// Returns what the tags show now.
    async fn tags(&self, request: &BuildRequest) -> Result<Vec<TagSeen>, Halt> {
        let mut seen = Vec::new();
        for (repository, tag) in &request.destination.tags {
            let client = self.client_of(repository).await?;
            let there = client.head(&ManifestRef::Tag(tag.clone())).await;
            let digest = there.map_err(|error| self.push_failed(&error))?.map(|found| found.digest);
            seen.push(TagSeen { repository: repository.clone(), tag: tag.clone(), digest });
        }
        Ok(seen)
    }

    /// Writes the index of all parts, by its digest.
    async fn put_index(
        &self,
        request: &BuildRequest,
        client: &RepositoryClient,
        verified: &[Verified],
    ) -> Result<Manifest, NotPut> {
        let image = |part: &Verified| IndexedImage {
            platform: part.platform.clone(),
            media_type: part.manifest.media_type.clone(),
            digest: part.manifest.digest.clone(),
            size: part.manifest.bytes.len().try_into().unwrap_or(u64::MAX),
        };
        let format = match request.format {
            Format::Docker => IndexFormat::Docker,
            Format::Oci => IndexFormat::Oci,
        };
        let images: Vec<IndexedImage> = verified.iter().map(image).collect();
        let index = image_index(format, &images, &request.annotations)
            .map_err(|error| Halt::ending(BuildFailure::PublishFailed, error.to_string()))?;
        let by_digest = ManifestRef::Digest(index.digest.clone());
        match client.put_manifest(&by_digest, &index).await {
            Ok(()) => Ok(index),
            Err(error) => Err(match Refused::by_digest(&error) {
                Refused::Incomplete => NotPut::Incomplete(error),
                Refused::ForGood => NotPut::Halt(index_refused(&error)),
                Refused::ForNow => NotPut::Halt(self.push_failed(&error)),
            }),
        }
    }

    async fn set_tag(
        &self,
        client: &RepositoryClient,
        (repository, tag): (&Repository, &Tag),
        content: &Manifest,
        digest: &Digest,
    ) -> Result<(), NotPut> {
        let by_tag = ManifestRef::Tag(tag.clone());
        if let Err(error) = client.put_manifest(&by_tag, content).await {
            let there = client.head(&by_tag).await.ok().flatten().map(|found| found.digest);
            return Err(match Refused::tag(&error, there.as_ref(), digest) {
                Refused::Incomplete => NotPut::Incomplete(error),
                Refused::ForGood => {
                    NotPut::Halt(tag_refused((repository, tag), there.as_ref(), digest, &error))
                }
                Refused::ForNow => NotPut::Halt(self.push_failed(&error)),
            });
        }
        let mut answer = None;
        for read in 0..MAX_READS {
            if read > 0 {
                sleep(Duration::from_secs(1 << (read - 1))).await;
            }
            answer = client.head(&by_tag).await.map_err(|error| self.push_failed(&error))?;
            if answer.as_ref().is_some_and(|found| found.digest == *digest) {
                return Ok(());
            }
        }
        let shows = answer.map_or_else(|| "nothing".to_owned(), |found| found.digest.to_string());
        let message =
            format!("{repository}:{tag} shows {shows} instead of {digest}, which stays at the registry");
        Err(NotPut::Halt(Halt::of(BuildFailure::PublishFailed, message)))
    }

    /// Brings the parts into another repository of the registry: their blobs are mounted there.
    async fn spread(
        &self,
        client: &RepositoryClient,
        (from, to): (&Repository, &Repository),
        verified: &[Verified],
    ) -> Result<(), Halt> {
        for part in verified {
            for blob in part.manifest.blobs().unwrap_or_default() {
                let has = client.has_blob(&blob).await.map_err(|error| self.push_failed(&error))?;
                let is_there =
                    has || client.mount_blob(&blob, from).await.map_err(|error| self.push_failed(&error))?;
                if !is_there {
                    let message = format!(
                        "the registry mounts no blobs of {from} in another repository; leave that out of \
                         image.additionalTags, and copy it there with an Image"
                    );
                    return Err(Halt::ending(BuildFailure::PublishFailed, message));
                }
            }
            let by_digest = ManifestRef::Digest(part.manifest.digest.clone());
            let put = client.put_manifest(&by_digest, &part.manifest).await;
            put.map_err(|error| match Refused::by_digest(&error) {
                Refused::ForGood => part_refused(to, &error),
                // Which blobs are there is looked up anew.
                Refused::Incomplete | Refused::ForNow => self.push_failed(&error),
            })?;
        }
        Ok(())
    }

    /// Returns a client for a repository that the image goes to.
    pub(super) async fn client_of(&self, repository: &Repository) -> Result<RepositoryClient, Halt> {
        let endpoint = self.builder.spec.image.endpoint();
        let named = NamedEndpoint { field: "image".to_owned(), endpoint };
        Ok(self.push_client(repository, &named, Freshness::Cached).await?.0)
    }

    /// Returns the halt of a registry that does not take what is built.
    fn push_failed(&self, error: &RegistryError) -> Halt {
        let halt = Halt::registry("image", self.builder.spec.image.endpoint(), error, &[]);
        match halt {
            Halt::Build(refusal) if refusal.failure == BuildFailure::RegistryUnreachable => {
                Halt::of(BuildFailure::PublishFailed, refusal.message)
            }
            other => other,
        }
    }

    /// Returns the end of a pass that found a part to be another one, or gone: it is built again.
    fn verification_failed(&self, mut status: ImageBuilderStatus, wrong: Wrong) -> Conclusion {
        let (failure, message, platform) = match wrong {
            Wrong::Lost(platform) => {
                let message = "its manifest is no longer at the registry, which may remove what has no tag; let it \
                               keep such manifests for an hour";
                (BuildFailure::Interrupted, message.to_owned(), Some(platform.to_string()))
            }
            Wrong::Other(message) => (BuildFailure::VerificationFailed, message, None),
        };
        for part in &mut status.platforms {
            if platform.as_ref().is_none_or(|platform| *platform == part.platform) {
                (part.state, part.digest) = (PlatformState::Failed, None);
                (part.reason, part.message) = (Some(failure.as_str().to_owned()), Some(message.clone()));
                let delay = failure.delay(part.attempts, 0, Duration::ZERO).unwrap_or_default();
                part.next_attempt = Some(Time(imgop_core::time::saturating_add(self.now, delay)));
            }
        }
        self.reported(status, Readiness::retrying(failure.as_str(), message), SHORT_INTERVAL)
    }

    /// Returns the image as the status shows it, with these of its tags.
    fn image(
        &self,
        request: &BuildRequest,
        content: &Manifest,
        verified: &[Verified],
        tags: &[&(Repository, Tag)],
    ) -> BuiltImageStatus {
        let main = &request.destination.repository;
        let name = |(repository, tag): &&(Repository, Tag)| {
            if repository == main { tag.to_string() } else { format!("{repository}:{tag}") }
        };
        let sizes = verified.iter().flat_map(|part| part.manifest.sized_blobs().unwrap_or_default());
        BuiltImageStatus {
            digest: content.digest.to_string(),
            repository: Some(main.to_string()),
            tags: tags.iter().map(name).collect(),
            earlier_tags: Vec::new(),
            size: Some(sizes.map(|(_, size)| size).fold(0, u64::saturating_add)),
            format: Some(request.format),
            built_at: Some(Time(self.now)),
        }
    }

    fn succeed(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        mut status: ImageBuilderStatus,
        took: BuildDuration,
        (content, verified): (&Manifest, &[Verified]),
        memory: &mut Memory,
    ) -> Conclusion {
        let tags: Vec<_> = request.destination.tags.iter().collect();
        status.image = Some(self.image(request, content, verified, &tags));
        (status.pushed, status.last_successful_build_time) = (true, Some(Time(self.now)));
        // The tags are those that the spec names by now.
        status.destination = Some(destination_status(&request.destination));
        let ended = Ended {
            digest: Some(content.digest.clone()),
            duration: Some(took),
            ..Ended::of(BuildResult::Succeeded)
        };
        let status = end(status, &ended);
        (memory.tags_seen, memory.blocked) = (Some(self.now), None);
        let wait = self.schedule_check(request, memory);
        let mut readiness = Readiness::ready(succeeded(&status, last.number));
        readiness.add(self.dispute(request));
        Conclusion { ended: Some(ended.result), ..self.reported(status, readiness, wait) }
    }
}

/// Returns what the tags show: the only manifest, which has no index around it, or the index of all.
fn content<'a>(index: Option<&'a Manifest>, verified: &'a [Verified]) -> Option<&'a Manifest> {
    index.or_else(|| verified.first().map(|only| &only.manifest))
}

/// Of an ImageBuilder only its status.
#[derive(Debug, Clone, serde::Deserialize, kube::Resource)]
#[resource(inherit = "ImageBuilder")]
struct LiveStatus {
    metadata: kube::api::ObjectMeta,
    #[serde(default)]
    status: ImageBuilderStatus,
}
