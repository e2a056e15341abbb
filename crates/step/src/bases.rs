//! The images that a Dockerfile names: resolved once, picked for the platform, pulled by digest.

use std::collections::BTreeMap;
use std::time::Duration;

use imgop_core::build::dockerfile::{NeededImage, Position};
use imgop_core::build::step::BaseReport;
use imgop_core::build::{BuildFailure, ImageReference};
use imgop_registry::oci::ImageConfig;
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, Reason, RegistryError, RepositoryClient, Unreachable};

use crate::HandedBase;
use crate::access::RegistryAccess;
use crate::buildah::{StorageDriver, buildah, not_started};
use crate::refusal::{Patience, Refusal};
use crate::{Failed, Places};

/// How a pull is tried again. Buildah repeats single requests by itself.
const PATIENCE: Patience =
    Patience { tries: 4, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(10) };

/// An image for a platform, as its registry has it.
#[derive(Debug, Clone)]
pub struct Base {
    /// Which.
    pub needed: NeededImage,
    /// What the reference shows: index or manifest.
    pub shown: Digest,
    /// The manifest for the platform.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
}

impl Base {
    /// Returns the name under which it is pulled.
    pub fn pinned_name(&self) -> String {
        format!("{}@{}", self.needed.image.repository, self.manifest.digest)
    }

    /// Returns what it shows, for the status of the resource.
    pub fn report(&self) -> BaseReport {
        BaseReport { image: self.needed.image.clone(), digest: self.shown.clone() }
    }

    /// Returns what `push` has to know of it.
    pub fn handed(&self) -> HandedBase {
        let manifest: serde_json::Value = serde_json::from_slice(&self.manifest.bytes).unwrap_or_default();
        HandedBase {
            repository: self.needed.image.repository.clone(),
            layers: manifest.get("layers").and_then(|layers| layers.as_array()).cloned().unwrap_or_default(),
            diff_ids: self.config.diff_ids.clone(),
        }
    }
}

/// Finds out what an image is. `known` are digests that are already decided, so that all platforms build on the same.
pub async fn resolve(
    needed: &NeededImage,
    known: &BTreeMap<ImageReference, Digest>,
    access: &RegistryAccess,
) -> Result<Base, Failed> {
    let (shown, manifest) = select(needed, known, access).await?;
    let client = access.client(&needed.image.repository);
    let config = client.image_config(&manifest).await.map_err(|error| refused(needed, &error))?;
    let config = config.filter(|_| !manifest.is_index()).ok_or_else(|| {
        let message = format!("{} is no image that can be built on; name another one", named(needed));
        Failed::new(BuildFailure::BaseImageNotFound, message)
    })?;
    if !shown.is_index() && config.platform.as_ref().is_none_or(|platform| !needed.platform.matches(platform))
    {
        let has = config.platform.as_ref().map_or_else(|| "no platform".to_owned(), ToString::to_string);
        return Err(no_platform(needed, &has));
    }
    Ok(Base { needed: needed.clone(), shown: shown.digest, manifest, config })
}

/// Returns what a reference shows, and the manifest for the platform; where it shows one image, that one, whatever it is
/// of.
pub async fn select(
    needed: &NeededImage,
    known: &BTreeMap<ImageReference, Digest>,
    access: &RegistryAccess,
) -> Result<(Manifest, Manifest), Failed> {
    let client = access.client(&needed.image.repository);
    let asked =
        known.get(&needed.image).cloned().map(ManifestRef::Digest).or_else(|| needed.image.manifest_ref());
    let asked = asked.ok_or_else(|| not_found(needed))?;
    let shown = read(&client, &asked, needed).await?;
    let manifest = match pick(&shown, needed)? {
        Some(digest) => read(&client, &ManifestRef::Digest(digest), needed).await?,
        None => shown.clone(),
    };
    Ok((shown, manifest))
}

async fn read(
    client: &RepositoryClient,
    what: &ManifestRef,
    needed: &NeededImage,
) -> Result<Manifest, Failed> {
    let manifest = client.manifest(what).await.map_err(|error| refused(needed, &error))?;
    manifest.ok_or_else(|| not_found(needed))
}

/// Returns the manifest of an index for the platform; none where the manifest is that of one image.
fn pick(shown: &Manifest, needed: &NeededImage) -> Result<Option<Digest>, Failed> {
    if !shown.is_index() {
        return Ok(None);
    }
    let platforms = shown.platforms().map_err(|error| {
        Failed::new(BuildFailure::BaseImageNotFound, format!("{}: {error}", named(needed)))
    })?;
    let matching: Vec<_> =
        platforms.iter().filter(|image| needed.platform.matches(&image.platform)).collect();
    let usual = matching.iter().find(|image| needed.platform.names(&image.platform));
    if let Some(image) = usual.or(matching.first()) {
        return Ok(Some(image.digest.clone()));
    }
    let has: Vec<String> = platforms.iter().map(|image| image.platform.to_string()).collect();
    Err(no_platform(needed, &has.join(", ")))
}

/// Pulls an image into the storage. Its blobs, as the registry has them, are kept beside it for `push`.
pub fn pull(
    base: &Base,
    access: &RegistryAccess,
    driver: StorageDriver,
    places: &Places,
) -> Result<(), Failed> {
    let pulled = PATIENCE.retry(|| {
        let program = buildah(places, driver).args(["pull", "--quiet", "--policy=always"]);
        let program = program.arg(format!("--blob-cache={}", places.base_blobs().display()));
        let program = program.args(access.options(base.needed.image.repository.host(), ""));
        let finished = program.arg(format!("docker://{}", base.pinned_name())).run();
        let finished = finished.map_err(|error| not_started(&error))?;
        if finished.is_success() {
            return Ok(Ok(()));
        }
        Ok(Err(Refusal::read(&finished.errors, BuildFailure::RegistryUnreachable)))
    })?;
    pulled.map_err(|refusal| pull_failed(base, &refusal))
}

/// Gives a pulled image the name under which a trigger of another image names it.
pub fn tag(base: &Base, driver: StorageDriver, places: &Places) -> Result<(), Failed> {
    let program = buildah(places, driver).args(["tag", &base.pinned_name(), &base.needed.image.to_string()]);
    let finished = program.run().map_err(|error| not_started(&error))?;
    if finished.is_success() {
        return Ok(());
    }
    Err(pull_failed(base, &Refusal::read(&finished.errors, BuildFailure::PodNotStarted)))
}

fn pull_failed(base: &Base, refusal: &Refusal) -> Failed {
    let what = format!("{} cannot be pulled: {}", named(&base.needed), refusal.text);
    match refusal.reason {
        BuildFailure::OutOfDisk => Failed::out_of_disk(what),
        BuildFailure::IdRangeTooSmall => Failed::new(refusal.reason, format!("{what}; {MORE_IDS}")),
        reason => Failed::new(reason, what),
    }
}

/// What lets a pod have more user ids.
pub const MORE_IDS: &str = "the pod has too few user ids: raise userNamespaces.idsPerPod in the kubelet's configuration, or the ranges of /etc/subuid and /etc/subgid";

/// Returns an image with the place where it is named.
fn named(needed: &NeededImage) -> String {
    match needed.positions.first() {
        Some(Position { line, .. }) => format!("{} (line {line} of the Dockerfile)", needed.image),
        None => needed.image.to_string(),
    }
}

fn not_found(needed: &NeededImage) -> Failed {
    let message = format!("{} is not at its registry; correct its name, tag or digest", named(needed));
    Failed::new(BuildFailure::BaseImageNotFound, message)
}

fn no_platform(needed: &NeededImage, has: &str) -> Failed {
    let message = format!("{} is not there for {}; it has {has}", named(needed), needed.platform);
    Failed::new(BuildFailure::PlatformNotFound, message)
}

fn refused(needed: &NeededImage, error: &RegistryError) -> Failed {
    let (reason, fix) = match error.reason() {
        Reason::Unauthorized | Reason::Forbidden => {
            (BuildFailure::RegistryUnauthorized, "; name credentials for its registry in registries")
        }
        Reason::RepositoryNotFound => (BuildFailure::BaseImageNotFound, "; correct its name"),
        Reason::RateLimited { .. } => (BuildFailure::RegistryRateLimited, ""),
        Reason::Schema1 | Reason::TooLarge { .. } => {
            (BuildFailure::BaseImageNotFound, "; name another image")
        }
        Reason::Settings => (BuildFailure::SecretUnusable, ""),
        Reason::Unreachable(Unreachable::NoTls) => {
            (BuildFailure::RegistryUnreachable, "; set tls.mode: PlainHTTP for it in registries")
        }
        Reason::Unreachable(_)
        | Reason::Unavailable
        | Reason::Rejected
        | Reason::Refused
        | Reason::Protocol => (BuildFailure::RegistryUnreachable, ""),
    };
    Failed::new(reason, format!("{}: {error}{fix}", named(needed)))
}
