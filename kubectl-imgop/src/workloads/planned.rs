//! Which Images WorkloadMirrors would make, change and delete, for people and programs.

use imgop_core::api::Image;
use imgop_core::workloads::{ChildImage, Plan, PlannedChild};
use schemars::JsonSchema;
use serde::Serialize;

use super::Mirrored;

/// The version of the document.
const API_VERSION: &str = "imgop.workloads-plan/v1";

/// What WorkloadMirrors would make, change and delete.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.workloads-plan/v1")]
#[serde(rename_all = "camelCase")]
pub struct WorkloadsPlan {
    /// The version of the document.
    api_version: &'static str,
    /// The plan of each WorkloadMirror.
    pub mirrors: Vec<MirrorPlan>,
}

/// What one WorkloadMirror would make, change and delete.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorPlan {
    /// The WorkloadMirror.
    pub mirror: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether all is known that it looks at. If not, nothing counts as unused.
    pub complete: bool,
    /// The Images: those that stay as they are only with --all.
    pub images: Vec<PlannedImage>,
    /// Numbers.
    pub counts: Counts,
    /// What keeps something from being mirrored that only a user can help.
    pub findings: Vec<String>,
}

/// An Image of a WorkloadMirror.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedImage {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: Change,
    /// The source repository.
    pub source: String,
    /// The destination repository.
    pub destination: String,
    /// What it is to copy, as source.tags has it; nothing where it is deleted.
    pub tags: Vec<String>,
    /// The platforms, where not all of them are copied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub platforms: Vec<String>,
}

/// What becomes of an Image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is made.
    Create,
    /// Another spec is written.
    Update,
    /// It is deleted; the registry keeps what it has copied.
    Delete,
    /// It stays as it is.
    None,
}

/// Numbers of a plan.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Workloads that are looked at.
    pub workloads: usize,
    /// Their pods.
    pub pods: usize,
    /// Different images that they use.
    pub images: usize,
    /// Tags that these become.
    pub tags: usize,
    /// Repositories at the destination.
    pub repositories: usize,
    /// Tags that are mirrored by their digest.
    pub pinned: usize,
    /// Images that are excluded on purpose.
    pub excluded: usize,
    /// Images that wait until a pod reports what it runs.
    pub waiting_for_digest: usize,
    /// Tags that no workload uses any more.
    pub retained: usize,
}

impl WorkloadsPlan {
    /// Returns the document of these plans.
    pub fn new(mirrors: Vec<MirrorPlan>) -> Self {
        Self { api_version: API_VERSION, mirrors }
    }
}

impl Change {
    /// Returns how tables have it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Update => "~",
            Self::Delete => "-",
            Self::None => "=",
        }
    }
}

impl Mirrored {
    /// Returns a plan as it is shown: `all` with the Images that stay as they are.
    pub fn planned(&self, plan: &Plan<'_>, all: bool) -> MirrorPlan {
        let images = plan.children.iter().map(|child| self.planned_image(child));
        let images = images.filter(|image| all || image.change != Change::None);
        let gone = plan.gone.iter().map(|name| self.deleted(name));
        let counts = plan.counts;
        MirrorPlan {
            mirror: self.name.clone(),
            namespace: self.seen.namespace.clone(),
            complete: self.seen.is_complete,
            images: images.chain(gone).collect(),
            counts: Counts {
                workloads: counts.workloads,
                pods: self.seen.pods,
                images: counts.images,
                tags: counts.tags,
                repositories: counts.repositories,
                pinned: counts.pinned,
                excluded: counts.excluded,
                waiting_for_digest: counts.waiting_for_digest,
                retained: counts.retained,
            },
            findings: plan.findings.iter().map(ToString::to_string).collect(),
        }
    }

    fn planned_image(&self, child: &PlannedChild) -> PlannedImage {
        PlannedImage {
            name: child.name.clone(),
            change: self.change(child),
            source: child.source.to_string(),
            destination: child.destination.to_string(),
            tags: child.tags.iter().map(ToString::to_string).collect(),
            platforms: child.platforms.iter().map(ToString::to_string).collect(),
        }
    }

    fn deleted(&self, name: &str) -> PlannedImage {
        let image = self.seen.images.get(name);
        let text = |text: fn(&Image) -> &str| image.map_or_else(String::new, |image| text(image).to_owned());
        PlannedImage {
            name: name.to_owned(),
            change: Change::Delete,
            source: text(|image| &image.spec.source.name),
            destination: text(|image| &image.spec.destination.name),
            tags: Vec::new(),
            platforms: Vec::new(),
        }
    }

    /// Returns what becomes of an Image. Fields that the mirror does not write are others'.
    fn change(&self, child: &PlannedChild) -> Change {
        let Some(image) = self.seen.images.get(&child.name) else { return Change::Create };
        let wanted = self.request.image_spec(child);
        let there = ChildImage::read(image).map(|there| there.unused_since);
        let same_tags = {
            let (mut there, mut wanted) = (image.spec.source.tags.clone(), wanted.source.tags.clone());
            there.sort();
            wanted.sort();
            there == wanted
        };
        let is_same = same_tags
            && image.spec.platforms == wanted.platforms
            && image.spec.frequency == wanted.frequency
            && image.spec.destination == wanted.destination
            && there.as_ref() == Some(&child.unused_since);
        if is_same { Change::None } else { Change::Update }
    }
}
