//! What is previewed: one thing, or all that files and mirrors have; and why there is nothing.

use imgop_core::api::{Image, ImageBuilder, ImageMirror, WorkloadMirror, WorkloadTrigger};
use kube::ResourceExt as _;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::output::Ui;
use crate::preview::inventory::{self, Mirrored};
use crate::preview::targets::{Target, WrittenBy};
use crate::workloads::{self, SeenImages};

/// One thing to preview.
pub(super) enum Subject {
    /// It is known already.
    Target(Box<Target>),
    /// An Image of a file or of a mirror, which the cluster may have already.
    Manifest(Box<Image>, WrittenBy),
    /// An ImageBuilder, of a file or of the cluster.
    Builder {
        /// The object.
        builder: Box<ImageBuilder>,
        /// Whether others may have written it.
        is_of_cluster: bool,
    },
}

/// All that is previewed.
#[derive(Default)]
pub(super) struct Subjects {
    /// Each thing, or what is wrong with it.
    pub(super) targets: Vec<Result<Subject, CliError>>,
    /// Of what nothing is previewed, and why.
    pub(super) left_out: Vec<String>,
    /// What the user does not see of what workloads use, in words.
    warnings: Vec<String>,
    /// Whether there may be more, which the user may not see.
    pub(super) is_partial: bool,
}

impl Subjects {
    /// Returns one thing, or what is wrong with it.
    pub(super) fn of(subject: Result<Subject, CliError>) -> Self {
        Self { targets: vec![subject], ..Self::default() }
    }

    fn of_images(images: Vec<Image>, by: WrittenBy) -> Self {
        let subject = |image| Ok(Subject::Manifest(Box::new(image), by));
        Self { targets: images.into_iter().map(subject).collect(), ..Self::default() }
    }

    /// Returns the Images of an ImageMirror, and which tags none of them copies.
    pub(super) async fn of_mirror(mirror: &ImageMirror, cluster: Result<&Cluster, String>) -> Self {
        let Mirrored { images, conflicts } = match inventory::images(mirror, cluster).await {
            Ok(mirrored) => mirrored,
            Err(error) => return Self::of(Err(error)),
        };
        let mut subjects = Self::of_images(images, WrittenBy::ImageMirror);
        subjects.targets.extend(conflicts.into_iter().map(Err));
        if subjects.targets.is_empty() {
            subjects.left_out.push(format!("ImageMirror {} becomes no Image", mirror.name_any()));
        }
        subjects
    }

    /// Returns the Images of a WorkloadMirror, as far as the user sees what workloads use.
    pub(super) async fn of_workloads(mirror: &WorkloadMirror, cluster: Result<&Cluster, String>) -> Self {
        let SeenImages { images, is_whole, warnings } = match workloads::images(mirror, cluster).await {
            Ok(seen) => seen,
            Err(error) => return Self::of(Err(error)),
        };
        let mut subjects = Self::of_images(images, WrittenBy::WorkloadMirror);
        if subjects.targets.is_empty() {
            subjects.left_out.push(without_images(mirror, is_whole));
        }
        Self { warnings, is_partial: !is_whole, ..subjects }
    }

    /// Adds others.
    pub(super) fn add(&mut self, others: Self) {
        let Self { targets, left_out, warnings, is_partial } = others;
        self.targets.extend(targets);
        self.left_out.extend(left_out);
        self.warnings.extend(warnings);
        self.is_partial |= is_partial;
    }

    /// Says what is not previewed, or may not be.
    pub(super) fn say_what_is_left_out(&self, ui: Ui) {
        self.warnings.iter().for_each(|warning| ui.warning(warning));
        self.left_out.iter().for_each(|why| ui.note(why));
    }
}

/// Returns what is said of a WorkloadMirror that becomes no Image. `is_whole` is whether the user sees all that it sees.
fn without_images(mirror: &WorkloadMirror, is_whole: bool) -> String {
    let why = match (mirror.spec.triggers.contains(&WorkloadTrigger::Running), is_whole) {
        (true, true) => "no workload that it sees uses an image that it copies",
        (true, false) => "nothing that you may list uses an image that it copies",
        (false, _) => {
            "triggers has PullFailure alone, which copies what pods cannot pull once the agent has found it"
        }
    };
    format!("WorkloadMirror {} becomes no Image: {why}", mirror.name_any())
}
