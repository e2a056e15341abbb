//! What the registry client counts.

use std::collections::BTreeMap;
use std::fmt;

use imgop_registry::{DOCKER_HUB, RateLimit, Registries};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Requests by status code, and how much of its rate limit each registry reports as left; by host where hosts may
/// be named.
#[derive(Debug)]
pub(super) struct RegistryRequests {
    pub registries: Registries,
    pub names_hosts: bool,
}

impl RegistryRequests {
    /// Returns the label of a host, which is empty where hosts are not named.
    fn label(&self, host: String) -> Vec<(&'static str, String)> {
        if self.names_hosts { vec![("registry", host)] } else { Vec::new() }
    }

    /// Returns the requests by their labels.
    fn requests(&self) -> BTreeMap<Vec<(&'static str, String)>, u64> {
        let mut requests = BTreeMap::new();
        for count in self.registries.requests() {
            let code = count.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            let mut labels = self.label(count.host);
            labels.push(("code", code));
            *requests.entry(labels).or_default() += count.count;
        }
        requests
    }
}

impl Collector for RegistryRequests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) = ("registry_requests", "Requests to registries, by status code");
        let mut requests = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in self.requests() {
            ConstCounter::new(count).encode(requests.encode_family(&labels)?)?;
        }
        let limits = self.registries.rate_limits();
        encode_docker_hub(&mut encoder, limits.get(DOCKER_HUB))?;
        if self.names_hosts {
            let (name, help) = ("registry_ratelimit_remaining", "Pulls that a registry reports as left");
            let mut remaining = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (host, limit) in &limits {
                let left = i64::try_from(limit.remaining).unwrap_or(i64::MAX);
                let labels = self.label(host.clone());
                ConstGauge::new(left).encode(remaining.encode_family(&labels)?)?;
            }
        }
        let (name, help) =
            ("registry_pulls_short", "Registries at which so few pulls are left that copies wait");
        let mut short = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let mut by_label = BTreeMap::<_, i64>::new();
        for (host, limit) in limits {
            *by_label.entry(self.label(host)).or_default() += i64::from(limit.is_short);
        }
        for (labels, count) in by_label {
            ConstGauge::new(count).encode(short.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Encodes what Docker Hub has reported, if it has. That it is used tells nothing of any tenant.
fn encode_docker_hub(
    encoder: &mut DescriptorEncoder<'_>,
    limit: Option<&RateLimit>,
) -> Result<(), fmt::Error> {
    let remaining = "Pulls that Docker Hub reports as left; of several accounts, the fewest";
    for (name, help, count) in [
        ("dockerhub_pulls_remaining", remaining, limit.map(|limit| limit.remaining)),
        ("dockerhub_pulls_limit", "Pulls that Docker Hub allows", limit.and_then(|limit| limit.limit)),
    ] {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        if let Some(count) = count {
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)).encode(metric)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[tokio::test]
    async fn hosts_of_registries_are_named_only_where_an_administrator_wants_it() {
        let registry = imgop_fakes::Catalog::default().start().await;
        let registries = Registries::new(imgop_fakes::settings());
        let repository = format!("{}/app", registry.address).parse().unwrap();
        let access = imgop_registry::Access { tls: imgop_registry::Tls::PlainHttp, ..Default::default() };
        registries.repository(&repository, &access).tags().await.ok();
        for names_hosts in [false, true] {
            let metrics = Metrics::new();
            metrics.watch_registries(registries.clone(), names_hosts);
            let text = metrics.text().unwrap();
            assert!(text.contains("imgop_registry_requests_total{"), "{text}");
            assert_eq!(text.contains("127.0.0.1"), names_hosts, "{text}");
        }
    }
}
