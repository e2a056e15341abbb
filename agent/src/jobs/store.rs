//! The Jobs of the agent and their pods, as the watches tell of them and as this process creates them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use imgop_core::api::IMAGE_UID_LABEL;
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use kube::{Resource as _, ResourceExt as _};
use parking_lot::Mutex;

use super::budget::{Count, JobBudget};
use super::pods::NamespacePods;
use super::report::{JobReport, Pods};
use super::view::{JobView, PodView};
use crate::cluster::owner::{Owner, controller_of};
use crate::cluster::watch::Guarded;

/// Bytes of the Jobs of one owner. A thousand tags have a third of it.
const MAX_BYTES_PER_OWNER: usize = 2 * 1024 * 1024;
/// Bytes of the Jobs of one namespace: whoever may create them there can create many.
const MAX_BYTES_PER_NAMESPACE: usize = 8 * 1024 * 1024;

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
    wake: Wake,
}

#[derive(Default)]
struct Content {
    jobs: HashMap<Key, Entry>,
    /// By the UID of the controller.
    of_owner: HashMap<String, BTreeSet<Key>>,
    /// Unfinished Jobs by namespace and by the UID of the controller or, where that is gone, of the label: Jobs
    /// that `delete --cascade=orphan` left behind count for as long as they live.
    unfinished: HashMap<Key, usize>,
    bytes: Bytes,
    known: HashSet<Scope>,
    listing: HashMap<Scope, HashSet<Key>>,
    pods: HashMap<String, NamespacePods>,
}

struct Entry {
    job: Arc<JobView>,
    /// Since when it has been seen without a pod.
    pod_missing_since: Option<Timestamp>,
}

#[derive(Default)]
struct Bytes {
    of_namespace: HashMap<String, usize>,
    of_owner: HashMap<String, usize>,
}

impl Store {
    /// Is empty. `wake` is called with an owner whose Jobs or pods have changed.
    pub fn new(budget: JobBudget, wake: impl Fn(&Owner) + Send + Sync + 'static) -> Self {
        Self { content: Mutex::default(), budget, wake: Box::new(wake) }
    }

    /// Takes in what the watch of Jobs tells.
    pub fn apply_job(&self, scope: &Scope, event: Event<Guarded<JobView>>) {
        let changed = {
            let mut content = self.content.lock();
            match event {
                Event::Init => {
                    content.listing.insert(scope.clone(), HashSet::new());
                    Vec::new()
                }
                Event::InitApply(job) => job.0.map_or_else(|_| Vec::new(), |job| content.listed(scope, job)),
                Event::InitDone => content.end_list(scope),
                Event::Apply(job) => job.0.map_or_else(|_| Vec::new(), |job| vec![content.insert(job)]),
                Event::Delete(job) => vec![content.remove_if(&key_of(job.meta()), job.meta().uid.as_deref())],
            }
        };
        self.tell(changed);
    }

    /// Puts in a Job that this process has created, as the API server answered.
    pub fn insert(&self, job: JobView) {
        let changed = {
            let mut content = self.content.lock();
            let key = key_of(&job.metadata);
            // A list that was begun before does not have it.
            content.listing.values_mut().for_each(|seen| {
                seen.insert(key.clone());
            });
            content.insert(job)
        };
        self.tell(vec![Changed { wake: None, ..changed }]);
    }

    /// Takes out a Job that this process has deleted.
    pub fn remove(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let changed = self.content.lock().remove_if(&key, None);
        self.tell(vec![Changed { wake: None, ..changed }]);
    }

    /// Takes in what the watch of a namespace's pods tells.
    pub fn apply_pod(&self, namespace: &str, event: Event<Guarded<PodView>>) {
        let owners: Vec<Owner> = {
            let mut content = self.content.lock();
            let jobs = content.pods.entry(namespace.to_owned()).or_default().apply(namespace, event);
            let of_job = |(name, uid): &(String, String)| {
                let entry = content.jobs.get(&(namespace.to_owned(), name.clone()))?;
                owner_of(&entry.job).filter(|_| entry.job.metadata.uid.as_ref() == Some(uid))
            };
            jobs.iter().filter_map(of_job).collect()
        };
        for owner in &owners {
            (self.wake)(owner);
        }
    }

    /// Forgets the pods of a namespace that is not watched any more.
    pub fn forget_pods(&self, namespace: &str) {
        self.content.lock().pods.remove(namespace);
    }

    /// Returns the namespaces that have Jobs.
    pub fn namespaces(&self) -> HashSet<String> {
        self.content.lock().bytes.of_namespace.keys().cloned().collect()
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
    pub fn count(&self, uid: &str) -> Count {
        let content = self.content.lock();
        let jobs = content.of_owner.get(uid).into_iter().flatten();
        let jobs: Vec<&Entry> = jobs.filter_map(|key| content.jobs.get(key)).collect();
        let unfinished = jobs.iter().filter(|entry| entry.job.is_unfinished()).count();
        Count { total: jobs.len(), unfinished }
    }

    /// Returns what became of the Jobs of an owner.
    pub fn of_owner(&self, uid: &str, now: Timestamp) -> Vec<JobReport> {
        let content = &mut *self.content.lock();
        let keys = content.of_owner.get(uid).into_iter().flatten();
        keys.filter_map(|key| {
            let entry = content.jobs.get_mut(key)?;
            let uid = entry.job.metadata.uid.as_deref().unwrap_or_default();
            let Some(of_job) = content.pods.get(&key.0).and_then(|pods| pods.of_job(uid)) else {
                return Some(JobReport::of(&entry.job, Pods::Unknown, now));
            };
            let is_without = of_job.is_empty() && entry.job.is_unfinished();
            entry.pod_missing_since = is_without.then(|| entry.pod_missing_since.unwrap_or(now));
            Some(JobReport::of(&entry.job, Pods::Known(&of_job, entry.pod_missing_since), now))
        })
        .collect()
    }

    fn tell(&self, changed: Vec<Changed>) {
        for Changed { count, wake } in changed {
            if let Some(((namespace, uid), unfinished)) = count {
                self.budget.set(&namespace, &uid, unfinished);
            }
            if let Some(owner) = wake {
                (self.wake)(&owner);
            }
        }
    }
}

/// What a change means for others.
#[derive(Default)]
struct Changed {
    /// The unfinished Jobs of an owner.
    count: Option<(Key, usize)>,
    wake: Option<Owner>,
}

impl Content {
    /// A Job of a list: its owner is woken only if it is news.
    fn listed(&mut self, scope: &Scope, job: JobView) -> Vec<Changed> {
        let key = key_of(&job.metadata);
        if let Some(seen) = self.listing.get_mut(scope) {
            seen.insert(key.clone());
        }
        let is_news = self.known.contains(scope)
            && self.jobs.get(&key).is_none_or(|there| there.job.status != job.status);
        let changed = self.insert(job);
        vec![if is_news { changed } else { Changed { wake: None, ..changed } }]
    }

    /// What a list does not have was deleted while nobody watched.
    fn end_list(&mut self, scope: &Scope) -> Vec<Changed> {
        let seen = self.listing.remove(scope).unwrap_or_default();
        let is_gone = |key: &&Key| scope.as_ref().is_none_or(|scope| key.0 == *scope) && !seen.contains(*key);
        let gone: Vec<Key> = self.jobs.keys().filter(is_gone).cloned().collect();
        self.known.insert(scope.clone());
        gone.iter().map(|key| self.remove_if(key, None)).collect()
    }

    fn insert(&mut self, job: JobView) -> Changed {
        let key = key_of(&job.metadata);
        let mut changed = self.remove_if(&key, None);
        let (owner, counted) = (owner_of(&job), counted_for(&job));
        let uid = counted.clone().unwrap_or_default();
        if counted.is_none() || !self.bytes.add(&key.0, &uid, job.bytes()) {
            return changed;
        }
        if let Some(owner) = &owner {
            self.of_owner.entry(owner.uid.clone()).or_default().insert(key.clone());
        }
        let count = self.unfinished.entry((key.0.clone(), uid.clone())).or_default();
        *count += usize::from(job.is_unfinished());
        changed.count = Some(((key.0.clone(), uid), *count));
        changed.wake = owner;
        self.jobs.insert(key, Entry { job: Arc::new(job), pod_missing_since: None });
        changed
    }

    /// Takes out a Job, if it has this UID: another one may have its name by now.
    fn remove_if(&mut self, key: &Key, uid: Option<&str>) -> Changed {
        let has_uid = |entry: &Entry| uid.is_none() || entry.job.metadata.uid.as_deref() == uid;
        if !self.jobs.get(key).is_some_and(has_uid) {
            return Changed::default();
        }
        let Some(entry) = self.jobs.remove(key) else { return Changed::default() };
        let (owner, uid) = (owner_of(&entry.job), counted_for(&entry.job).unwrap_or_default());
        self.bytes.subtract(&key.0, &uid, entry.job.bytes());
        if let Some(keys) = self.of_owner.get_mut(&uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.of_owner.remove(&uid);
            }
        }
        let counted = (key.0.clone(), uid);
        let left = self.unfinished.get(&counted).copied().unwrap_or_default();
        let left = left.saturating_sub(usize::from(entry.job.is_unfinished()));
        if left == 0 {
            self.unfinished.remove(&counted);
        } else {
            self.unfinished.insert(counted.clone(), left);
        }
        Changed { count: Some((counted, left)), wake: owner }
    }
}

impl Bytes {
    fn add(&mut self, namespace: &str, owner: &str, bytes: usize) -> bool {
        let here = self.of_namespace.entry(namespace.to_owned()).or_default();
        let own = self.of_owner.entry(owner.to_owned()).or_default();
        if *here + bytes > MAX_BYTES_PER_NAMESPACE || *own + bytes > MAX_BYTES_PER_OWNER {
            tracing::warn!(namespace, uid = owner, "Jobs say too much; some are left out");
            return false;
        }
        *here += bytes;
        *own += bytes;
        true
    }

    fn subtract(&mut self, namespace: &str, owner: &str, bytes: usize) {
        for (map, key) in [(&mut self.of_namespace, namespace), (&mut self.of_owner, owner)] {
            if let Some(sum) = map.get_mut(key) {
                *sum = sum.saturating_sub(bytes);
                if *sum == 0 {
                    map.remove(key);
                }
            }
        }
    }
}

fn key_of(metadata: &kube::api::ObjectMeta) -> Key {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// Returns the owner of a Job: its controller, which is in its namespace.
fn owner_of(job: &JobView) -> Option<Owner> {
    controller_of(job).map(|owner| Owner {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        namespace: job.namespace().unwrap_or_default(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    })
}

/// Returns the UID for which a Job counts.
fn counted_for(job: &JobView) -> Option<String> {
    let label = || job.labels().get(IMAGE_UID_LABEL).cloned();
    controller_of(job).map(|owner| owner.uid.clone()).or_else(label)
}

#[cfg(test)]
mod tests;
