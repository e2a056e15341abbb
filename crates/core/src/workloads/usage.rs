//! What workloads use, added up from pods and templates.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;
use jiff::Timestamp;

use crate::build::ImageReference;

/// An image that workloads use, with one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedImage {
    /// As it is named.
    pub reference: ImageReference,
    /// What pods report that they run; none where no pod has reported it, and of templates.
    pub digest: Option<Digest>,
    /// Who uses it, at least one, and which pods of each run it.
    pub users: BTreeMap<ImageUser, RunningPods>,
}

/// A container of a workload. Pods count for what is at the top of their owners.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageUser {
    /// The kind of the workload: `Deployment`, `Pod`, or any other that owns pods.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The container, or the volume.
    pub container: String,
    /// Whether it says that it is not to be mirrored.
    pub is_opted_out: bool,
}

/// The pods of a workload that run an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunningPods {
    /// How many they are; none where a template alone names the image.
    pub count: u32,
    /// The newest of them.
    pub newest: Option<Newest>,
    /// The platforms of the nodes that they run on.
    pub platforms: BTreeSet<PlatformSelector>,
}

/// A pod by its age: the newest is the greatest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newest {
    /// When it started.
    pub started: Timestamp,
    /// Its name, which decides between those that started at once.
    pub pod: String,
}

/// Everything that workloads use, each image once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(BTreeMap<(ImageReference, Option<Digest>), BTreeMap<ImageUser, RunningPods>>);

impl Usage {
    /// Adds what one container of a workload uses.
    pub fn add(
        &mut self,
        reference: ImageReference,
        digest: Option<Digest>,
        user: ImageUser,
        pods: RunningPods,
    ) {
        let users = self.0.entry((reference, digest)).or_default();
        users.entry(user).or_default().merge(pods);
    }

    /// Returns each image, sorted by its name.
    pub fn into_images(self) -> Vec<UsedImage> {
        let image = |((reference, digest), users)| UsedImage { reference, digest, users };
        self.0.into_iter().map(image).collect()
    }
}

impl RunningPods {
    /// Returns one pod.
    pub fn one(newest: Option<Newest>, platform: Option<PlatformSelector>) -> Self {
        Self { count: 1, newest, platforms: platform.into_iter().collect() }
    }

    /// Adds other pods of the same workload.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.newest = self.newest.take().max(other.newest);
        self.platforms.extend(other.platforms);
    }
}

impl UsedImage {
    /// Returns the newest pod that runs it, of those whose workloads are asked for.
    pub(super) fn newest_of(&self, is_asked_for: impl Fn(&ImageUser) -> bool) -> Option<&Newest> {
        let asked = self.users.iter().filter(|(user, _)| is_asked_for(user));
        asked.filter_map(|(_, pods)| pods.newest.as_ref()).max()
    }
}
