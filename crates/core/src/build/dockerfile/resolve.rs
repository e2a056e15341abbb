//! The images that a build of one platform needs.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;

use super::instruction::{Detail, Located, MountKind};
use super::stages::target;
use super::{Dockerfile, Position, Problem};
use crate::api::Format;
use crate::build::ImageReference;

mod walk;

/// What a Dockerfile is built with.
#[derive(Debug, Clone, Copy)]
pub struct BuildInputs<'a> {
    /// Values for ARGs.
    pub arguments: &'a BTreeMap<String, String>,
    /// The stage to build; the last one if none is named.
    pub target: Option<&'a str>,
    /// The platform that is built for.
    pub platform: &'a PlatformSelector,
    /// The platform of the node that builds.
    pub build_platform: &'a PlatformSelector,
    /// The format of the image.
    pub format: Format,
    /// The ids of the secrets that there are.
    pub secrets: &'a BTreeSet<String>,
}

/// What a build of one platform needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The number of the stage that is built.
    pub target: usize,
    /// The numbers of the stages that are needed for it, and its own, in order.
    pub stages: BTreeSet<usize>,
    /// The images that have to be there, each once for a platform.
    pub images: Vec<NeededImage>,
    /// Whether a RUN mounts files of the context, a stage or an image, so that layers may not be used again
    /// before Buildah 1.44.
    pub mounts_files: bool,
    /// What is wrong with it for these inputs, in the order of the file.
    pub problems: Vec<Problem>,
    pub(super) uses: Vec<Use>,
}

/// An image that a build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededImage {
    /// Which.
    pub image: ImageReference,
    /// For which platform.
    pub platform: PlatformSelector,
    /// Where it is named.
    pub positions: Vec<Position>,
}

/// A place where a stage or an image is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) stage: usize,
    pub(super) place: Place,
    pub(super) refers: Refers,
}

/// What names a stage or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The FROM of a stage.
    From,
    /// `--from=` of a COPY.
    Copy(Located),
    /// `from=` of a mount.
    Mount {
        /// Where.
        from: Located,
        /// All that stands behind `--mount=`, without quotes.
        value: String,
    },
}

/// What is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refers {
    /// Nothing.
    Scratch,
    /// The stage of this number.
    Stage(usize),
    /// An image.
    Image(ImageReference, PlatformSelector),
}

impl Resolved {
    /// Whether a stage begins with an image, so that its triggers run.
    pub fn begins_with(&self, needed: &NeededImage) -> bool {
        let is_this = |refers: &Refers| match refers {
            Refers::Image(image, platform) => image == &needed.image && platform == &needed.platform,
            Refers::Scratch | Refers::Stage(_) => false,
        };
        self.uses.iter().any(|used| used.place == Place::From && is_this(&used.refers))
    }

    /// Returns the image that the built stage begins with, through the stages that it builds on; none if that is
    /// `scratch`.
    pub fn base(&self) -> Option<&NeededImage> {
        let mut stage = self.target;
        loop {
            let is_from = |used: &&Use| used.stage == stage && used.place == Place::From;
            match &self.uses.iter().find(is_from)?.refers {
                Refers::Scratch => return None,
                // A stage builds only on stages in front of it.
                Refers::Stage(number) => stage = *number,
                Refers::Image(image, platform) => {
                    let is_this =
                        |needed: &&NeededImage| &needed.image == image && &needed.platform == platform;
                    return self.images.iter().find(is_this);
                }
            }
        }
    }
}

impl Dockerfile {
    /// Works out what a build of one platform needs. Problems of stages that it does not need are left out.
    pub fn resolve(&self, inputs: &BuildInputs<'_>) -> Resolved {
        let mut walk = walk::Walk::new(self, inputs);
        walk.all_stages();
        let mut problems = walk.unused_arguments();
        let target = target(&self.stages, inputs.target).map_or_else(
            |problem| {
                problems.push(problem);
                None
            },
            |stage| Some(stage.number),
        );
        let needed = needed(target, &walk.uses);
        problems
            .extend(walk.problems.into_iter().filter(|(stage, _)| needed.contains(stage)).map(|(_, p)| p));
        problems.sort_by_key(|problem| problem.position);
        problems.dedup();
        let uses: Vec<Use> = walk.uses.into_iter().filter(|used| needed.contains(&used.stage)).collect();
        Resolved {
            target: target.unwrap_or_default(),
            images: images(self, &uses),
            mounts_files: needed.iter().any(|number| self.mounts_files(*number)),
            stages: needed,
            problems,
            uses,
        }
    }

    fn mounts_files(&self, number: usize) -> bool {
        let instructions = self.stages.get(number).map(|stage| self.instructions(stage)).unwrap_or_default();
        instructions.iter().any(|instruction| match &instruction.detail {
            Detail::Run(mounts) => mounts.iter().any(|mount| {
                mount.kind == MountKind::Bind || mount.kind == MountKind::Cache && mount.from.is_some()
            }),
            _ => false,
        })
    }
}

/// Returns the stage that is built and those that it needs.
fn needed(target: Option<usize>, uses: &[Use]) -> BTreeSet<usize> {
    let mut needed: BTreeSet<usize> = target.into_iter().collect();
    // A stage refers only to stages in front of it, so that one way back finds all.
    for used in uses.iter().rev() {
        if let (true, Refers::Stage(number)) = (needed.contains(&used.stage), &used.refers) {
            needed.insert(*number);
        }
    }
    needed
}

/// Returns each image once for a platform.
fn images(file: &Dockerfile, uses: &[Use]) -> Vec<NeededImage> {
    let mut images: Vec<NeededImage> = Vec::new();
    for used in uses {
        let Refers::Image(image, platform) = &used.refers else { continue };
        let position = match &used.place {
            Place::From => file.stages.get(used.stage).map(|stage| stage.position),
            Place::Copy(located) | Place::Mount { from: located, .. } => Some(located.position),
        };
        match images.iter_mut().find(|known| &known.image == image && &known.platform == platform) {
            Some(known) => known.positions.extend(position),
            None => images.push(NeededImage {
                image: image.clone(),
                platform: platform.clone(),
                positions: position.into_iter().collect(),
            }),
        }
    }
    images
}
