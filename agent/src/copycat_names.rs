//! Numbers under the names that k8s-copycat gave them, for dashboards that ask for those.

use imgop_registry::reference::Repository;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::config::MetricsSettings;
use crate::metrics::Metrics;

/// What their names begin with.
const PREFIX: &str = "k8s_copycat_registry";

/// How reading at sources and writing at destinations ended, by registry.
#[derive(Debug, Default)]
pub struct RegistryResults {
    names_hosts: bool,
    pull_success: Family<OfRegistry, Counter>,
    pull_error: Family<OfRegistry, Counter>,
    push_success: Family<OfRegistry, Counter>,
    push_error: Family<OfRegistry, Counter>,
}

/// The registry that a number is of; none where registries are not to be named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRegistry {
    registry: Option<String>,
}

impl RegistryResults {
    /// Returns counters that are exported with these metrics, if an administrator wants that.
    pub fn new(metrics: &Metrics, settings: &MetricsSettings) -> Self {
        let results = Self { names_hosts: settings.metrics_name_registries, ..Self::default() };
        if settings.metrics_copycat_names {
            let mut registry = Registry::with_prefix(PREFIX);
            let Self { pull_success, pull_error, push_success, push_error, .. } = &results;
            // Without a zero before it, the first failure would be no increase. Which registries there are is not known.
            if !results.names_hosts {
                for family in [pull_success, pull_error, push_success, push_error] {
                    drop(family.get_or_create(&results.label("")));
                }
            }
            registry.register("pull_success", "Copies whose source could be read", pull_success.clone());
            registry.register("pull_error", "Tags that their source does not have", pull_error.clone());
            registry.register("push_success", "Copies that reached their destination", push_success.clone());
            registry.register("push_error", "Copies that failed", push_error.clone());
            metrics.add(registry);
        }
        results
    }

    /// Counts a copy from one repository to another.
    pub fn copied(&self, source: &str, destination: &str, is_done: bool) {
        let pushed = if is_done { &self.push_success } else { &self.push_error };
        self.pull_success.get_or_create(&self.label(source)).inc();
        pushed.get_or_create(&self.label(destination)).inc();
    }

    /// Counts tags that a repository does not have.
    pub fn not_found(&self, source: &str, tags: u64) {
        if tags > 0 {
            self.pull_error.get_or_create(&self.label(source)).inc_by(tags);
        }
    }

    /// Returns the registry of a repository, by the name that k8s-copycat gave it: that of `nginx` is `docker.io`.
    fn label(&self, repository: &str) -> OfRegistry {
        let named = self.names_hosts.then(|| repository.parse::<Repository>()).and_then(Result::ok);
        OfRegistry { registry: named.map(|repository| repository.host().as_str().to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names_hosts: bool, names: bool) -> (Metrics, RegistryResults) {
        let metrics = Metrics::new();
        let settings = MetricsSettings {
            metrics_name_registries: names_hosts,
            metrics_name_objects: false,
            metrics_max_series: 10,
            metrics_image_operator_names: false,
            metrics_copycat_names: names,
        };
        let results = RegistryResults::new(&metrics, &settings);
        (metrics, results)
    }

    fn text(names_hosts: bool, names: bool) -> String {
        let (metrics, results) = made(names_hosts, names);
        results.copied("quay.io/acme/app", "registry.example.com/mirror/app", true);
        results.copied("quay.io/acme/app", "registry.example.com/mirror/app", false);
        results.not_found("docker.io/library/nginx", 2);
        metrics.text().unwrap()
    }

    #[test]
    fn copies_are_counted_by_registry_under_the_names_of_k8s_copycat() {
        let of = |names_hosts, line: &str| text(names_hosts, true).lines().any(|shown| shown == line);
        for line in [
            r#"k8s_copycat_registry_pull_success_total{registry="quay.io"} 2"#,
            r#"k8s_copycat_registry_pull_error_total{registry="docker.io"} 2"#,
            r#"k8s_copycat_registry_push_success_total{registry="registry.example.com"} 1"#,
            r#"k8s_copycat_registry_push_error_total{registry="registry.example.com"} 1"#,
        ] {
            assert!(of(true, line), "{line}\n{}", text(true, true));
        }
        let unnamed = text(false, true);
        assert!(unnamed.contains("k8s_copycat_registry_push_error_total") && !unnamed.contains("quay.io"));
        assert!(!text(true, false).contains("copycat"));
    }

    #[test]
    fn the_registry_is_the_host_and_that_of_a_name_without_one_is_docker_hub() {
        for (source, host) in [
            ("nginx", "docker.io"),
            ("acme/app", "docker.io"),
            ("registry-1.docker.io/acme/app", "docker.io"),
            ("localhost/x", "localhost"),
            ("localhost:5000/x", "localhost:5000"),
            ("registry.example.com/acme/app", "registry.example.com"),
        ] {
            let (metrics, results) = made(true, true);
            results.not_found(source, 1);
            let line = format!(r#"k8s_copycat_registry_pull_error_total{{registry="{host}"}} 1"#);
            let text = metrics.text().unwrap();
            assert!(text.lines().any(|shown| shown == line), "{source}: {line}\n{text}");
        }
    }
}
