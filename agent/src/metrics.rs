//! Counters for Prometheus. No label holds the name of an object: the number of time series must stay bounded.

use std::sync::Arc;

use imgop_registry::Registries;
use kube::Resource;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Metric, Registry};

use crate::cluster::ready_gate::ReadyGate;
use crate::heartbeat::Heartbeat;

/// The counters of all kinds. A kind registers its own with [`Metrics::register`].
#[derive(Clone)]
pub struct Metrics {
    /// Passes over objects.
    pub reconciliations: Family<OfKind, Counter>,
    /// Passes that ended because the API server did not do what was asked.
    pub api_failures: Family<OfKind, Counter>,
    /// Jobs created.
    pub jobs_created: Family<OfKind, Counter>,
    /// Statuses written.
    pub status_writes: Family<OfKind, Counter>,
    /// Syncs that ended, by how.
    pub syncs: Family<Ended, Counter>,
    /// When a sync last succeeded as a whole, in seconds since 1970.
    pub last_success: Family<OfKind, Gauge>,
    registry: Arc<Mutex<Registry>>,
}

/// The kind that a number is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    /// The kind, as in manifests.
    pub kind: String,
}

impl OfKind {
    /// Returns the label of a kind.
    pub fn of<K: Resource<DynamicType = ()>>() -> Self {
        Self { kind: K::kind(&()).into_owned() }
    }
}

/// How a sync ended: the reason of its Ready condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    /// The kind, as in manifests.
    pub kind: String,
    /// One of the reasons of conditions.
    pub reason: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Returns counters that are all at zero.
    pub fn new() -> Self {
        let metrics = Self {
            reconciliations: Family::default(),
            api_failures: Family::default(),
            jobs_created: Family::default(),
            status_writes: Family::default(),
            syncs: Family::default(),
            last_success: Family::default(),
            registry: Arc::new(Mutex::new(Registry::with_prefix("imgop"))),
        };
        metrics.register("reconciliations", "Passes over objects", metrics.reconciliations.clone());
        metrics.register("api_failures", "Passes that the API server ended", metrics.api_failures.clone());
        metrics.register("jobs_created", "Jobs created", metrics.jobs_created.clone());
        metrics.register("status_writes", "Statuses written", metrics.status_writes.clone());
        metrics.register("syncs", "Syncs that ended, by reason", metrics.syncs.clone());
        metrics.register(
            "last_success_timestamp_seconds",
            "When a sync last ended with everything at its destination",
            metrics.last_success.clone(),
        );
        metrics
    }

    /// Adds a counter. Its name gets the prefix `imgop_`, and counters the suffix `_total`.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry.lock().register(name, help, metric);
    }

    /// Adds what the registry client counts.
    pub fn watch_registries(&self, registries: Registries) {
        self.registry.lock().register_collector(Box::new(RegistryRequests(registries)));
    }

    /// Adds how long watches have been failing.
    pub fn watch_ready_gate(&self, ready_gate: ReadyGate) {
        self.registry.lock().register_collector(Box::new(FailingWatch(ready_gate)));
    }

    /// Adds how long the API server has been silent.
    pub fn watch_heartbeat(&self, heartbeat: Heartbeat) {
        self.registry.lock().register_collector(Box::new(Silence(heartbeat)));
    }

    /// Returns the text that Prometheus reads.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry.lock())?;
        Ok(out)
    }
}

/// How long the watch has been failing that began to fail first, in seconds.
#[derive(Debug)]
struct FailingWatch(ReadyGate);

impl Collector for FailingWatch {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(i64::try_from(self.0.longest_failing().as_secs()).unwrap_or(i64::MAX));
        let help = "How long the watch has been failing that began to fail first";
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

/// Requests by registry and status code, and how much of its rate limit each registry reports as left.
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
            "Pulls that a registry reports as left",
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;

    use super::*;

    #[test]
    fn numbers_of_several_kinds_differ_by_a_label() {
        let metrics = Metrics::new();
        metrics.reconciliations.get_or_create(&OfKind::of::<Job>()).inc();
        let ended = Ended { kind: "Job".to_owned(), reason: "Succeeded".to_owned() };
        metrics.syncs.get_or_create(&ended).inc();
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"imgop_reconciliations_total{kind="Job"} 1"#), "{text}");
        assert!(text.contains(r#"imgop_syncs_total{kind="Job",reason="Succeeded"} 1"#), "{text}");
    }
}
