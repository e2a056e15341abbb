//! The pods of Jobs, as the watch of their namespace tells of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use kube::ResourceExt as _;
use kube::runtime::watcher::Event;

use super::view::PodView;
use crate::cluster::owner::controller_of;
use crate::cluster::watch::Guarded;

/// Bytes of the pods of one namespace: whoever may create them there can create many.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The pods of the Jobs of one namespace.
#[derive(Default)]
pub struct NamespacePods {
    is_known: bool,
    /// By the UID of the Job, and their own names.
    of_job: HashMap<String, BTreeMap<String, PodView>>,
    seen: HashSet<String>,
    bytes: usize,
}

impl NamespacePods {
    /// Returns the pods of a Job, once all of the namespace are known.
    pub fn of_job(&self, uid: &str) -> Option<Vec<&PodView>> {
        self.is_known.then(|| self.of_job.get(uid).into_iter().flatten().map(|(_, pod)| pod).collect())
    }

    /// Returns how many pods there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.of_job.values().map(BTreeMap::len).sum()
    }

    /// Takes in what the watch tells; returns the names and UIDs of the Jobs whose pods have changed.
    pub fn apply(&mut self, namespace: &str, event: Event<Guarded<PodView>>) -> Vec<(String, String)> {
        match event {
            Event::Init => self.seen.clear(),
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
            Event::Delete(pod) => return self.remove(&pod).into_iter().collect(),
        }
        Vec::new()
    }

    fn insert(&mut self, namespace: &str, pod: PodView) -> Option<(String, String)> {
        let job = job_of(&pod)?;
        let pods = self.of_job.entry(job.1.clone()).or_default();
        let before = pods.get(&pod.name_any()).map_or(0, PodView::bytes);
        if self.bytes - before + pod.bytes() > MAX_BYTES {
            tracing::warn!(namespace, "the pods of the namespace's Jobs say too much; some are left out");
            return None;
        }
        self.bytes = self.bytes - before + pod.bytes();
        pods.insert(pod.name_any(), pod);
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

/// Returns name and UID of the Job of a pod.
fn job_of(pod: &impl kube::Resource) -> Option<(String, String)> {
    controller_of(pod).map(|owner| (owner.name.clone(), owner.uid.clone()))
}
