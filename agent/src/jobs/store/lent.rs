//! The Jobs of the store that use what administrators lend.

use kube::ResourceExt as _;

use super::{Entry, Store};
use crate::cluster::owner::Owner;

/// A Job in the namespace of those that use what is lent.
pub struct LentJob {
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Option<String>,
}

impl Store {
    /// Returns the Jobs that use what is lent.
    pub fn lent(&self) -> Vec<LentJob> {
        let content = self.content.lock();
        if !content.of_namespace.contains_key(&*content.lent) {
            return Vec::new();
        }
        let lent = |entry: &Entry| {
            let (owner, job) = (entry.job.lent_to(&content.lent)?, &entry.job);
            Some(LentJob { owner, name: job.name_any(), uid: job.metadata.uid.clone() })
        };
        content.jobs.values().filter_map(lent).collect()
    }
}
