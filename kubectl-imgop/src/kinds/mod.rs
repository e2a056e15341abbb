//! What each kind looks like to users. Everything else in this program works with any kind.
//!
//! To add one: a file here with `impl Kind for …`, a line in [`KINDS`], and its flags in `args`; a line in
//! [`LISTED_KINDS`] alone where there is nothing to do with its objects but to read them.

mod any_kind;
pub mod endpoint_text;
pub mod image;
pub mod image_builder;
mod image_mirror;
mod job_text;
pub mod listing;
pub mod object_name;
mod object_ref;
pub mod past_sync;
pub mod progress;
mod registry_access;
pub mod workload_mirror;

use imgop_core::api::{Image, ImageBuilder, ImageMirror, RegistryAccess, WorkloadMirror};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::Resource;
use serde::de::DeserializeOwned;

pub use any_kind::{AnyKind, Erased, KindRef, read};
pub use object_ref::{ObjectRef, TypedName, kind_of_word, split};

use crate::output::table::Table;
use past_sync::{PastLayout, PastSync};
use progress::{QuotedFailure, ReconcileState};

/// Where the objects of a kind are.
pub trait Scoped {
    /// Whether in namespaces; else they are the cluster's.
    const IS_NAMESPACED: bool;
}

impl Scoped for NamespaceResourceScope {
    const IS_NAMESPACED: bool = true;
}

impl Scoped for ClusterResourceScope {
    const IS_NAMESPACED: bool = false;
}

/// A custom resource that this program lists and describes; one of [`KINDS`] it also syncs, suspends, deletes and waits
/// for. What has no default is needed for all; the rest is of kinds that have Jobs.
pub trait Kind: Resource<DynamicType = (), Scope: Scoped> + DeserializeOwned + 'static {
    /// Its short names in the API, which users may write in front of `/NAME`.
    const SHORT_NAMES: &'static [&'static str];
    /// The columns of a list between NAME and AGE.
    const COLUMNS: &'static [&'static str];
    /// The columns that `-o wide` adds after AGE and before MESSAGE.
    const WIDE_COLUMNS: &'static [&'static str];
    /// What its history shows.
    const PAST: PastLayout = PastLayout::NOTHING;
    /// How the work of its Jobs is named.
    const JOB_WORDS: JobWords = JobWords::NO_JOBS;
    /// Reasons of a Ready condition that retries alone do not change: a user or the passing of time does.
    const BEYOND_RETRIES: &'static [&'static str] = &[];
    /// The objects that it makes, and that are deleted with it; nothing of a kind that makes none.
    const CHILDREN: Option<&'static str> = None;

    /// Returns a cell for each of [`Kind::COLUMNS`].
    fn cells(&self, now: Timestamp) -> Vec<String>;

    /// Returns a cell for each of [`Kind::WIDE_COLUMNS`].
    fn wide_cells(&self, now: Timestamp) -> Vec<String>;

    /// Returns the first section of a description, without name, namespace and age: a label and a value
    /// for each thing that there is once. Facts without a value are not shown.
    fn facts(&self, now: Timestamp) -> Vec<(&'static str, String)>;

    /// Returns the sections that follow the conditions: what failed, what waits.
    fn problems(&self, _: Timestamp) -> Vec<Table> {
        Vec::new()
    }

    /// Returns the earlier syncs that had something to do, the newest first.
    fn history(&self) -> Vec<PastSync> {
        Vec::new()
    }

    /// Returns the tags that failed, each of which can be tried again; nothing where a kind has no tags to choose from.
    fn failed_tags(&self) -> Option<FailedTags> {
        None
    }

    /// Returns the state of its reconciliation.
    fn state(&self) -> ReconcileState<'_>;

    /// Returns why it is not ready, apart from the lines that its condition quotes; nothing where it quotes none.
    fn quoted_failure(&self) -> Option<QuotedFailure> {
        None
    }

    /// Returns the containers of a Job and what each works on; nothing where the Job does not record that.
    fn containers(_: &Job) -> Option<Vec<JobContainer>> {
        None
    }

    /// Returns the number of the run that a Job is a part of, where several Jobs together are one run.
    fn run_of(_: &Job) -> Option<u64> {
        None
    }
}

/// The tags of an object that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedTags {
    /// Those that the status names.
    pub named: Vec<String>,
    /// How many more there are.
    pub others: u32,
}

/// How the work of a kind's Jobs is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobWords {
    /// The column of what they write.
    pub column: &'static str,
    /// What they are doing with what they work on.
    pub doing: &'static str,
    /// Whether the containers of a Job run one after the other.
    pub in_sequence: bool,
    /// The fields that say how many of its runs keep their Jobs; none where Jobs go after some time.
    pub kept: Option<KeptJobs>,
}

impl JobWords {
    /// Of a kind without Jobs.
    pub const NO_JOBS: Self = Self { column: "", doing: "", in_sequence: false, kept: None };
}

/// The fields of a spec that say how many runs keep their Jobs, and so their logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptJobs {
    /// Of those that succeeded.
    pub succeeded: &'static str,
    /// Of all others.
    pub others: &'static str,
}

/// A container of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobContainer {
    /// Its name in the pod.
    pub name: String,
    /// What it works on: a tag as in the source, or a platform.
    pub works_on: String,
    /// What it writes: a tag, or a platform.
    pub writes: String,
}

/// The kinds whose objects the agent acts on, and that verbs change.
pub const KINDS: [KindRef; 4] = [
    Erased::<Image>::REF,
    Erased::<ImageBuilder>::REF,
    Erased::<ImageMirror>::REF,
    Erased::<WorkloadMirror>::REF,
];

/// All kinds that can be listed and described by their names.
pub const LISTED_KINDS: [KindRef; 5] =
    [KINDS[0], KINDS[1], KINDS[2], KINDS[3], Erased::<RegistryAccess>::REF];

/// The kind of a name that is typed without one.
pub const DEFAULT_KIND: KindRef = KINDS[0];
