//! A kind that is known only at run time: from `image/NAME`, or one of several that are listed.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{ApiResource, DynamicObject};

use super::past_sync::{PastColumns, PastLayout, PastSync, table};
use super::progress::{Goal, Progress, QuotedFailure, judge};
use super::{DEFAULT_KIND, FailedTags, JobContainer, JobWords, Kind, Scoped};
use crate::output::table::Table;

/// A kind at run time.
pub type KindRef = &'static dyn AnyKind;

/// [`Kind`] without its type. Objects come as they are; one that this version cannot read is an error in
/// words.
pub trait AnyKind: Sync {
    /// Returns group, version, kind and plural.
    fn resource(&self) -> ApiResource;
    /// Returns whether its objects are in namespaces; else they are the cluster's.
    fn is_namespaced(&self) -> bool;
    /// Returns [`Kind::SHORT_NAMES`].
    fn short_names(&self) -> &'static [&'static str];
    /// Returns [`Kind::COLUMNS`].
    fn columns(&self) -> &'static [&'static str];
    /// Returns [`Kind::WIDE_COLUMNS`].
    fn wide_columns(&self) -> &'static [&'static str];
    /// Returns the cells of an object.
    fn row(&self, object: &DynamicObject, now: Timestamp) -> Result<Row, String>;
    /// Returns what a description shows of an object.
    fn describe(&self, object: &DynamicObject, now: Timestamp) -> Result<Description, String>;
    /// Returns [`Kind::PAST`].
    fn past_layout(&self) -> PastLayout;
    /// Returns [`Kind::JOB_WORDS`].
    fn job_words(&self) -> JobWords;
    /// Returns [`Kind::CHILDREN`].
    fn children(&self) -> Option<&'static str>;
    /// Returns [`Kind::history`] of an object.
    fn history(&self, object: &DynamicObject) -> Result<Vec<PastSync>, String>;
    /// Returns [`Kind::failed_tags`] of an object.
    fn failed_tags(&self, object: &DynamicObject) -> Result<Option<FailedTags>, String>;
    /// Returns how far the agent is with an object.
    fn progress(&self, object: &DynamicObject, goal: &Goal) -> Result<Progress, String>;
    /// Returns [`Kind::quoted_failure`] of an object; nothing of one that this version cannot read.
    fn quoted_failure(&self, object: &DynamicObject) -> Option<QuotedFailure>;
    /// Returns [`Kind::containers`].
    fn containers(&self, job: &Job) -> Option<Vec<JobContainer>>;
    /// Returns [`Kind::run_of`].
    fn run_of(&self, job: &Job) -> Option<u64>;
}

/// The cells of one object in a list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Those between NAME and AGE.
    pub cells: Vec<String>,
    /// Those between AGE and MESSAGE.
    pub wide: Vec<String>,
    /// The message of the Ready condition, if there is one.
    pub message: Option<String>,
}

/// What a description shows of an object.
#[derive(Debug, Clone)]
pub struct Description {
    /// A label and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// The conditions of the status.
    pub conditions: Vec<Condition>,
    /// What failed, what waits.
    pub problems: Vec<Table>,
    /// Earlier syncs.
    pub history: Option<Table>,
    /// Whether none of its Jobs runs, although Kubernetes may still count pods that end.
    pub is_complete: bool,
}

/// The one implementation of [`AnyKind`].
pub struct Erased<K>(PhantomData<fn() -> K>);

impl<K: Kind> Erased<K> {
    /// The kind at run time.
    pub const REF: KindRef = &Self(PhantomData);
}

/// Returns the object as its kind's type, or why it is none.
pub fn read<K: Kind>(object: &DynamicObject) -> Result<K, String> {
    serde_json::to_value(object).and_then(serde_json::from_value).map_err(|error| error.to_string())
}

impl<K: Kind> AnyKind for Erased<K> {
    fn resource(&self) -> ApiResource {
        ApiResource::erase::<K>(&())
    }

    fn is_namespaced(&self) -> bool {
        <K::Scope as Scoped>::IS_NAMESPACED
    }

    fn short_names(&self) -> &'static [&'static str] {
        K::SHORT_NAMES
    }

    fn columns(&self) -> &'static [&'static str] {
        K::COLUMNS
    }

    fn wide_columns(&self) -> &'static [&'static str] {
        K::WIDE_COLUMNS
    }

    fn row(&self, object: &DynamicObject, now: Timestamp) -> Result<Row, String> {
        let object: K = read(object)?;
        let message = object.state().ready().map(|ready| ready.message.clone());
        Ok(Row { cells: object.cells(now), wide: object.wide_cells(now), message })
    }

    fn describe(&self, object: &DynamicObject, now: Timestamp) -> Result<Description, String> {
        let object: K = read(object)?;
        // Why the last sync failed stands above.
        let columns = PastColumns { wide: false, reasons: false };
        let (history, state) = (object.history(), object.state());
        let is_of_spec = state.observed_generation == object.meta().generation;
        Ok(Description {
            facts: object.facts(now),
            conditions: state.conditions.to_vec(),
            problems: object.problems(now),
            history: (!history.is_empty()).then(|| table(K::PAST, &history, columns, now)),
            is_complete: state.is_completed && is_of_spec,
        })
    }

    fn past_layout(&self) -> PastLayout {
        K::PAST
    }

    fn job_words(&self) -> JobWords {
        K::JOB_WORDS
    }

    fn children(&self) -> Option<&'static str> {
        K::CHILDREN
    }

    fn history(&self, object: &DynamicObject) -> Result<Vec<PastSync>, String> {
        Ok(read::<K>(object)?.history())
    }

    fn failed_tags(&self, object: &DynamicObject) -> Result<Option<FailedTags>, String> {
        Ok(read::<K>(object)?.failed_tags())
    }

    fn progress(&self, object: &DynamicObject, goal: &Goal) -> Result<Progress, String> {
        let object: K = read(object)?;
        Ok(judge(&object.state(), goal, K::BEYOND_RETRIES))
    }

    fn quoted_failure(&self, object: &DynamicObject) -> Option<QuotedFailure> {
        read::<K>(object).ok()?.quoted_failure()
    }

    fn containers(&self, job: &Job) -> Option<Vec<JobContainer>> {
        K::containers(job)
    }

    fn run_of(&self, job: &Job) -> Option<u64> {
        K::run_of(job)
    }
}

impl dyn AnyKind {
    /// Returns the name that users read: `Image`.
    pub fn title(&self) -> String {
        self.resource().kind
    }

    /// Returns the resource as RBAC and kubectl name it: `images.skopeo.io`.
    pub fn resource_name(&self) -> String {
        let ApiResource { plural, group, .. } = self.resource();
        format!("{plural}.{group}")
    }

    /// Returns an object as kubectl prints it: `image.skopeo.io/argocd`.
    pub fn qualified(&self, name: &str) -> String {
        let ApiResource { kind, group, .. } = self.resource();
        format!("{}.{group}/{name}", kind.to_lowercase())
    }

    /// Returns every word that stands for this kind in front of `/NAME`.
    pub fn words(&self) -> Vec<String> {
        let ApiResource { kind, plural, group, .. } = self.resource();
        let singular = kind.to_lowercase();
        let mut words = vec![format!("{singular}.{group}"), format!("{plural}.{group}"), singular, plural];
        words.extend(self.short_names().iter().map(|name| (*name).to_owned()));
        words
    }

    /// Returns whether a name without a kind is of this one.
    pub fn is_default(&self) -> bool {
        self == DEFAULT_KIND
    }
}

impl PartialEq for dyn AnyKind {
    fn eq(&self, other: &Self) -> bool {
        self.resource() == other.resource()
    }
}

impl Eq for dyn AnyKind {}

impl fmt::Debug for dyn AnyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource_name())
    }
}
