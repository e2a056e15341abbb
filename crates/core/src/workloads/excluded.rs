//! What is not mirrored on purpose.

use std::fmt;

use imgop_registry::credentials::Glob;
use imgop_registry::reference::Repository;

use super::targets::MirrorTarget;
use super::usage::ImageUser;
use crate::api::{ExcludedWorkload, WorkloadExclusions};
use crate::build::ImageReference;
use crate::registry_prefix::RegistryPrefix;
use crate::spec_error::Problems;

/// The name that stands for every workload.
const ANY_NAME: &str = "*";

/// What a spec excludes.
#[derive(Debug, Clone)]
pub(super) struct Exclusions {
    workloads: Vec<ExcludedWorkload>,
    registries: Vec<RegistryPrefix>,
    images: Vec<ImageGlob>,
}

/// Images by their names.
#[derive(Debug, Clone)]
struct ImageGlob {
    written: String,
    glob: Glob,
    /// Whether a tag or a digest is part of it.
    has_version: bool,
}

/// Why an image is not mirrored on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excluded {
    /// It names where images are mirrored to. Whether it is there is not known by that.
    Destination,
    /// It lies at a target of another mirror.
    Target(String),
    /// `exclude.registries` has where it lies.
    Registry(String),
    /// `exclude.images` has it.
    Image(String),
    /// `exclude.workloads` has everyone that uses it, or they say so themselves.
    Workloads,
}

impl fmt::Display for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination => f.write_str("it names the destination itself"),
            Self::Target(target) => write!(f, "it is at {target}, where a mirror brings it"),
            Self::Registry(registry) => write!(f, "exclude.registries has {registry}"),
            Self::Image(image) => write!(f, "exclude.images has {image}"),
            Self::Workloads => {
                f.write_str("exclude.workloads, or an annotation, excludes each workload that uses it")
            }
        }
    }
}

impl Exclusions {
    pub(super) fn parse(spec: &WorkloadExclusions, problems: &mut Problems<String>) -> Self {
        let registries = spec.registries.iter().enumerate().filter_map(|(i, text)| {
            problems.keep(format!("exclude.registries[{i}]"), text.parse::<RegistryPrefix>())
        });
        let registries = registries.collect();
        let images = spec.images.iter().enumerate().filter_map(|(i, text)| {
            let glob = ImageGlob::parse(text).ok_or_else(|| {
                format!("{text:?} is no pattern; write names with * and ?, such as docker.io/library/*")
            });
            problems.keep(format!("exclude.images[{i}]"), glob)
        });
        let images = images.collect();
        Self { workloads: spec.workloads.clone(), registries, images }
    }

    /// Whether a workload is not looked at.
    pub(super) fn excludes_user(&self, user: &ImageUser) -> bool {
        let fits = |excluded: &ExcludedWorkload| {
            let ExcludedWorkload { kind, namespace, name } = excluded;
            kind.is_none_or(|kind| kind.name() == user.kind)
                && namespace.as_ref().is_none_or(|namespace| *namespace == user.namespace)
                && (name == ANY_NAME || *name == user.name)
        };
        user.is_opted_out || self.workloads.iter().any(fits)
    }

    /// Returns why an image is excluded by its name.
    pub(super) fn of_image(&self, reference: &ImageReference) -> Option<Excluded> {
        let repository = &reference.repository;
        let registry = self.registries.iter().find(|prefix| prefix.holds(repository));
        let image = || self.images.iter().find(|glob| glob.fits(reference));
        match registry {
            Some(registry) => Some(Excluded::Registry(registry.to_string())),
            None => image().map(|glob| Excluded::Image(glob.written.clone())),
        }
    }
}

impl ImageGlob {
    fn parse(text: &str) -> Option<Self> {
        let name = text.rsplit('/').next().unwrap_or(text);
        let has_version = name.contains([':', '@']);
        Some(Self { written: text.to_owned(), glob: Glob::parse(text)?, has_version })
    }

    fn fits(&self, reference: &ImageReference) -> bool {
        if self.has_version {
            return self.glob.is_match(&reference.to_string());
        }
        self.glob.is_match(&reference.repository.to_string())
    }
}

/// Two are equal when they were written alike.
impl PartialEq for Exclusions {
    fn eq(&self, other: &Self) -> bool {
        let images = |one: &Self| one.images.iter().map(|glob| glob.written.clone()).collect::<Vec<_>>();
        self.workloads == other.workloads
            && self.registries == other.registries
            && images(self) == images(other)
    }
}

impl Eq for Exclusions {}

/// Returns why an image is excluded by where it lies. `users` are all that use it.
pub(super) fn by_place<'u>(
    repository: &Repository,
    users: &(impl Iterator<Item = &'u ImageUser> + Clone),
    own: &RegistryPrefix,
    targets: &[MirrorTarget],
) -> Option<Excluded> {
    if own.holds(repository) {
        return Some(Excluded::Destination);
    }
    let counts = |target: &MirrorTarget| match &target.only_of {
        Some(namespace) => users.clone().all(|user| user.namespace == *namespace),
        None => true,
    };
    let target = targets.iter().find(|target| target.place.holds(repository) && counts(target))?;
    Some(Excluded::Target(target.place.to_string()))
}
