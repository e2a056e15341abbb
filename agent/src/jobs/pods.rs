//! The pods of Jobs, as the watch of their namespace shows them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use imgop_core::time::saturating_add;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;

use super::view::PodView;
use crate::cluster::owner::controller_of;
use crate::cluster::watch::Guarded;

/// Bytes of the pods of one namespace: whoever may create them there can create many.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// A watch that failed so recently may not have shown the latest: it is tried again more often than this.
const MAX_ERROR_INTERVAL: Duration = Duration::from_secs(75);

/// The pods of the Jobs of one namespace.
#[derive(Default)]
pub struct NamespacePods {
    is_known: bool,
    /// By the UID of the Job, and their own names.
    of_job: HashMap<String, BTreeMap<String, PodView>>,
    seen: HashSet<String>,
    bytes: usize,
    /// Whether pods were left out, since the last complete list: a Job without pods may have some of them.
    has_left_out: bool,
    last_error: Option<Timestamp>,
}

impl NamespacePods {
    /// Returns the pods of a Job, unless there may be others than are known: before the first list, after some
    /// were left out, and while the watch fails.
    pub fn of_job(&self, uid: &str, now: Timestamp) -> Option<Vec<&PodView>> {
        let pods: Vec<&PodView> = self.of_job.get(uid).into_iter().flatten().map(|(_, pod)| pod).collect();
        let have_ended = !pods.is_empty() && pods.iter().all(|pod| pod.has_ended());
        let is_failing = self.last_error.is_some_and(|at| now < saturating_add(at, MAX_ERROR_INTERVAL));
        let may_be_others = is_failing || self.has_left_out && pods.is_empty();
        (self.is_known && (have_ended || !may_be_others)).then_some(pods)
    }

    /// Notes that the watch has failed.
    pub fn have_failed(&mut self, now: Timestamp) {
        self.last_error = Some(now);
    }

    /// Returns whether a list of them was complete.
    #[cfg(test)]
    pub fn are_known(&self) -> bool {
        self.is_known
    }

    /// Returns how many pods there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.of_job.values().map(BTreeMap::len).sum()
    }

    /// Applies an event of the watch; returns the names and UIDs of the Jobs whose pods have changed. `keeps` says by these
    /// whether pods that have ended are kept when they are deleted, until [`Self::forget_ended`].
    pub fn apply(
        &mut self,
        namespace: &str,
        event: Event<Guarded<PodView>>,
        keeps: impl Fn(&(String, String)) -> bool,
    ) -> Vec<(String, String)> {
        match event {
            Event::Init => {
                self.seen.clear();
                self.has_left_out = false;
            }
            Event::InitApply(pod) => {
                if let Ok(pod) = pod.0 {
                    self.seen.insert(pod.name_any());
                    self.insert(namespace, pod);
                }
            }
            Event::InitDone => {
                self.is_known = true;
                let seen = std::mem::take(&mut self.seen);
                self.of_job.values_mut().for_each(|pods| pods.retain(|name, _| seen.contains(name)));
                self.of_job.retain(|_, pods| !pods.is_empty());
                self.bytes = self.of_job.values().flatten().map(|(_, pod)| pod.bytes()).sum();
                return self.of_job.values().filter_map(|pods| job_of(pods.values().next()?)).collect();
            }
            Event::Apply(pod) => {
                return pod.0.ok().and_then(|pod| self.insert(namespace, pod)).into_iter().collect();
            }
            Event::Delete(pod) if job_of(&pod).is_some_and(|job| keeps(&job)) && has_ended(&pod) => {
                return pod.0.ok().and_then(|pod| self.insert(namespace, pod)).into_iter().collect();
            }
            Event::Delete(pod) => return self.remove(&pod).into_iter().collect(),
        }
        Vec::new()
    }

    /// Forgets the pods of a Job that have ended: the Job is gone.
    pub fn forget_ended(&mut self, uid: &str) {
        let Some(pods) = self.of_job.get_mut(uid) else { return };
        let bytes = |pods: &BTreeMap<String, PodView>| pods.values().map(PodView::bytes).sum::<usize>();
        let before = bytes(pods);
        pods.retain(|_, pod| !pod.has_ended());
        self.bytes = self.bytes.saturating_sub(before - bytes(pods));
        if pods.is_empty() {
            self.of_job.remove(uid);
        }
    }

    fn insert(&mut self, namespace: &str, pod: PodView) -> Option<(String, String)> {
        let job = job_of(&pod)?;
        let before =
            self.of_job.get(&job.1).and_then(|pods| pods.get(&pod.name_any())).map_or(0, PodView::bytes);
        if self.bytes - before + pod.bytes() > MAX_BYTES {
            tracing::warn!(namespace, "the pods of the namespace's Jobs exceed 8 MiB; some are left out");
            self.has_left_out = true;
            return None;
        }
        self.bytes = self.bytes - before + pod.bytes();
        self.of_job.entry(job.1.clone()).or_default().insert(pod.name_any(), pod);
        Some(job)
    }

    fn remove(&mut self, pod: &Guarded<PodView>) -> Option<(String, String)> {
        let job = job_of(pod)?;
        let pods = self.of_job.get_mut(&job.1)?;
        let gone = pods.remove(&pod.name_any())?;
        self.bytes = self.bytes.saturating_sub(gone.bytes());
        if pods.is_empty() {
            self.of_job.remove(&job.1);
        }
        Some(job)
    }
}

fn has_ended(pod: &Guarded<PodView>) -> bool {
    pod.0.as_ref().is_ok_and(PodView::has_ended)
}

/// Returns name and UID of the Job of a pod.
fn job_of(pod: &impl kube::Resource) -> Option<(String, String)> {
    controller_of(pod).map(|owner| (owner.name.clone(), owner.uid.clone()))
}
