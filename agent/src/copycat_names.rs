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
            registry.register("pull_success", "Copies whose source was read", pull_success.clone());
            let unread = "Tags that a source does not have or was not able to show, at each look";
            registry.register("pull_error", unread, pull_error.clone());
            registry.register("push_success", "Tags that show what was copied", push_success.clone());
            let unwritten =
                "Copies that failed, tags that could not be set, and failed looks at destinations";
            registry.register("push_error", unwritten, push_error.clone());
            metrics.add(registry);
        }
        results
    }

    /// Counts a copy of which this source was read.
    pub fn pulled(&self, source: &str) {
        self.pull_success.get_or_create(&self.label(source)).inc();
    }

    /// Counts how often this source could not be read.
    pub fn not_pulled(&self, source: &str, count: u64) {
        self.add(&self.pull_error, source, count);
    }

    /// Counts how many tags of this destination show what was copied.
    pub fn pushed(&self, destination: &str, count: u64) {
        self.add(&self.push_success, destination, count);
    }

    /// Counts how often nothing got to this destination.
    pub fn not_pushed(&self, destination: &str, count: u64) {
        self.add(&self.push_error, destination, count);
    }

    /// Adds to a number. Where it is none, no series is made.
    fn add(&self, family: &Family<OfRegistry, Counter>, repository: &str, count: u64) {
        if count > 0 {
            family.get_or_create(&self.label(repository)).inc_by(count);
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
        results.pulled("quay.io/acme/app");
        results.not_pulled("quay.io/acme/app", 2);
        results.pushed("registry.example.com/mirror/app", 3);
        results.not_pushed("registry.example.com/mirror/app", 4);
        metrics.text().unwrap()
    }

    #[test]
    fn numbers_have_the_names_of_k8s_copycat_and_name_the_registry_where_that_is_allowed() {
        let named = text(true, true);
        for line in [
            r#"k8s_copycat_registry_pull_success_total{registry="quay.io"} 1"#,
            r#"k8s_copycat_registry_pull_error_total{registry="quay.io"} 2"#,
            r#"k8s_copycat_registry_push_success_total{registry="registry.example.com"} 3"#,
            r#"k8s_copycat_registry_push_error_total{registry="registry.example.com"} 4"#,
        ] {
            assert!(named.lines().any(|shown| shown == line), "{line}\n{named}");
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
            results.pulled(source);
            let line = format!(r#"k8s_copycat_registry_pull_success_total{{registry="{host}"}} 1"#);
            let text = metrics.text().unwrap();
            assert!(text.lines().any(|shown| shown == line), "{source}: {line}\n{text}");
        }
    }

    #[test]
    fn nothing_is_counted_of_a_registry_where_nothing_went_wrong() {
        let (metrics, results) = made(true, true);
        results.not_pulled("quay.io/acme/app", 0);
        assert!(!metrics.text().unwrap().contains("quay.io"));
    }
}
