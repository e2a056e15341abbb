//! Counters for Prometheus. No label has an Image's name in it: their number must stay bounded.

use std::sync::Arc;

use imgop_registry::Registries;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::controller::ReadyGate;
use crate::heartbeat::Heartbeat;

/// The agent's counters.
#[derive(Clone)]
pub struct Metrics {
    /// Passes over objects.
    pub reconciliations: Counter,
    /// Passes that ended because the API server did not do what was asked.
    pub api_failures: Counter,
    /// Jobs made.
    pub jobs_created: Counter,
    /// Tags copied and verified.
    pub tags_copied: Counter,
    /// Configurations and layers that a registry took from a repository of its own.
    pub blobs_mounted: Counter,
    /// Statuses written.
    pub status_writes: Counter,
    /// Syncs that ended, by how.
    pub syncs: Family<Reason, Counter>,
    /// When a sync last ended with every tag at its destination, in seconds since 1970.
    pub last_success: Gauge,
    registry: Arc<std::sync::Mutex<Registry>>,
}

/// How a sync ended: the reason of its Ready condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// One of the reasons of conditions.
    pub reason: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let metrics = Self {
            reconciliations: Counter::default(),
            api_failures: Counter::default(),
            jobs_created: Counter::default(),
            tags_copied: Counter::default(),
            blobs_mounted: Counter::default(),
            status_writes: Counter::default(),
            syncs: Family::default(),
            last_success: Gauge::default(),
            registry: Arc::default(),
        };
        let mut registry = Registry::with_prefix("imgop");
        registry.register("reconciliations", "Passes over objects", metrics.reconciliations.clone());
        registry.register("api_failures", "Passes that the API server ended", metrics.api_failures.clone());
        registry.register("jobs_created", "Jobs made", metrics.jobs_created.clone());
        registry.register("tags_copied", "Tags copied and verified", metrics.tags_copied.clone());
        registry.register(
            "blobs_mounted",
            "Blobs that a registry took from another repository of its own",
            metrics.blobs_mounted.clone(),
        );
        registry.register("status_writes", "Statuses written", metrics.status_writes.clone());
        registry.register("syncs", "Syncs that ended, by reason", metrics.syncs.clone());
        registry.register(
            "last_success_timestamp_seconds",
            "When a sync last ended with every tag at its destination",
            metrics.last_success.clone(),
        );
        if let Ok(mut own) = metrics.registry.lock() {
            *own = registry;
        }
        metrics
    }

    /// Adds what the registry client counts.
    pub fn watch_registries(&self, registries: Registries) {
        if let Ok(mut own) = self.registry.lock() {
            own.register_collector(Box::new(RegistryRequests(registries)));
        }
    }

    /// Adds how long watches have failed.
    pub fn watch_ready_gate(&self, ready_gate: ReadyGate) {
        if let Ok(mut own) = self.registry.lock() {
            own.register_collector(Box::new(FailingWatch(ready_gate)));
        }
    }

    /// Adds how long the API server has been silent.
    pub fn watch_heartbeat(&self, heartbeat: Heartbeat) {
        if let Ok(mut own) = self.registry.lock() {
            own.register_collector(Box::new(Silence(heartbeat)));
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        let registry = self.registry.lock().map_err(|_| std::fmt::Error)?;
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

/// Seconds for which the watch has failed that has failed longest.
#[derive(Debug)]
struct FailingWatch(ReadyGate);

impl Collector for FailingWatch {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(i64::try_from(self.0.longest_failing().as_secs()).unwrap_or(i64::MAX));
        let help = "Seconds for which the watch of a kind has failed that has failed longest";
        let (name, type_) = ("watch_failing_seconds", gauge.metric_type());
        gauge.encode(encoder.encode_descriptor(name, help, None, type_)?)
    }
}

/// Seconds since the API server last answered.
#[derive(Debug)]
struct Silence(Heartbeat);

impl Collector for Silence {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let age = i64::try_from(self.0.silence().as_secs()).unwrap_or(i64::MAX);
        let gauge = ConstGauge::new(age);
        let name = "api_last_answer_age_seconds";
        let help = "Seconds since the API server last answered; it is asked at least once a minute";
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}

/// Requests by registry and status code, and what a registry says is left of its limit.
#[derive(Debug)]
struct RegistryRequests(Registries);

impl Collector for RegistryRequests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut requests = encoder.encode_descriptor(
            "registry_requests",
            "Requests to registries, by status code",
            None,
            prometheus_client::metrics::MetricType::Counter,
        )?;
        for count in self.0.requests() {
            let code = count.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            let labels = [("registry", count.host), ("code", code)];
            ConstCounter::new(count.count).encode(requests.encode_family(&labels)?)?;
        }
        let mut remaining = encoder.encode_descriptor(
            "registry_ratelimit_remaining",
            "Pulls that a registry says are left",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for (host, limit) in self.0.rate_limits() {
            let left = i64::try_from(limit.remaining).unwrap_or(i64::MAX);
            ConstGauge::new(left).encode(remaining.encode_family(&[("registry", host)])?)?;
        }
        let mut short = encoder.encode_descriptor(
            "registry_pulls_short",
            "1 where so few pulls are left that copies wait, else 0",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for (host, limit) in self.0.rate_limits() {
            let is_short = i64::from(limit.is_short);
            ConstGauge::new(is_short).encode(short.encode_family(&[("registry", host)])?)?;
        }
        Ok(())
    }
}
