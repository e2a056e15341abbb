//! The numbers that builds add to the metrics of all kinds.

use std::collections::HashMap;
use std::sync::Arc;

use imgop_core::api::{BuildReason, BuildResult, ImageBuilder, ImageBuilderStatus, PlatformState};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::metrics::Metrics;

/// Builds by how they ended and why they began.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBuild {
    result: String,
    reason: String,
}

/// A phase of a build.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

/// Counts builds.
pub(super) struct BuildCounters {
    builds: Family<OfBuild, Counter>,
    phases: Family<OfPhase, Histogram, fn() -> Histogram>,
    running: Gauge,
    queued: Gauge,
    base_moves: Counter,
    /// Parts that run and that wait, and the last build that was counted, by the UID of the ImageBuilder.
    of_builder: Arc<Mutex<HashMap<String, Counted>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    running: i64,
    queued: i64,
    last: u64,
}

impl BuildCounters {
    /// Registers the numbers.
    pub(super) fn new(metrics: &Metrics) -> Self {
        // From a second to nine hours.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(1.0, 2.0, 16));
        let counters = Self {
            builds: Family::default(),
            phases: Family::new_with_constructor(histogram),
            running: Gauge::default(),
            queued: Gauge::default(),
            base_moves: Counter::default(),
            of_builder: Arc::default(),
        };
        metrics.register(
            "builds",
            "Builds that ended, by result and by why they began",
            counters.builds.clone(),
        );
        metrics.register(
            "build_duration_seconds",
            "How long the phases of builds took that succeeded",
            counters.phases.clone(),
        );
        metrics.register("builds_running", "Parts of builds that run", counters.running.clone());
        metrics.register(
            "builds_queued",
            "Parts of builds that wait for room or for another try",
            counters.queued.clone(),
        );
        metrics.register(
            "base_image_moves",
            "Builds that a moved base image began",
            counters.base_moves.clone(),
        );
        counters
    }

    /// Counts what a status says that was written.
    pub(super) fn reported(&self, builder: &ImageBuilder, status: &ImageBuilderStatus) {
        let uid = builder.metadata.uid.clone().unwrap_or_default();
        let mut all = self.of_builder.lock();
        let counted = all.entry(uid).or_default();
        let count = |state: PlatformState| {
            let is_under_way = status.build.is_some();
            let parts = status.platforms.iter().filter(|part| is_under_way && part.state == state);
            i64::try_from(parts.count()).unwrap_or(i64::MAX)
        };
        let (running, queued) = (count(PlatformState::Running), count(PlatformState::Pending));
        self.running.inc_by(running - counted.running);
        self.queued.inc_by(queued - counted.queued);
        (counted.running, counted.queued) = (running, queued);
        let before = builder.status.as_ref().and_then(|old| old.history.last()).map_or(0, |last| last.number);
        let known = counted.last.max(before);
        for build in status.history.iter().filter(|build| build.number > known) {
            let of_build =
                OfBuild { result: format!("{:?}", build.result), reason: format!("{:?}", build.reason) };
            self.builds.get_or_create(&of_build).inc();
            self.base_moves.inc_by(u64::from(build.reason == BuildReason::BaseImageMoved));
            let Some(duration) = build.duration.filter(|_| build.result == BuildResult::Succeeded) else {
                continue;
            };
            for (phase, seconds) in [
                ("queued", duration.queued),
                ("source", duration.source),
                ("bases", duration.bases),
                ("build", duration.build),
                ("push", duration.push),
                ("publish", duration.publish),
            ] {
                self.phases.get_or_create(&OfPhase { phase }).observe(f64::from(seconds));
            }
        }
        counted.last = status.history.last().map_or(known, |last| last.number.max(known));
    }

    /// Drops what is counted of objects that do not exist any more.
    pub(super) fn evict(&self, exists: &(dyn Fn(&str) -> bool + Sync)) {
        self.of_builder.lock().retain(|uid, counted| {
            let stays = exists(uid);
            if !stays {
                self.running.dec_by(counted.running);
                self.queued.dec_by(counted.queued);
            }
            stays
        });
    }
}
