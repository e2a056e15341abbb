//! Counters for Prometheus. No label holds the name of an object, unless an administrator wants that: the number of time
//! series must stay bounded.

pub mod objects;
mod registries;

use std::fmt;
use std::sync::Arc;

use imgop_core::api::conditions::{READY, find, is_true};
use imgop_registry::Registries;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::cluster::ready_gate::ReadyGate;
use crate::heartbeat::Heartbeat;
use crate::jobs::Jobs;
use crate::turns::Turns;
use objects::{ObjectSeries, ObjectSources};
use registries::RegistryRequests;

/// The commit that the program was built from.
const REVISION: &str = match option_env!("IMGOP_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Returns a histogram of times, from 10 ms to a quarter of an hour.
pub fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 3.0, 11))
}

/// The counters of all kinds. A kind registers its own with [`Metrics::register`].
#[derive(Clone)]
pub struct Metrics {
    /// Passes over objects.
    pub reconciliations: Family<OfKind, Counter>,
    /// How long they took.
    pub reconciliation_seconds: Family<OfKind, Histogram, fn() -> Histogram>,
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
    /// Where the controllers of all kinds show their objects.
    pub objects: ObjectSources,
    registry: Arc<Mutex<Registry>>,
    /// Numbers whose names have another prefix than ours.
    others: Arc<Mutex<Vec<Registry>>>,
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
            reconciliation_seconds: Family::new_with_constructor(seconds),
            api_failures: Family::default(),
            jobs_created: Family::default(),
            status_writes: Family::default(),
            syncs: Family::default(),
            last_success: Family::default(),
            objects: ObjectSources::default(),
            registry: Arc::new(Mutex::new(Registry::with_prefix("imgop"))),
            others: Arc::default(),
        };
        metrics.register("reconciliations", "Passes over objects", metrics.reconciliations.clone());
        let help = "How long passes over objects took, once they had their turn";
        metrics.register("reconciliation_duration_seconds", help, metrics.reconciliation_seconds.clone());
        metrics.register("api_failures", "Passes that the API server ended", metrics.api_failures.clone());
        metrics.register("jobs_created", "Jobs created", metrics.jobs_created.clone());
        metrics.register("status_writes", "Statuses written", metrics.status_writes.clone());
        metrics.register("syncs", "Syncs that ended, by reason", metrics.syncs.clone());
        metrics.register(
            "last_success_timestamp_seconds",
            "When a sync last ended with everything at its destination",
            metrics.last_success.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)]);
        metrics.register("build", "The program: its version, and the commit that it was built from", build);
        metrics
    }

    /// Counts a sync of an object that has ended with these conditions.
    pub fn sync_ended<K: Resource<DynamicType = ()>>(&self, conditions: &[Condition], now: Timestamp) {
        let of_kind = OfKind::of::<K>();
        if is_true(conditions, READY) {
            self.last_success.get_or_create(&of_kind).set(now.as_second());
        }
        if let Some(ready) = find(conditions, READY) {
            let ended = Ended { kind: of_kind.kind, reason: ready.reason.clone() };
            self.syncs.get_or_create(&ended).inc();
        }
    }

    /// Adds a counter. Its name gets the prefix `imgop_`, and counters the suffix `_total`.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry.lock().register(name, help, metric);
    }

    /// Adds numbers that are collected when they are asked for. Their names get the prefix `imgop_`.
    pub fn collect(&self, collector: impl Collector) {
        self.registry.lock().register_collector(Box::new(collector));
    }

    /// Adds numbers whose names have another prefix than ours, for dashboards that ask for those.
    pub fn add(&self, others: Registry) {
        self.others.lock().push(others);
    }

    /// Adds what the registry client counts, by host only where hosts may be named.
    pub fn watch_registries(&self, registries: Registries, names_hosts: bool) {
        self.collect(RegistryRequests { registries, names_hosts });
    }

    /// Adds how the objects of all kinds stand. This many series may name them; with none, no object is named.
    pub fn watch_objects(&self, max_series: Option<usize>) {
        self.collect(ObjectSeries::new(self.objects.clone(), max_series));
    }

    /// Adds how many Jobs there are and how many objects wait for one.
    pub fn watch_jobs(&self, jobs: Jobs) {
        self.collect(JobPlaces(jobs));
    }

    /// Adds how many lines of the log were dropped.
    pub fn watch_log(&self, dropped: impl Fn() -> usize + Send + Sync + 'static) {
        self.collect(DroppedLines(Box::new(dropped)));
    }

    /// Adds how much waits for a turn.
    pub fn watch_turns(&self, turns: Turns) {
        let help = "How long passes waited for their turn";
        self.register("turn_wait_seconds", help, turns.waits());
        self.collect(WaitingPasses(turns));
    }

    /// Adds how long watches have been failing.
    pub fn watch_ready_gate(&self, ready_gate: ReadyGate) {
        self.collect(FailingWatch(ready_gate));
    }

    /// Adds how long the API server has been silent.
    pub fn watch_heartbeat(&self, heartbeat: Heartbeat) {
        self.collect(Silence(heartbeat));
    }

    /// Returns the text that Prometheus reads.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry.lock())?;
        for others in self.others.lock().iter() {
            text::encode_registry(&mut out, others)?;
        }
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

/// How long the watch has been failing that began to fail first, in seconds.
#[derive(Debug)]
struct FailingWatch(ReadyGate);

impl Collector for FailingWatch {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
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
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let age = i64::try_from(self.0.silence().as_secs()).unwrap_or(i64::MAX);
        let gauge = ConstGauge::new(age);
        let name = "api_last_answer_age_seconds";
        let help = "Seconds since the API server last answered; it is asked at least once a minute";
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}

/// How many lines of the log were dropped, because they were not taken as fast as they came.
struct DroppedLines(Box<dyn Fn() -> usize + Send + Sync>);

impl fmt::Debug for DroppedLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DroppedLines")
    }
}

impl Collector for DroppedLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let dropped = ConstCounter::new(u64::try_from((self.0)()).unwrap_or(u64::MAX));
        let (name, help) = ("log_lines_dropped", "Lines of the log that were dropped");
        dropped.encode(encoder.encode_descriptor(name, help, None, dropped.metric_type())?)
    }
}

/// How many passes wait for a turn, and for how long the one has that has waited longest, in seconds.
#[derive(Debug)]
struct WaitingPasses(Turns);

impl Collector for WaitingPasses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let waiting = self.0.waiting();
        let count = ConstGauge::new(i64::try_from(waiting.count).unwrap_or(i64::MAX));
        let (name, help) = ("waiting_passes", "Passes that wait for a turn (MAX_CONCURRENT_RECONCILES)");
        count.encode(encoder.encode_descriptor(name, help, None, count.metric_type())?)?;
        let longest = ConstGauge::new(waiting.longest.as_secs_f64());
        let (name, help) =
            ("longest_waiting_pass_seconds", "How long the pass has waited that waits longest for a turn");
        longest.encode(encoder.encode_descriptor(name, help, None, longest.metric_type())?)
    }
}

/// Jobs that have not ended, and objects that wait for a place for theirs.
#[derive(Debug)]
struct JobPlaces(Jobs);

impl Collector for JobPlaces {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let places = self.0.places();
        let (name, help) = ("jobs_unfinished", "Jobs that run or wait to run (MAX_JOBS)");
        let gauge = |count: usize| ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
        let unfinished = gauge(places.unfinished);
        unfinished.encode(encoder.encode_descriptor(name, help, None, unfinished.metric_type())?)?;
        let (name, help) = ("objects_waiting_for_jobs", "Objects that wait until there may be more Jobs");
        let waiting = gauge(places.waiting);
        waiting.encode(encoder.encode_descriptor(name, help, None, waiting.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_fails_and_lines_of_the_log_that_were_dropped_are_counted() {
        let (metrics, gate) = (Metrics::new(), ReadyGate::default());
        metrics.watch_ready_gate(gate.clone());
        metrics.watch_log(|| 7);
        let has = |line: &str| metrics.text().unwrap().lines().any(|shown| shown == line);
        assert!(has("imgop_watch_failing_seconds 0"), "{}", metrics.text().unwrap());
        let watches = gate.expect(1);
        watches[0].has_failed();
        tokio::time::advance(std::time::Duration::from_secs(30)).await;
        watches[0].has_failed();
        assert!(has("imgop_watch_failing_seconds 30"), "{}", metrics.text().unwrap());
        assert!(has("imgop_log_lines_dropped_total 7"), "{}", metrics.text().unwrap());
    }

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
