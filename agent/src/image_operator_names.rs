//! Numbers under the names that image-operator gave them, and skopeo-operator before it, for dashboards that ask for those.

use std::fmt;

use imgop_registry::{DOCKER_HUB, Registries};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::config::MetricsSettings;
use crate::metrics::Metrics;

/// What their names begin with.
const PREFIXES: [&str; 2] = ["image_operator", "skopeo_operator"];
/// What they say where nothing is known of Docker Hub's limit.
const UNKNOWN: i64 = -1;

/// Exports what a collector has under their names, if an administrator wants it.
pub fn export<C: Collector>(metrics: &Metrics, settings: &MetricsSettings, collector: impl Fn() -> C) {
    if !settings.metrics_image_operator_names {
        return;
    }
    for prefix in PREFIXES {
        let mut registry = Registry::with_prefix(prefix);
        registry.register_collector(Box::new(collector()));
        metrics.add(registry);
    }
}

/// How many pulls Docker Hub allows and has left. The address that they are counted for is not shown.
#[derive(Debug)]
pub struct DockerHubQuota(pub Registries);

impl Collector for DockerHubQuota {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let limits = self.0.rate_limits();
        let hub = limits.get(DOCKER_HUB);
        let shown =
            |count: Option<u64>| count.map_or(UNKNOWN, |count| i64::try_from(count).unwrap_or(i64::MAX));
        let limit =
            ("dockerhub_quota_limit", "Pulls that Docker Hub allows", shown(hub.and_then(|hub| hub.limit)));
        let left = (
            "dockerhub_quota_remaining",
            "Pulls that Docker Hub has left",
            shown(hub.map(|hub| hub.remaining)),
        );
        for (name, help, count) in [limit, left] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(count).encode(metric.encode_family(&[("ip", "0.0.0.0")])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: bool) -> String {
        let metrics = Metrics::new();
        let settings = MetricsSettings {
            metrics_name_registries: false,
            metrics_name_objects: false,
            metrics_max_series: 10,
            metrics_image_operator_names: names,
            metrics_copycat_names: false,
        };
        let registries = Registries::new(imgop_fakes::settings());
        export(&metrics, &settings, || DockerHubQuota(registries.clone()));
        metrics.text().unwrap()
    }

    #[test]
    fn the_names_of_both_are_there_unless_an_administrator_does_not_want_them() {
        for prefix in PREFIXES {
            let line = format!("{prefix}_dockerhub_quota_remaining{{ip=\"0.0.0.0\"}} -1");
            assert!(text(true).lines().any(|shown| shown == line), "{}", text(true));
            assert!(!text(false).contains(prefix));
        }
    }
}
