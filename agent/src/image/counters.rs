//! The counters that only Images have.

use std::collections::HashMap;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

/// What is counted of copies.
#[derive(Debug, Default)]
pub(super) struct CopyCounters {
    /// Tags copied and verified.
    pub tags_copied: Counter,
    /// Configurations and layers that a registry mounted from a repository of its own.
    pub blobs_mounted: Counter,
    /// Tags that are left alone because they keep failing.
    pub in_cooldown: InCooldown,
}

/// How many tags of each Image are left alone because they keep failing.
#[derive(Debug, Default)]
pub(super) struct InCooldown {
    by_uid: Mutex<HashMap<String, i64>>,
    sum: Gauge,
}

impl InCooldown {
    /// Notes how many there are of an Image.
    pub fn set(&self, uid: &str, count: usize) {
        let mut by_uid = self.by_uid.lock();
        match i64::try_from(count).unwrap_or(i64::MAX) {
            0 => by_uid.remove(uid),
            count => by_uid.insert(uid.to_owned(), count),
        };
        self.sum.set(by_uid.values().sum());
    }

    /// Drops those of Images that do not exist any more.
    pub fn evict(&self, exists: &(dyn Fn(&str) -> bool + Sync)) {
        let mut by_uid = self.by_uid.lock();
        by_uid.retain(|uid, _| exists(uid));
        self.sum.set(by_uid.values().sum());
    }
}

impl CopyCounters {
    /// Returns counters that are exported with these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register("tags_copied", "Tags copied and verified", counters.tags_copied.clone());
        let mounted = "Blobs that a registry mounted from another repository of its own";
        metrics.register("blobs_mounted", mounted, counters.blobs_mounted.clone());
        let left_alone =
            "Tags that keep failing and are left alone for the cooldown (FAILURE_COOLDOWN_MINUTES)";
        metrics.register("tags_in_cooldown", left_alone, counters.in_cooldown.sum.clone());
        counters
    }
}
