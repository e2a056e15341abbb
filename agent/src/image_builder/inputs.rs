//! What a build would be made from: looked at lightly once a period, and whole before a build begins, so that no pod
//! runs for what cannot be built.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_core::api::{RebuildOn, RegistryAction};
use imgop_core::build::dockerfile::{BuildInputs, Dockerfile, Problem, Severity};
use imgop_core::build::{
    BuildContext, BuildFailure, BuildRequest, ImageReference, ObservedInputs, context_not_found, own_platform,
};
use imgop_registry::oci::{Platform, PlatformSelector};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Reason, RegistryError, RepositoryClient};

use super::Pass;
use super::access::{Access, NamedEndpoint};
use super::context::ConfigMapContents;
use super::halt::Halt;
use super::memory::Memory;
use crate::cluster::Freshness;
use crate::registry_access::ensure_repository;

/// Images that are looked up at a time.
const MAX_CONCURRENT_IMAGES: usize = 4;
/// How old the answer of a registry may be when a build begins.
pub(super) const RECENT: Duration = Duration::from_secs(5);
/// Problems of a Dockerfile that a message names.
const MAX_NAMED_PROBLEMS: usize = 3;
/// Warnings that a status holds.
pub(super) const MAX_WARNINGS: usize = 10;

/// What was found out before a build begins.
pub(super) struct Preflight {
    /// What it will be made from, as far as that is known without a pod.
    pub inputs: ObservedInputs,
    /// What is other than it looks.
    pub warnings: Vec<String>,
    /// A hash of the Secrets that it uses.
    pub credentials: String,
}

/// The images that a Dockerfile needs.
type NeededImages = BTreeMap<ImageReference, Needed>;

/// What of an image is needed.
#[derive(Default)]
struct Needed {
    /// For which platforms.
    platforms: BTreeSet<PlatformSelector>,
    /// The first line that names it.
    line: Option<u32>,
}

impl Pass<'_> {
    /// Returns what a build would be made from, as far as `rebuildOn` watches it: the rest is taken for unchanged.
    pub(super) async fn check_inputs(
        &self,
        request: &BuildRequest,
        earlier: &ObservedInputs,
    ) -> Result<ObservedInputs, Halt> {
        let mut inputs = earlier.clone();
        let max_age = request.recurrence.shared_age(self.now);
        if request.rebuild_on.contains(&RebuildOn::Source) {
            let source = self.source(request, max_age).await?;
            inputs = ObservedInputs { bases: inputs.bases, ..source }.or(earlier);
        }
        if request.rebuild_on.contains(&RebuildOn::BaseImage) {
            inputs.bases = self.moved_bases(&inputs.bases, max_age).await?;
        }
        Ok(inputs)
    }

    /// Returns what a build would be made from now that is made from `running`; none if that is not known without a pod,
    /// or not before the pod of the running build has looked the base images up.
    pub(super) async fn present_inputs(
        &self,
        request: &BuildRequest,
        running: &ObservedInputs,
        max_age: Duration,
    ) -> Result<Option<ObservedInputs>, Halt> {
        let source = self.source(request, max_age).await?;
        let is_git = matches!(request.context, BuildContext::Git { .. });
        if is_git && source.commit.is_none()
            || source.dockerfile.as_ref().or(running.dockerfile.as_ref()).is_none()
        {
            return Ok(None);
        }
        let bases = self.moved_bases(&running.bases, max_age).await?;
        Ok(Some(ObservedInputs { bases, ..source }.or(running)))
    }

    /// Returns what the source is now, as far as it is known without a pod.
    async fn source(&self, request: &BuildRequest, max_age: Duration) -> Result<ObservedInputs, Halt> {
        let contents = self.config_maps(request).await?;
        Ok(ObservedInputs {
            context: self.context_digest(request, &contents, max_age).await?,
            arguments: contents.arguments_digest(request),
            dockerfile: contents.dockerfile(request)?.map(|text| Digest::of(&text)),
            commit: self.commit(request, max_age).await?,
            bases: BTreeMap::new(),
        })
    }

    /// Returns what these images show now. One that is gone is left as it was: it may be none of the Dockerfile's any
    /// more, and a build would say so.
    async fn moved_bases(
        &self,
        bases: &BTreeMap<ImageReference, Digest>,
        max_age: Duration,
    ) -> Result<BTreeMap<ImageReference, Digest>, Halt> {
        let look_up = |(image, digest): (ImageReference, Digest)| async move {
            let (client, versions) = self.pull_client(&image.repository, Freshness::Cached).await?;
            let seen = self.builders.bases.digest(&client, &image, max_age).await;
            let seen = seen.map_err(|error| self.pull_failed((&image, None), &error, &versions.all()))?;
            Ok((image, seen.unwrap_or(digest)))
        };
        let bases = bases.iter().map(|(image, digest)| (image.clone(), digest.clone())).collect::<Vec<_>>();
        stream::iter(bases).map(look_up).buffered(MAX_CONCURRENT_IMAGES).try_collect().await
    }

    /// Finds out all that can be found out before a build begins: rights, Secrets, `ConfigMaps`, the Dockerfile, the
    /// images that it needs for each platform, and whether the image may be pushed.
    pub(super) async fn preflight(
        &self,
        request: &BuildRequest,
        earlier: Option<&ObservedInputs>,
        memory: &mut Memory,
    ) -> Result<Preflight, Halt> {
        self.may_build(Freshness::Now).await?;
        self.no_conflict(request)?;
        let access = self.access(request, Freshness::Now, memory).await?;
        let found = self.found_before(request, earlier, &access).await;
        let (inputs, warnings) = found.map_err(|halt| halt.until_one_changes(&access.versions.all()))?;
        memory.blocked = None;
        Ok(Preflight { inputs, warnings, credentials: access.versions.digest() })
    }

    /// Returns what a build will be made from, and what is other than it looks. Asks registries and git.
    async fn found_before(
        &self,
        request: &BuildRequest,
        earlier: Option<&ObservedInputs>,
        access: &Access,
    ) -> Result<(ObservedInputs, Vec<String>), Halt> {
        let contents = self.config_maps(request).await?;
        self.check_context(request).await?;
        let mut inputs = ObservedInputs {
            context: self.context_digest(request, &contents, RECENT).await?,
            arguments: contents.arguments_digest(request),
            commit: self.commit(request, RECENT).await?,
            ..ObservedInputs::default()
        };
        let mut warnings = request.without_effect();
        warnings.extend(self.unset_policies(request));
        if let Some(text) = contents.dockerfile(request)? {
            inputs.dockerfile = Some(Digest::of(&text));
            let file = Dockerfile::parse(&text, self.agent().config.builds.buildah());
            let needed = self.needed_images(request, &contents, &file, &mut warnings)?;
            inputs.bases = self.observed_bases(needed).await?;
        } else if let Some(earlier) = earlier {
            // All platforms get the same content of what the last build needed.
            inputs.bases = self.moved_bases(&earlier.bases, RECENT).await.unwrap_or_default();
        }
        self.check_push(request, access).await?;
        Ok((inputs, warnings))
    }

    /// Returns the images that the Dockerfile needs, or what is wrong with it.
    fn needed_images(
        &self,
        request: &BuildRequest,
        contents: &ConfigMapContents,
        file: &Dockerfile,
        warnings: &mut Vec<String>,
    ) -> Result<NeededImages, Halt> {
        let secrets: BTreeSet<String> = request.secrets.keys().cloned().collect();
        let mut problems = file.problems().to_vec();
        let mut needed = NeededImages::new();
        for platform in &request.platforms {
            let build_platform = self.build_platform(platform);
            let resolved = file.resolve(&BuildInputs {
                arguments: &contents.arguments,
                target: request.target.as_deref(),
                platform,
                build_platform: &build_platform,
                format: request.format,
                secrets: &secrets,
            });
            problems.extend(resolved.problems);
            for image in resolved.images {
                let Needed { platforms, line } = needed.entry(image.image).or_default();
                platforms.insert(image.platform);
                *line = image.positions.iter().map(|position| position.line).chain(*line).min();
            }
        }
        problems.sort_by_key(|problem| problem.position);
        problems.dedup();
        let (errors, others): (Vec<Problem>, Vec<Problem>) =
            problems.into_iter().partition(Problem::is_error);
        warnings.extend(others.iter().take(MAX_WARNINGS).map(ToString::to_string));
        if errors.is_empty() { Ok(needed) } else { Err(wrong_dockerfile(&errors)) }
    }

    /// Returns what images show, all of them with the platforms that are needed.
    async fn observed_bases(&self, needed: NeededImages) -> Result<BTreeMap<ImageReference, Digest>, Halt> {
        let look_up = |(image, Needed { platforms, line }): (ImageReference, Needed)| async move {
            let (client, versions) = self.pull_client(&image.repository, Freshness::Now).await?;
            let failed = |error: RegistryError| self.pull_failed((&image, line), &error, &versions.all());
            let digest = self.builders.bases.digest(&client, &image, RECENT).await.map_err(failed)?;
            let digest = digest.ok_or_else(|| base_not_found(&image, line))?;
            let there = platforms_of(&client, &digest).await.map_err(failed)?;
            let there = there.ok_or_else(|| base_not_found(&image, line))?;
            let lacks = |wanted: &&PlatformSelector| !there.iter().any(|platform| wanted.matches(platform));
            // An image without a platform is taken at its word: the build verifies what comes of it.
            if let Some(wanted) = platforms.iter().find(lacks).filter(|_| !there.is_empty()) {
                return Err(platform_not_found(&image, line, wanted, &there));
            }
            Ok((image, digest))
        };
        stream::iter(needed).map(look_up).buffered(MAX_CONCURRENT_IMAGES).try_collect().await
    }

    /// Returns the digest of the context's files, or of its image, where it is no commit.
    async fn context_digest(
        &self,
        request: &BuildRequest,
        contents: &ConfigMapContents,
        max_age: Duration,
    ) -> Result<Option<Digest>, Halt> {
        let BuildContext::Image(image) = &request.context else { return Ok(contents.files_digest()) };
        let freshness = if self.is_asked_for { Freshness::Now } else { Freshness::Cached };
        let (client, versions) = self.context_client(image, freshness).await?;
        let seen = self.builders.bases.digest(&client, image, max_age).await;
        let failed = |error: RegistryError| {
            let named = self.context_endpoint();
            Halt::registry(&named.field, named.endpoint, &error, &versions.all())
        };
        let seen = seen.map_err(failed)?;
        seen.ok_or_else(|| context_is_gone(request, image)).map(Some)
    }

    /// Fails if the image of the context never moves and is gone: it is not asked for otherwise.
    async fn check_context(&self, request: &BuildRequest) -> Result<(), Halt> {
        let BuildContext::Image(image) = &request.context else { return Ok(()) };
        let Some(digest) = &image.digest else { return Ok(()) };
        let (client, versions) = self.context_client(image, Freshness::Now).await?;
        match client.head(&ManifestRef::Digest(digest.clone())).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(context_is_gone(request, image)),
            Err(error) if *error.reason() == Reason::RepositoryNotFound => {
                Err(context_is_gone(request, image))
            }
            Err(error) => {
                let named = self.context_endpoint();
                Err(Halt::registry(&named.field, named.endpoint, &error, &versions.all()))
            }
        }
    }

    /// Fails if the image may not be pushed to one of the repositories that it goes to, once those are created that are
    /// missing, if the spec asks for that.
    async fn check_push(&self, request: &BuildRequest, access: &Access) -> Result<(), Halt> {
        let endpoint = self.builder.spec.image.endpoint();
        let refused =
            |error: RegistryError| Halt::registry("image", endpoint, &error, &access.versions.all());
        for repository in request.destination.repositories() {
            if let Some(creation) = &request.destination.create {
                let named = NamedEndpoint { field: "image".to_owned(), endpoint };
                let of = self.used(&named, repository, RegistryAction::Push);
                let yielded = self.yielded(repository, creation);
                let (by, wanted) = ((self.agent(), &self.owner), (&**creation, yielded.as_slice()));
                ensure_repository(by, wanted, of, self.is_asked_for).await?;
            }
            if *repository == request.destination.repository {
                access.destination.check_push().await.map_err(refused)?;
            } else {
                self.client_of(repository).await?.check_push().await.map_err(refused)?;
            }
        }
        Ok(())
    }

    fn pull_failed(
        &self,
        (image, line): (&ImageReference, Option<u32>),
        error: &RegistryError,
        secrets: &[String],
    ) -> Halt {
        if *error.reason() == Reason::RepositoryNotFound {
            return base_not_found(image, line);
        }
        let named = self.endpoint_of(image.repository.host());
        Halt::registry(&named.field, named.endpoint, error, secrets)
    }

    /// Returns the platform of the node that builds for another one, as far as it is known.
    fn build_platform(&self, platform: &PlatformSelector) -> PlatformSelector {
        let is_emulated = self.agent().config.builds.emulate.contains(platform);
        own_platform().filter(|_| is_emulated).unwrap_or_else(|| platform.clone())
    }
}

/// Returns the platforms of an image; none if it is not there, and no platform where it names none.
async fn platforms_of(
    client: &RepositoryClient,
    digest: &Digest,
) -> Result<Option<Vec<Platform>>, RegistryError> {
    let Some(manifest) = client.manifest(&ManifestRef::Digest(digest.clone())).await? else {
        return Ok(None);
    };
    if !manifest.is_index() {
        return Ok(Some(client.platform(&manifest).await?.into_iter().collect()));
    }
    // An index that cannot be read is left to the tools in the pod.
    let images = manifest.platforms().unwrap_or_default();
    Ok(Some(images.into_iter().map(|image| image.platform).collect()))
}

fn wrong_dockerfile(errors: &[Problem]) -> Halt {
    let is_unsupported =
        errors.iter().all(|problem| matches!(problem.severity, Severity::Unsupported { .. }));
    let failure =
        if is_unsupported { BuildFailure::DockerfileUnsupported } else { BuildFailure::DockerfileInvalid };
    let named: Vec<String> = errors.iter().take(MAX_NAMED_PROBLEMS).map(ToString::to_string).collect();
    let more = match errors.len().saturating_sub(MAX_NAMED_PROBLEMS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Halt::of(failure, format!("the Dockerfile, {}{more}", named.join("; ")))
}

fn context_is_gone(request: &BuildRequest, image: &ImageReference) -> Halt {
    let message = context_not_found(image, &request.destination.repository);
    Halt::of(BuildFailure::BaseImageNotFound, message)
}

/// Returns an image with the line that names it.
fn named(image: &ImageReference, line: Option<u32>) -> String {
    let line = line.map_or_else(String::new, |line| format!("line {line}, "));
    format!("the Dockerfile, {line}names {image}")
}

fn base_not_found(image: &ImageReference, line: Option<u32>) -> Halt {
    let (named, repository) = (named(image, line), &image.repository);
    // Near misses would cost a list of all tags, of which a registry may have thousands.
    let message = format!(
        "{named}, which is not at its registry; name one that is: kubectl imgop tags {repository} lists them"
    );
    Halt::of(BuildFailure::BaseImageNotFound, message)
}

fn platform_not_found(
    image: &ImageReference,
    line: Option<u32>,
    wanted: &PlatformSelector,
    there: &[Platform],
) -> Halt {
    let there: Vec<String> = there.iter().map(ToString::to_string).collect();
    let message = format!(
        "{}, which is not built for {wanted}, but for {}; name another image",
        named(image, line),
        there.join(", ")
    );
    Halt::of(BuildFailure::PlatformNotFound, message)
}
