//! The counters that only Images have.

use prometheus_client::metrics::counter::Counter;

use crate::metrics::Metrics;

/// What is counted of copies.
#[derive(Debug, Default)]
pub(super) struct CopyCounters {
    /// Tags copied and verified.
    pub tags_copied: Counter,
    /// Configurations and layers that a registry mounted from a repository of its own.
    pub blobs_mounted: Counter,
}

impl CopyCounters {
    /// Returns counters that are exported with these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register("tags_copied", "Tags copied and verified", counters.tags_copied.clone());
        let mounted = "Blobs that a registry mounted from another repository of its own";
        metrics.register("blobs_mounted", mounted, counters.blobs_mounted.clone());
        counters
    }
}
