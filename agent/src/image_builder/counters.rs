//! The numbers that builds add to the metrics of all kinds.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use imgop_core::api::{
    BuildReason, BuildResult, ImageBuilder, ImageBuilderStatus, PlatformState, PlatformStatus,
};
use imgop_core::build::step::PushedLayers;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use serde::Deserialize;

use super::part_runs::Try;
use crate::config::MetricsSettings;
use crate::controller::{NamespacedName, Objects};
use crate::image_operator_names;
use crate::metrics::{Metrics, OfKind};

/// Builds by how they ended and why they began.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBuild {
    result: &'static str,
    reason: &'static str,
}

/// A phase of a build.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

/// The phases, in their order.
const PHASES: [&str; 6] = ["queued", "source", "bases", "build", "push", "publish"];

/// Why builds begin.
const REASONS: [BuildReason; 8] = [
    BuildReason::Created,
    BuildReason::SpecChanged,
    BuildReason::Requested,
    BuildReason::SourceChanged,
    BuildReason::BaseImageMoved,
    BuildReason::Schedule,
    BuildReason::Retry,
    BuildReason::TagLost,
];

/// Where layers come from.
const SOURCES: [&str; 4] = ["mounted", "base", "cache", "built"];

/// Where a layer came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: &'static str,
}

/// Counts builds.
pub(super) struct BuildCounters {
    builds: Family<OfBuild, Counter>,
    phases: Family<OfPhase, Histogram, fn() -> Histogram>,
    running: Gauge,
    queued: Gauge,
    base_moves: Counter,
    layers: Family<OfSource, Counter>,
    uploaded_bytes: Counter,
    /// Parts that run and that wait, and the last build that was counted, by the UID of the ImageBuilder.
    of_builder: Arc<Mutex<HashMap<String, Counted>>>,
}

#[derive(Debug, Default)]
struct Counted {
    running: i64,
    queued: i64,
    last: u64,
    /// What the layers are of a build that has succeeded, and its number, until its end is written.
    pushed: Option<(u64, Vec<PushedLayers>)>,
}

/// When ImageBuilders last had an image built and published, under image-operator's name.
#[derive(Debug)]
struct LastSuccess {
    builders: Objects<ImageBuilder>,
    max_series: usize,
}

/// What is read of an ImageBuilder.
#[derive(Deserialize)]
struct Part {
    status: StatusPart,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusPart {
    last_successful_build_time: Timestamp,
}

impl Collector for LastSuccess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let name = "last_time_imagebuilder_was_reloaded";
        let help = "When an ImageBuilder last had an image built and published";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (NamespacedName { namespace, name }, Part { status }) in
            self.builders.parts().take(self.max_series)
        {
            let labels = [("namespace", namespace.as_ref()), ("imagebuilder", name.as_ref())];
            let at = status.last_successful_build_time.as_second();
            ConstGauge::new(at).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The Jobs of builds that were created, as image-operator counts them.
#[derive(Debug)]
struct BuildCount(Family<OfKind, Counter>);

impl Collector for BuildCount {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let count = self.0.get_or_create(&OfKind::of::<ImageBuilder>()).get();
        let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
        let help = "Jobs of builds that were created, one a platform";
        let (name, type_) = ("imagebuilder_build_count", count.metric_type());
        count.encode(encoder.encode_descriptor(name, help, None, type_)?)
    }
}

impl BuildCounters {
    /// Registers the numbers.
    pub(super) fn new(
        metrics: &Metrics,
        settings: &MetricsSettings,
        builders: &Objects<ImageBuilder>,
    ) -> Self {
        // From a second to nine hours.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(1.0, 2.0, 16));
        let counters = Self {
            builds: Family::default(),
            phases: Family::new_with_constructor(histogram),
            running: Gauge::default(),
            queued: Gauge::default(),
            base_moves: Counter::default(),
            layers: Family::default(),
            uploaded_bytes: Counter::default(),
            of_builder: Arc::default(),
        };
        counters.register(metrics);
        let jobs = || BuildCount(metrics.jobs_created.clone());
        image_operator_names::export(metrics, settings, jobs);
        if let Some(max_series) = settings.max_object_series() {
            let last_success = || LastSuccess { builders: builders.clone(), max_series };
            image_operator_names::export(metrics, settings, last_success);
        }
        counters
    }

    fn register(&self, metrics: &Metrics) {
        let builds = "Builds that ended, by result and by why they began";
        // Without a zero before it, the first build would be no increase.
        for result in [BuildResult::Succeeded, BuildResult::Failed].map(BuildResult::as_str) {
            for reason in REASONS.map(BuildReason::as_str) {
                drop(self.builds.get_or_create(&OfBuild { result, reason }));
            }
        }
        metrics.register("builds", builds, self.builds.clone());
        let phases = "How long the phases of builds took that succeeded";
        for phase in PHASES {
            drop(self.phases.get_or_create(&OfPhase { phase }));
        }
        metrics.register("build_duration_seconds", phases, self.phases.clone());
        metrics.register("builds_running", "Parts of builds that run", self.running.clone());
        let queued = "Parts of builds that wait for room or for another try";
        metrics.register("builds_queued", queued, self.queued.clone());
        let moves = "Builds that a moved base image began";
        metrics.register("base_image_moves", moves, self.base_moves.clone());
        let layers = "Layers of images that were built: mounted (the registry has them), base (of a base image, sent), \
                      cache (of steps that the cache had) and built";
        for source in SOURCES {
            drop(self.layers.get_or_create(&OfSource { source }));
        }
        metrics.register("build_layers", layers, self.layers.clone());
        let bytes = "Bytes of the layers that builds sent, at most: what the registry has is not sent again";
        metrics.register("build_uploaded_bytes", bytes, self.uploaded_bytes.clone());
    }

    /// Takes note of the layers of a build that succeeds. They are counted when its end is written, which it may not be.
    pub(super) fn pushed(&self, builder: &ImageBuilder, number: u64, tries: &[Try]) {
        let layers = tries.iter().map(layers_of).collect();
        let uid = builder.metadata.uid.clone().unwrap_or_default();
        self.of_builder.lock().entry(uid).or_default().pushed = Some((number, layers));
    }

    fn count_layers(&self, of_tries: &[PushedLayers]) {
        for layers in of_tries {
            // `build` says it, where the tenant's code runs.
            let cached = layers.cached.min(layers.built);
            let counts = [layers.mounted, layers.base, cached, layers.built - cached];
            for (source, count) in SOURCES.into_iter().zip(counts) {
                self.layers.get_or_create(&OfSource { source }).inc_by(count.into());
            }
            self.uploaded_bytes.inc_by(layers.bytes);
        }
    }

    /// Counts what a status says that was written.
    pub(super) fn reported(&self, builder: &ImageBuilder, status: &ImageBuilderStatus) {
        let uid = builder.metadata.uid.clone().unwrap_or_default();
        let mut all = self.of_builder.lock();
        let counted = all.entry(uid).or_default();
        let count = |is_counted: fn(&PlatformStatus) -> bool| {
            let is_under_way = status.build.is_some();
            let parts = status.platforms.iter().filter(|part| is_under_way && is_counted(part));
            i64::try_from(parts.count()).unwrap_or(i64::MAX)
        };
        let running = count(|part| part.state == PlatformState::Running);
        let queued = count(|part| part.state == PlatformState::Pending || part.next_attempt.is_some());
        self.running.inc_by(running - counted.running);
        self.queued.inc_by(queued - counted.queued);
        (counted.running, counted.queued) = (running, queued);
        let before = builder.status.as_ref().and_then(|old| old.history.last()).map_or(0, |last| last.number);
        let known = counted.last.max(before);
        for build in status.history.iter().filter(|build| build.number > known) {
            let of_build = OfBuild { result: build.result.as_str(), reason: build.reason.as_str() };
            self.builds.get_or_create(&of_build).inc();
            self.base_moves.inc_by(u64::from(build.reason == BuildReason::BaseImageMoved));
            let pushed = counted.pushed.take_if(|(number, _)| *number == build.number);
            if let Some((_, layers)) = pushed.filter(|_| build.result == BuildResult::Succeeded) {
                self.count_layers(&layers);
            }
            let Some(duration) = build.duration.filter(|_| build.result == BuildResult::Succeeded) else {
                continue;
            };
            let seconds = [
                duration.queued,
                duration.source,
                duration.bases,
                duration.build,
                duration.push,
                duration.publish,
            ];
            for (phase, seconds) in PHASES.into_iter().zip(seconds) {
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

/// Returns what the containers of a try report of its layers.
fn layers_of(tried: &Try) -> PushedLayers {
    let reports = tried.reports.iter().map(|report| report.layers);
    reports.fold(PushedLayers::default(), |sum, of| PushedLayers {
        mounted: sum.mounted.saturating_add(of.mounted),
        base: sum.base.saturating_add(of.base),
        built: sum.built.saturating_add(of.built),
        cached: sum.cached.saturating_add(of.cached),
        bytes: sum.bytes.saturating_add(of.bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::stage::Stage;
    use super::*;

    /// Returns the lines of /metrics that begin like this.
    fn lines(stage: &Stage, beginning: &str) -> Vec<String> {
        let text = stage.builders.agent.metrics.text().unwrap();
        let mut lines: Vec<String> =
            text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    async fn built(settings: &[&str]) -> Stage {
        built_with(settings, PushedLayers { mounted: 3, base: 1, built: 5, cached: 3, bytes: 500 }).await
    }

    async fn built_with(settings: &[&str], layers: PushedLayers) -> Stage {
        let mut stage = Stage::with_settings(settings, |_, _| ()).await;
        stage.passes(2).await;
        let digest = stage.pushed("linux/amd64", "1");
        stage.end_well_with(0, &digest, layers);
        stage.pass().await;
        assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
        stage
    }

    #[tokio::test]
    async fn the_layers_and_the_phases_of_a_build_are_counted_once() {
        let mut stage = built(&[]).await;
        stage.passes(3).await;
        let layers = ["base\"} 1", "built\"} 2", "cache\"} 3", "mounted\"} 3"];
        let layers = layers.map(|rest| format!("imgop_build_layers_total{{source=\"{rest}"));
        assert_eq!(lines(&stage, "imgop_build_layers_total"), layers);
        assert_eq!(
            lines(&stage, "imgop_build_uploaded_bytes_total"),
            ["imgop_build_uploaded_bytes_total 500"]
        );
        let counts = lines(&stage, "imgop_build_duration_seconds_count");
        let phases = ["bases", "build", "publish", "push", "queued", "source"];
        assert_eq!(
            counts,
            phases.map(|phase| format!("imgop_build_duration_seconds_count{{phase=\"{phase}\"}} 1"))
        );
    }

    #[tokio::test]
    async fn builds_and_their_phases_are_zero_before_the_first_one() {
        let stage = Stage::with_settings(&[], |_, _| ()).await;
        let builds = lines(&stage, "imgop_builds_total");
        assert_eq!(builds.len(), 2 * REASONS.len());
        let counts = lines(&stage, "imgop_build_duration_seconds_count");
        assert_eq!(counts.len(), PHASES.len());
        assert!(builds.iter().chain(&counts).all(|line| line.ends_with(" 0")), "{builds:?} {counts:?}");
    }

    #[tokio::test]
    async fn a_build_whose_end_was_not_written_is_counted_when_it_is() {
        let mut stage = Stage::running().await;
        let digest = stage.pushed("linux/amd64", "1");
        stage.end_well_with(0, &digest, PushedLayers { bytes: 500, ..PushedLayers::default() });
        for _ in 0..2 {
            assert!(stage.try_pass().await.unwrap().report.is_some());
            stage.restart();
        }
        let bytes = "imgop_build_uploaded_bytes_total";
        assert_eq!(lines(&stage, bytes), [format!("{bytes} 0")]);
        stage.pass().await;
        assert_eq!(lines(&stage, bytes), [format!("{bytes} 500")], "{}", stage.ready().1);
        let builds = r#"imgop_builds_total{result="Succeeded",reason="Created"} 1"#;
        let counted = lines(&stage, "imgop_builds_total").into_iter().filter(|line| !line.ends_with(" 0"));
        assert_eq!(counted.collect::<Vec<_>>(), [builds]);
    }

    #[tokio::test]
    async fn a_part_that_waits_for_another_try_is_queued() {
        let mut stage = Stage::running().await;
        let counts = |stage: &Stage| {
            ["imgop_builds_running", "imgop_builds_queued"].map(|name| lines(stage, name).remove(0))
        };
        assert_eq!(counts(&stage), ["imgop_builds_running 1", "imgop_builds_queued 0"]);
        stage.end_badly(0, imgop_core::build::BuildFailure::PushFailed);
        stage.pass().await;
        assert_eq!(counts(&stage), ["imgop_builds_running 0", "imgop_builds_queued 1"]);
    }

    #[tokio::test]
    async fn a_build_that_claims_more_layers_of_a_cache_than_there_are_is_not_believed() {
        let stage = built_with(&[], PushedLayers { built: 2, cached: 9, ..PushedLayers::default() }).await;
        let of = |source: &str| lines(&stage, &format!("imgop_build_layers_total{{source=\"{source}"));
        assert!(of("cache")[0].ends_with(" 2") && of("built")[0].ends_with(" 0"), "{:?}", of(""));
    }

    #[tokio::test]
    async fn jobs_are_counted_under_image_operators_name() {
        let stage = built(&[]).await;
        let count = "image_operator_imagebuilder_build_count";
        assert_eq!(lines(&stage, count), [format!("{count} 1")]);
    }
}
