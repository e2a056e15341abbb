//! The Jobs of the agent and their pods, as the watches show them and as this process creates them.

mod bytes;
mod lent;
mod unanswered;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;

use super::budget::{Count, JobBudget};
use super::pods::NamespacePods;
use super::report::{JobReport, Pods};
use super::view::{JobView, PodView};
use crate::cluster::owner::Owner;
use crate::cluster::watch::Guarded;
use bytes::{Bytes, Size};
use unanswered::Unanswered;

/// Namespace and name.
type Key = (String, String);
/// The namespace that a watch covers; none for all.
pub type Scope = Option<String>;

/// Called with an owner whose Jobs have changed.
type Wake = Box<dyn Fn(&Owner) + Send + Sync>;

/// All Jobs and pods.
pub struct Store {
    content: Mutex<Content>,
    budget: JobBudget,
    /// How long a pod may wait for a node.
    max_pending: Duration,
    wake: Wake,
}

#[derive(Default)]
struct Content {
    /// The namespace of the Jobs that use what is lent.
    lent: Box<str>,
    jobs: HashMap<Key, Entry>,
    /// How many Jobs each namespace has.
    of_namespace: HashMap<String, usize>,
    /// The Jobs by the namespace and the UID of their owner.
    of_owner: HashMap<Key, BTreeSet<Key>>,
    /// Unfinished Jobs by namespace and by the UID of the controller or, where that is gone, of the label: Jobs
    /// that `delete --cascade=orphan` left behind count for as long as they live.
    unfinished: HashMap<Key, usize>,
    bytes: Bytes,
    known: HashSet<Scope>,
    listing: HashMap<Scope, HashSet<Key>>,
    unanswered: Unanswered,
    pods: HashMap<String, NamespacePods>,
}

struct Entry {
    job: Arc<JobView>,
    /// Whether it is reduced to what is counted, for want of room.
    is_stub: bool,
    /// Since when it has been seen without a pod.
    pod_missing_since: Option<Timestamp>,
}

/// What a change means for others.
#[derive(Default)]
struct Changed {
    /// Whose unfinished Jobs are to be counted again.
    counts: Vec<Key>,
    wake: Vec<Owner>,
}

impl Store {
    /// Returns an empty store. `lent` is the namespace of the Jobs that use what is lent; `wake` is called with an owner
    /// whose Jobs or pods have changed.
    pub fn new(
        budget: JobBudget,
        max_pending: Duration,
        lent: &str,
        wake: impl Fn(&Owner) + Send + Sync + 'static,
    ) -> Self {
        let content = Content { lent: lent.into(), ..Content::default() };
        Self { content: Mutex::new(content), budget, max_pending, wake: Box::new(wake) }
    }

    /// Applies an event of the watch of Jobs.
    pub fn apply_job(&self, scope: &Scope, event: Event<Guarded<JobView>>) {
        let changed = self.change(|content| match event {
            Event::Init => {
                content.listing.insert(scope.clone(), HashSet::new());
                Changed::default()
            }
            Event::InitApply(job) => {
                job.0.map_or_else(|_| Changed::default(), |job| content.listed(scope, job))
            }
            Event::InitDone => content.end_list(scope),
            Event::Apply(job) => job.0.map_or_else(|_| Changed::default(), |job| content.insert(job, false)),
            Event::Delete(job) => {
                let (key, uid) = (key_of(job.meta()), &job.meta().uid);
                content.unanswered.note_gone(&key, uid.as_ref());
                content.remove_if(&key, uid.as_deref())
            }
        });
        for owner in &changed.wake {
            (self.wake)(owner);
        }
    }

    /// Inserts a Job that this process has created or found, as the API server answered, unless the watch has
    /// shown it already: what that shows is newer, be it that the Job is gone.
    pub fn insert(&self, job: JobView) {
        self.change(|content| {
            let key = key_of(&job.metadata);
            if content.unanswered.is_gone(&key, job.metadata.uid.as_ref()) {
                return Changed::default();
            }
            // A list that was begun before does not have it.
            content.listing.values_mut().for_each(|seen| {
                seen.insert(key.clone());
            });
            let is_known = |entry: &Entry| entry.job.metadata.uid == job.metadata.uid;
            if content.jobs.get(&key).is_some_and(is_known) {
                return Changed::default();
            }
            content.insert(job, true)
        });
    }

    /// Removes a Job that this process has deleted.
    pub fn remove(&self, namespace: &str, name: &str, uid: Option<&str>) {
        let key = (namespace.to_owned(), name.to_owned());
        self.change(|content| content.remove_if(&key, uid));
    }

    /// Applies an event of the watch of a namespace's pods.
    pub fn apply_pod(&self, namespace: &str, event: Event<Guarded<PodView>>) {
        let owners: Vec<Owner> = {
            let mut content = self.content.lock();
            let Content { pods, jobs, lent, .. } = &mut *content;
            let of_job = |(name, uid): &(String, String)| {
                let entry = jobs.get(&(namespace.to_owned(), name.clone()))?;
                Some(&entry.job).filter(|job| job.metadata.uid.as_ref() == Some(uid))
            };
            // Kubernetes deletes the pods of a drained node, and what they have reported is of use to the next Job.
            let keeps =
                |job: &(String, String)| of_job(job).is_some_and(|job| !job.replaces_disrupted_pods());
            let changed = pods.entry(namespace.to_owned()).or_default().apply(namespace, event, keeps);
            changed.iter().filter_map(|job| of_job(job)?.owner(lent)).collect()
        };
        for owner in &owners {
            (self.wake)(owner);
        }
    }

    /// Notes that the watch of a namespace's pods has failed: what it showed last may be outdated.
    pub fn pods_have_failed(&self, namespace: &str, now: Timestamp) {
        self.content.lock().pods.entry(namespace.to_owned()).or_default().have_failed(now);
    }

    /// Returns whether the pods of a namespace are known.
    #[cfg(test)]
    pub fn knows_pods(&self, namespace: &str) -> bool {
        self.content.lock().pods.get(namespace).is_some_and(NamespacePods::are_known)
    }

    /// Forgets the pods of a namespace that is not watched any more.
    pub fn forget_pods(&self, namespace: &str) {
        self.content.lock().pods.remove(namespace);
    }

    /// Returns the namespaces that have Jobs.
    pub fn namespaces(&self) -> HashSet<String> {
        self.content.lock().of_namespace.keys().cloned().collect()
    }

    /// Returns whether the Jobs of a namespace are known.
    pub fn knows(&self, namespace: &str) -> bool {
        let known = &self.content.lock().known;
        known.contains(&None) || known.contains(&Some(namespace.to_owned()))
    }

    /// Returns of how many scopes the Jobs are known.
    pub fn known_scopes(&self) -> usize {
        self.content.lock().known.len()
    }

    /// Returns a Job.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<JobView>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.content.lock().jobs.get(&key).map(|entry| entry.job.clone())
    }

    /// Returns how many Jobs an owner has.
    pub fn count(&self, owner: &Owner) -> Count {
        let content = self.content.lock();
        let names = content.of_owner.get(&(owner.namespace.clone(), owner.uid.clone())).into_iter().flatten();
        let jobs = names.filter_map(|key| content.jobs.get(key));
        jobs.fold(Count::default(), |count, entry| Count {
            total: count.total + 1,
            unfinished: count.unfinished + usize::from(entry.job.is_unfinished()),
        })
    }

    /// Returns the reports of the Jobs of an owner.
    pub fn of_owner(&self, owner: &Owner, now: Timestamp) -> Vec<JobReport> {
        let content = &mut *self.content.lock();
        let names = content.of_owner.get(&(owner.namespace.clone(), owner.uid.clone())).into_iter().flatten();
        names
            .filter_map(|key| {
                let entry = content.jobs.get_mut(key)?;
                let pods_here = content.pods.get(&key.0);
                let uid = entry.job.metadata.uid.as_deref().unwrap_or_default();
                let mut report = match pods_here.and_then(|pods| pods.of_job(uid, now)) {
                    None => JobReport::of(&entry.job, Pods::Unknown, self.max_pending, now),
                    Some(of_job) => {
                        let is_without = of_job.is_empty() && entry.job.is_unfinished();
                        entry.pod_missing_since = is_without.then(|| entry.pod_missing_since.unwrap_or(now));
                        let pods = Pods::Known(&of_job, entry.pod_missing_since);
                        JobReport::of(&entry.job, pods, self.max_pending, now)
                    }
                };
                report.is_stub = entry.is_stub;
                Some(report)
            })
            .collect()
    }

    /// Changes the content. The budget gets the counts before another change can be made.
    fn change(&self, change: impl FnOnce(&mut Content) -> Changed) -> Changed {
        let mut content = self.content.lock();
        let changed = change(&mut content);
        for key in &changed.counts {
            let unfinished = content.unfinished.get(key).copied().unwrap_or_default();
            self.budget.set(&key.0, &key.1, unfinished);
        }
        changed
    }
}

impl Changed {
    fn and(mut self, other: Self) -> Self {
        for key in other.counts {
            if !self.counts.contains(&key) {
                self.counts.push(key);
            }
        }
        for owner in other.wake {
            if !self.wake.contains(&owner) {
                self.wake.push(owner);
            }
        }
        self
    }
}

impl Content {
    /// Inserts a Job of a list: its owner is woken only if the Job has changed.
    fn listed(&mut self, scope: &Scope, job: JobView) -> Changed {
        let key = key_of(&job.metadata);
        if let Some(seen) = self.listing.get_mut(scope) {
            seen.insert(key.clone());
        }
        let is_news = self.known.contains(scope)
            && self.jobs.get(&key).is_none_or(|there| there.job.status != job.status);
        let changed = self.insert(job, false);
        if is_news { changed } else { Changed { wake: Vec::new(), ..changed } }
    }

    /// Removes what a complete list does not have: it was deleted while there was no watch.
    fn end_list(&mut self, scope: &Scope) -> Changed {
        let seen = self.listing.remove(scope).unwrap_or_default();
        let is_gone = |key: &&Key| scope.as_ref().is_none_or(|scope| key.0 == *scope) && !seen.contains(*key);
        let gone: Vec<Key> = self.jobs.keys().filter(is_gone).cloned().collect();
        self.known.insert(scope.clone());
        gone.iter().fold(Changed::default(), |changed, key| changed.and(self.remove_if(key, None)))
    }

    /// Inserts a Job in place of the one of its name. Where not all fit, finished ones are reduced first. One
    /// that is `own` to this process, or was there before, is never left out.
    fn insert(&mut self, mut job: JobView, own: bool) -> Changed {
        job.reduce_metadata();
        let key = key_of(&job.metadata);
        let before = self.jobs.get(&key);
        let same = before.filter(|before| before.job.metadata.uid == job.metadata.uid);
        let must_stay = own || same.is_some();
        let pod_missing_since = same.and_then(|before| before.pod_missing_since);
        let removed = if same.is_some() { self.take_out(&key, None) } else { self.remove_if(&key, None) };
        let Some(counted) = job.counted_for(&self.lent) else { return removed };
        if !self.bytes.fits(&counted, job.bytes(), Size::Whole) && job.is_unfinished() {
            self.reduce_finished(&counted, job.bytes());
        }
        let is_stub = !self.bytes.fits(&counted, job.bytes(), Size::Whole);
        if is_stub {
            job.reduce_to_stub();
            tracing::warn!(
                namespace = key.0,
                job = key.1,
                "the Jobs exceed their memory; of this one no more is kept than that it exists"
            );
            if !must_stay && !self.bytes.fits(&counted, job.bytes(), Size::Stub) {
                tracing::warn!(
                    namespace = key.0,
                    job = key.1,
                    "the Jobs exceed their memory; this one is left out"
                );
                return removed;
            }
        }
        self.bytes.add(&counted, job.bytes());
        let owner = job.owner(&self.lent);
        if owner.is_some() {
            self.of_owner.entry(counted.clone()).or_default().insert(key.clone());
        }
        *self.of_namespace.entry(key.0.clone()).or_default() += 1;
        if job.is_unfinished() {
            *self.unfinished.entry(counted.clone()).or_default() += 1;
        }
        self.jobs.insert(key, Entry { job: Arc::new(job), is_stub, pod_missing_since });
        removed.and(Changed { counts: vec![counted], wake: owner.into_iter().collect() })
    }

    /// Reduces finished Jobs of an owner, or of its namespace, until a Job of this size in bytes fits.
    fn reduce_finished(&mut self, counted: &Key, bytes: usize) {
        let of_owner_alone = !self.bytes.fits_owner(counted, bytes);
        for (key, entry) in &mut self.jobs {
            if entry.is_stub || entry.job.is_unfinished() {
                continue;
            }
            let is_near = key.0 == counted.0 || *key.0 == *self.lent;
            let Some(other) = entry.job.counted_for(&self.lent).filter(|_| is_near) else { continue };
            if other.0 != counted.0 || of_owner_alone && other != *counted {
                continue;
            }
            let before = entry.job.bytes();
            Arc::make_mut(&mut entry.job).reduce_to_stub();
            entry.is_stub = true;
            self.bytes.subtract(&other, before);
            self.bytes.add(&other, entry.job.bytes());
            tracing::debug!(namespace = key.0, job = key.1, "a finished Job is reduced to make room");
            if self.bytes.fits(counted, bytes, Size::Whole) {
                return;
            }
        }
    }

    /// Removes a Job with what its pods have reported, if it has this UID: another one may have its name by now.
    fn remove_if(&mut self, key: &Key, uid: Option<&str>) -> Changed {
        let there = self.jobs.get(key).and_then(|entry| entry.job.metadata.uid.as_ref());
        let removed = there.filter(|there| uid.is_none_or(|uid| uid == *there));
        if let (Some(removed), Some(pods)) = (removed, self.pods.get_mut(&key.0)) {
            pods.forget_ended(removed);
        }
        self.take_out(key, uid)
    }

    /// Takes a Job out, to be inserted again or not at all.
    fn take_out(&mut self, key: &Key, uid: Option<&str>) -> Changed {
        let has_uid = |entry: &Entry| uid.is_none() || entry.job.metadata.uid.as_deref() == uid;
        if !self.jobs.get(key).is_some_and(has_uid) {
            return Changed::default();
        }
        let Some(entry) = self.jobs.remove(key) else { return Changed::default() };
        let Some(counted) = entry.job.counted_for(&self.lent) else { return Changed::default() };
        if let Some(count) = self.of_namespace.get_mut(&key.0) {
            *count -= 1;
            if *count == 0 {
                self.of_namespace.remove(&key.0);
            }
        }
        self.bytes.subtract(&counted, entry.job.bytes());
        if let Some(names) = self.of_owner.get_mut(&counted) {
            names.remove(key);
            if names.is_empty() {
                self.of_owner.remove(&counted);
            }
        }
        if entry.job.is_unfinished()
            && let Some(left) = self.unfinished.get_mut(&counted)
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.unfinished.remove(&counted);
            }
        }
        Changed { counts: vec![counted], wake: entry.job.owner(&self.lent).into_iter().collect() }
    }
}

fn key_of(metadata: &kube::api::ObjectMeta) -> Key {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests;
