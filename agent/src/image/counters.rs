//! The counters that only Images have.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::{FailureReason, Image, ImageSpec, Side};
use imgop_core::copy::{
    Content, Observed, ObservedTag, Outcome, Plan, PlannedTag, Seen, TagAction, TagState,
};
use imgop_registry::reference::Tag;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::reloads::{ReloadSeries, Reloads};
use crate::config::MetricsSettings;
use crate::controller::Objects;
use crate::copycat_names::RegistryResults;
use crate::image_operator_names;
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
    /// Bytes of the blobs that were new at destinations with the tags that were put there.
    pub bytes_copied: Counter,
    /// Copies of Jobs, by what became of them.
    copies: Family<OfCopy, Counter>,
    /// How long they took that succeeded.
    copy_seconds: CopySeconds,
    /// Jobs by the image that they copy, as image-operator counts them.
    pub reloads: Arc<Reloads>,
    /// Copies by registry, as k8s-copycat counts them.
    pub registries: RegistryResults,
}

/// What became of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCopy {
    result: &'static str,
    /// The reason of a failure.
    reason: String,
}

/// How long copies took.
#[derive(Debug)]
struct CopySeconds(Histogram);

impl Default for CopySeconds {
    fn default() -> Self {
        // From a second to an hour, which is how long Jobs may take.
        Self(Histogram::new(exponential_buckets(1.0, 2.0, 13)))
    }
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
    pub fn new(metrics: &Metrics, settings: &MetricsSettings, images: &Objects<Image>) -> Self {
        let registries = RegistryResults::new(metrics, settings);
        let counters = Self { reloads: Arc::new(Reloads::new(settings)), registries, ..Self::default() };
        let reloads = || ReloadSeries { reloads: counters.reloads.clone(), images: images.clone() };
        image_operator_names::export(metrics, settings, reloads);
        metrics.register("tags_copied", "Tags copied and verified", counters.tags_copied.clone());
        let mounted = "Blobs that a registry mounted from another repository of its own";
        metrics.register("blobs_mounted", mounted, counters.blobs_mounted.clone());
        let left_alone =
            "Tags that keep failing and are left alone for the cooldown (FAILURE_COOLDOWN_MINUTES)";
        metrics.register("tags_in_cooldown", left_alone, counters.in_cooldown.sum.clone());
        let copies = "Copies of Jobs that this process began, by what became of them";
        metrics.register("copies", copies, counters.copies.clone());
        // Without a zero before it, the first failure would be no increase.
        for (result, reason) in [("Succeeded", ""), ("Failed", "CopyFailed"), ("Interrupted", "")] {
            drop(counters.copies.get_or_create(&OfCopy { result, reason: reason.to_owned() }));
        }
        let seconds = "How long Jobs took to copy a tag, where that succeeded";
        metrics.register("copy_duration_seconds", seconds, counters.copy_seconds.0.clone());
        let bytes = "Bytes of the blobs that destinations were not known to have before a tag was copied; at most that \
                     much was sent";
        metrics.register("copied_bytes", bytes, counters.bytes_copied.clone());
        counters
    }

    /// Counts a sync that has ended: what its registries could not show, and the tags of what Jobs have pushed that were
    /// found to show it without being set.
    pub fn sync_ended(
        &self,
        image: &ImageSpec,
        observed: &Observed,
        plan: &Plan,
        pushed: Option<&HashSet<Tag>>,
    ) {
        for side in [Side::Source, Side::Destination] {
            let count = observed.tags.iter().filter(|tag| not_shown(tag) == Some(side)).count();
            self.not_looked(image, side, u64::try_from(count).unwrap_or(u64::MAX));
        }
        let is_there = |tag: &&PlannedTag| {
            matches!(tag.action, TagAction::UpToDate | TagAction::AlreadySynced)
                && pushed.is_some_and(|pushed| pushed.contains(&tag.destination_tag))
        };
        let there = plan.tags.iter().filter(is_there).count();
        self.registries.pushed(&image.destination.name, u64::try_from(there).unwrap_or(u64::MAX));
    }

    /// Counts tags that a registry was not able to show, or one look at a registry that refuses all of them.
    pub fn not_looked(&self, image: &ImageSpec, side: Side, count: u64) {
        match side {
            Side::Source => self.registries.not_pulled(&image.source.name, count),
            Side::Destination => self.registries.not_pushed(&image.destination.name, count),
        }
    }

    /// Counts a tag that shows what was copied, or why it does not. One that the registry keeps is neither.
    pub fn tag_put(&self, image: &ImageSpec, failure: Option<&Outcome>) {
        let destination = &image.destination.name;
        match failure {
            None => self.registries.pushed(destination, 1),
            Some(Outcome::Immutable { .. }) => {}
            Some(_) => self.registries.not_pushed(destination, 1),
        }
    }

    /// Counts a copy of an Image that has ended; none is one whose Job has vanished.
    pub fn ended(&self, image: &ImageSpec, outcome: Option<&Outcome>, took: Option<Duration>) {
        let failed = |reason: FailureReason| OfCopy { result: "Failed", reason: format!("{reason:?}") };
        let of_copy = match outcome {
            Some(Outcome::Failed { reason, .. }) => failed(*reason),
            None => failed(FailureReason::CopyFailed),
            Some(Outcome::Interrupted { .. } | Outcome::NotBegun { .. }) => {
                OfCopy { result: "Interrupted", reason: String::new() }
            }
            Some(Outcome::Immutable { .. }) => OfCopy { result: "Kept", reason: String::new() },
            Some(_) => OfCopy { result: "Succeeded", reason: String::new() },
        };
        if let Some(outcome) = outcome {
            self.of_registries(image, outcome);
        }
        if let Some(took) = took.filter(|_| of_copy.result == "Succeeded") {
            self.copy_seconds.0.observe(took.as_secs_f64());
        }
        self.copies.get_or_create(&of_copy).inc();
    }

    /// Counts what a copy says of its registries. Whether one that succeeded gets its tag is known later.
    fn of_registries(&self, image: &ImageSpec, outcome: &Outcome) {
        use FailureReason::{CopyFailed, PublishFailed, VerificationFailed};
        let (is_read, is_unwritten) = match outcome {
            Outcome::Succeeded | Outcome::Immutable { .. } => (true, false),
            Outcome::ContentGone { .. }
            | Outcome::Unpublished { .. }
            | Outcome::Failed { reason: PublishFailed | VerificationFailed, .. } => (true, true),
            // At which of the two registries is not known: that nothing was written is.
            Outcome::Failed { reason: CopyFailed, .. } => (false, true),
            _ => (false, false),
        };
        if is_read {
            self.registries.pulled(&image.source.name);
        }
        if is_unwritten {
            self.registries.not_pushed(&image.destination.name, 1);
        }
    }
}

/// Returns which registry was not able to show a tag, if one was not.
fn not_shown(tag: &ObservedTag) -> Option<Side> {
    let is_source = matches!(tag.source, Seen::Unknown(_)) || matches!(tag.content, Content::Unknown(_));
    match tag.state() {
        TagState::NotFound => Some(Side::Source),
        TagState::NotChecked if is_source => Some(Side::Source),
        TagState::NotChecked if matches!(tag.destination, Seen::Unknown(_)) => Some(Side::Destination),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
