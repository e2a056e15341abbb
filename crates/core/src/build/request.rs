//! The spec of an `ImageBuilder`, parsed: the edge behind which nothing is a plain string.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, RegistryHost, Repository, Tag};
use serde::{Deserialize, Serialize};

use super::ImageReference;
use crate::api::{ConcurrencyPolicy, Format, ImageBuilderSpec, Publish, RebuildOn};
use crate::creation::Creation;
use crate::schedule::{Recurrence, RecurrenceFields};
use crate::spec_error::Problems;

mod context;
mod destination;
mod inputs;
mod limits;
mod without_effect;

/// What is wrong with the spec of an ImageBuilder. Fields are written as in the spec: `buildArgs[2].name`.
pub type SpecError = crate::spec_error::SpecError<String>;

/// What an `ImageBuilder` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// What it is built for: at least one platform, each once.
    pub platforms: Vec<PlatformSelector>,
    /// Where the image goes.
    pub destination: Destination,
    /// Labels beside those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The format of manifest and configuration.
    pub format: Format,
    /// The time that the image bears; none for that of the build, file by file.
    pub timestamp: Option<Timestamp>,
    /// Where the Dockerfile is.
    pub dockerfile: DockerfilePlace,
    /// Where files come from.
    pub context: BuildContext,
    /// The folder of the context that is taken.
    pub sub_path: Option<String>,
    /// The stage to build.
    pub target: Option<String>,
    /// Values for ARGs, by name.
    pub arguments: BTreeMap<String, ArgValue>,
    /// Secrets by the ids that the Dockerfile names: the Secret and its key.
    pub secrets: BTreeMap<String, ObjectKey>,
    /// The registries that the spec says how to reach.
    pub registries: BTreeSet<RegistryHost>,
    /// Layers of earlier builds.
    pub cache: BuildCache,
    /// What starts a build by itself.
    pub rebuild_on: BTreeSet<RebuildOn>,
    /// When that is checked again, or a build begins.
    pub recurrence: Recurrence,
    /// The least time between two builds that start by themselves.
    pub min_interval: Duration,
    /// What happens when something changes during a build.
    pub concurrency: ConcurrencyPolicy,
    /// How long one platform may take.
    pub timeout: Duration,
    /// How often a failing RUN is tried again.
    pub retries: u32,
}

/// Where an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The repository that parts are pushed to.
    pub repository: Repository,
    /// The tags, first that of `image.version`, in the order in which they are set. Each once.
    pub tags: Vec<(Repository, Tag)>,
    /// How tags are written.
    pub publish: Publish,
    /// The repositories that are created where they are missing.
    pub create: Option<Box<Creation>>,
}

impl Destination {
    /// Returns each repository that something is pushed to.
    pub fn repositories(&self) -> Vec<&Repository> {
        let mut all = vec![&self.repository];
        for (repository, _) in &self.tags {
            if !all.contains(&repository) {
                all.push(repository);
            }
        }
        all
    }
}

/// Where the image of a build goes, small enough to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationKey {
    /// The repository that parts are pushed to.
    pub repository: Repository,
    /// A hash of all tags.
    pub tags: Digest,
}

impl DestinationKey {
    /// Returns the key of a destination.
    pub fn of(destination: &Destination) -> Self {
        let tags = destination.tags.iter().map(|(repository, tag)| format!("{repository}:{tag}\n"));
        let tags = Digest::of(tags.collect::<String>().as_bytes());
        Self { repository: destination.repository.clone(), tags }
    }

    /// Returns whether parts are pushed to this repository.
    pub fn is_at(&self, repository: &Repository) -> bool {
        self.repository.is_same_place(repository)
    }
}

/// The time that an image bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timestamp {
    /// That of the commit.
    Source,
    /// That of the build.
    Build,
    /// Seconds since 1970.
    Seconds(u64),
}

impl Timestamp {
    /// Whether the same inputs give the same time.
    pub fn is_reproducible(self) -> bool {
        self != Self::Build
    }
}

/// Where a Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DockerfilePlace {
    /// In the spec: this text.
    Inline(String),
    /// In the context, under this path.
    Path(String),
    /// In the context, under the first of [`DockerfilePlace::DEFAULT_NAMES`] that is there.
    Default,
}

impl DockerfilePlace {
    /// The names of a Dockerfile for which no path is given.
    pub const DEFAULT_NAMES: [&'static str; 2] = ["Dockerfile", "Containerfile"];
}

/// Where the files of a build come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum BuildContext {
    /// There are none.
    Empty,
    /// A commit.
    Git {
        /// The repository.
        url: String,
        /// A branch, a tag, a commit, a whole name; the default branch if there is none.
        revision: Option<String>,
        /// Whether submodules are fetched.
        submodules: bool,
        /// Whether the content of Git LFS is fetched.
        lfs: bool,
        /// How many commits are fetched; 0 for all.
        depth: u32,
        /// The Secret with credentials.
        secret: Option<String>,
    },
    /// A ConfigMap.
    ConfigMap {
        /// Its name.
        name: String,
        /// The keys that are taken, by the paths of their files, with permissions; all if there are none.
        items: BTreeMap<String, (String, Option<u32>)>,
    },
    /// An image.
    Image(ImageReference),
}

/// A value for an ARG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ArgValue {
    /// This text.
    Text(String),
    /// What a ConfigMap holds.
    ConfigMap(ObjectKey),
}

/// A key of a Secret or of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectKey {
    /// The name of the object.
    pub name: String,
    /// The key.
    pub key: String,
}

/// Where layers of earlier builds are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildCache {
    /// Nowhere.
    None,
    /// In a repository.
    Registry {
        /// The repository.
        repository: Repository,
        /// How old a layer may be.
        ttl: Option<Duration>,
    },
    /// On a volume for each platform.
    Volume {
        /// Its size, as written.
        size: String,
        /// Its StorageClass.
        storage_class: Option<String>,
    },
}

/// The fields that say when.
const RECURRENCE: RecurrenceFields<&str> =
    RecurrenceFields { frequency: "frequency", schedule: "schedule", time_zone: "timeZone" };

impl BuildRequest {
    /// Returns whether a build begins at each time of the schedule: nothing else says what it would wait for.
    pub fn is_built_by_schedule(&self) -> bool {
        self.rebuild_on.is_empty() && matches!(self.recurrence, Recurrence::At(_))
    }

    /// Parses a spec.
    pub fn parse(spec: &ImageBuilderSpec) -> Result<Self, SpecError> {
        let mut problems = Problems::default();
        let request = Self::read(spec, &mut problems);
        limits::check(spec, &mut problems);
        match request {
            Some(request) if problems.0.is_empty() => Ok(request),
            _ => Err(SpecError { problems: problems.0 }),
        }
    }

    fn read(spec: &ImageBuilderSpec, problems: &mut Problems<String>) -> Option<Self> {
        // Each is read before the first is missed, so that every problem is reported.
        let platforms = destination::platforms(spec, problems);
        let destination = destination::read(&spec.image, problems);
        let timestamp = destination::timestamp(spec, problems);
        let dockerfile = context::dockerfile(spec, problems);
        let context = context::read(spec.context.as_ref(), problems);
        let arguments = inputs::arguments(&spec.build_args, problems);
        let secrets = inputs::secrets(&spec.secrets, problems);
        let registries = inputs::registries(&spec.registries, problems);
        let cache = inputs::cache(&spec.cache, problems);
        let recurrence = Recurrence::read(spec.recurrence(), RECURRENCE, problems);
        let min_interval = limits::min_interval(spec, problems);
        let timeout = limits::timeout(spec, problems);
        Some(Self {
            platforms: platforms?,
            destination: destination?,
            labels: spec.image.labels.clone(),
            annotations: spec.image.annotations.clone(),
            format: destination::format(&spec.image),
            timestamp,
            dockerfile: dockerfile?,
            context: context?,
            sub_path: spec.context.as_ref().and_then(|context| context.sub_path.clone()),
            target: spec.target.clone(),
            arguments,
            secrets,
            registries,
            cache: cache?,
            rebuild_on: spec.rebuild_on.iter().copied().collect(),
            recurrence: recurrence?,
            min_interval: min_interval?,
            concurrency: spec.concurrency_policy,
            timeout: timeout?,
            retries: spec.retries,
        })
    }
}

#[cfg(test)]
mod tests;
