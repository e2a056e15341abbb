//! Settings of all Jobs. What an object says in its `spec.jobTemplate` goes before them.

use std::collections::BTreeMap;

use clap::Args;
use imgop_core::api::job_template::grammar;
use imgop_core::api::{Amounts, Resources, Toleration};
use imgop_core::job_proxies::{Proxies, parse_proxy};
use serde::de::DeserializeOwned;

use super::refused_keys::{self, RefusedKeys};
use crate::jobs::template::JobDefaults;

/// What all Jobs have.
#[derive(Debug, Clone, Args)]
pub struct JobSettings {
    /// CPU that a container of a Job requests; none if empty.
    #[arg(long, env = "JOB_CPU_REQUEST", default_value = "10m", value_parser = parse_quantity)]
    pub job_cpu_request: String,

    /// Most CPU of a container of a Job; none if empty. A quota on limits.cpu wants one.
    #[arg(long, env = "JOB_CPU_LIMIT", default_value = "", value_parser = parse_quantity)]
    pub job_cpu_limit: String,

    /// Memory that a container of a Job requests; none if empty.
    #[arg(long, env = "JOB_MEMORY_REQUEST", default_value = "32Mi", value_parser = parse_quantity)]
    pub job_memory_request: String,

    /// Most memory of a container of a Job; none if empty.
    #[arg(long, env = "JOB_MEMORY_LIMIT", default_value = "512Mi", value_parser = parse_quantity)]
    pub job_memory_limit: String,

    /// Disk that a container of a Job requests; none if empty.
    #[arg(long, env = "JOB_EPHEMERAL_STORAGE_REQUEST", default_value = "", value_parser = parse_quantity)]
    pub job_ephemeral_storage_request: String,

    /// Most disk of a container of a Job; none if empty.
    #[arg(long, env = "JOB_EPHEMERAL_STORAGE_LIMIT", default_value = "", value_parser = parse_quantity)]
    pub job_ephemeral_storage_limit: String,

    /// Labels that nodes of Jobs must have, as JSON: {"pool": "mirror"}.
    #[arg(long, env = "JOB_NODE_SELECTOR", default_value = "{}", value_parser = parse_labels)]
    pub job_node_selector: Texts,

    /// Taints of nodes that Jobs tolerate, as JSON: [{"key": "mirror", "operator": "Exists"}].
    #[arg(long, env = "JOB_TOLERATIONS", default_value = "[]", value_parser = parse_tolerations)]
    pub job_tolerations: Tolerations,

    /// `PriorityClass` of the pods of Jobs; none if empty.
    #[arg(long, env = "JOB_PRIORITY_CLASS", default_value = "")]
    pub job_priority_class: String,

    /// Secrets (kubernetes.io/dockerconfigjson), separated by commas, with which nodes pull the images of the Jobs' own
    /// containers. Each namespace with Jobs has them.
    #[arg(long, env = "JOB_PULL_SECRETS", default_value = "")]
    pub job_pull_secrets: String,

    /// Labels of Jobs and their pods, as JSON: {"cost-center": "platform"}.
    #[arg(long, env = "JOB_LABELS", default_value = "{}", value_parser = parse_labels)]
    pub job_labels: Texts,

    /// Annotations of Jobs and their pods, as JSON: {"sidecar.istio.io/inject": "false"}.
    #[arg(long, env = "JOB_ANNOTATIONS", default_value = "{}", value_parser = parse_annotations)]
    pub job_annotations: Texts,

    /// Keys of labels and annotations that no spec.jobTemplate may give, separated by commas; a star at the end stands for
    /// whatever follows, and a star alone for every key. Without the setting they are those by which clouds, networks and
    /// runtimes give pods what their author may have no right to.
    #[arg(long, env = "JOB_REFUSED_KEYS", default_value = refused_keys::DEFAULT)]
    pub job_refused_keys: RefusedKeys,

    /// Proxy of Jobs for http:// addresses, without a password; none for no proxy. If empty, the agent's own
    /// `HTTP_PROXY`.
    #[arg(long, env = "JOB_HTTP_PROXY", default_value = "", value_parser = parse_proxy)]
    pub job_http_proxy: String,

    /// The same for https:// addresses. If empty, the agent's own `HTTPS_PROXY`.
    #[arg(long, env = "JOB_HTTPS_PROXY", default_value = "", value_parser = parse_proxy)]
    pub job_https_proxy: String,

    /// Hosts that Jobs reach without a proxy, separated by commas; none for no host. If empty, the agent's own
    /// `NO_PROXY`.
    #[arg(long, env = "JOB_NO_PROXY", default_value = "")]
    pub job_no_proxy: String,

    /// What Jobs get of the agent's own proxies.
    #[arg(skip)]
    pub proxies: Proxies,
}

/// Texts by name.
pub type Texts = BTreeMap<String, String>;
/// Taints that are no hindrance.
pub type Tolerations = Vec<Toleration>;

impl JobSettings {
    /// Returns what all Jobs have.
    pub fn defaults(&self) -> JobDefaults {
        let secrets = self.job_pull_secrets.split(',').map(str::trim).filter(|name| !name.is_empty());
        JobDefaults {
            resources: self.resources(),
            node_selector: self.job_node_selector.clone(),
            tolerations: self.job_tolerations.iter().cloned().map(Into::into).collect(),
            priority_class: given(&self.job_priority_class),
            pull_secrets: secrets.map(str::to_owned).collect(),
            labels: self.job_labels.clone(),
            annotations: self.job_annotations.clone(),
            environment: self.proxies.environment(),
        }
    }

    fn resources(&self) -> Resources {
        let amounts = |cpu: &str, memory: &str, disk: &str| Amounts {
            cpu: given(cpu),
            memory: given(memory),
            ephemeral_storage: given(disk),
        };
        Resources {
            limits: amounts(&self.job_cpu_limit, &self.job_memory_limit, &self.job_ephemeral_storage_limit),
            requests: amounts(
                &self.job_cpu_request,
                &self.job_memory_request,
                &self.job_ephemeral_storage_request,
            ),
        }
    }
}

/// Returns a text that is not empty.
pub(super) fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn parse_json<T: DeserializeOwned + Default>(text: &str, example: &str) -> Result<T, String> {
    if text.trim().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| format!("it is not JSON such as {example}: {error}"))
}

/// Reads labels. An administrator may set those of Kubernetes; what the agent needs goes before them.
fn parse_labels(text: &str) -> Result<Texts, String> {
    let labels = parse_json(text, r#"{"team": "a"}"#)?;
    grammar::labels(&labels).map(|()| labels)
}

fn parse_annotations(text: &str) -> Result<Texts, String> {
    let annotations = parse_json(text, r#"{"example.com/note": "x"}"#)?;
    grammar::annotations(&annotations).map(|()| annotations)
}

fn parse_tolerations(text: &str) -> Result<Tolerations, String> {
    let tolerations: Tolerations = parse_json(text, r#"[{"key": "mirror", "operator": "Exists"}]"#)?;
    tolerations.iter().try_for_each(grammar::toleration).map(|()| tolerations)
}

/// Reads a quantity of Kubernetes, such as `500m` or `1Gi`. Nothing is no quantity.
pub(super) fn parse_quantity(text: &str) -> Result<String, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffixes = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];
    let is_number = number.parse::<f64>().is_ok_and(|number| number > 0.0)
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if text.is_empty() || is_number && suffixes.contains(&&text[number.len()..]) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no quantity of Kubernetes, such as 500m or 1Gi"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        jobs: JobSettings,
    }

    fn settings(arguments: &[&str]) -> Result<JobDefaults, String> {
        let read = Only::try_parse_from(["x"].iter().chain(arguments));
        read.map(|only| only.jobs.defaults()).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_of_all_jobs_are_read_once_at_the_edge() {
        let defaults = settings(&[
            r#"--job-node-selector={"pool": "mirror", "kubernetes.io/os": "linux"}"#,
            r#"--job-tolerations=[{"key": "mirror", "operator": "Exists", "effect": "NoSchedule"}]"#,
            "--job-priority-class=low",
            "--job-pull-secrets=one, two",
            r#"--job-labels={"cost": "platform"}"#,
            r#"--job-annotations={"sidecar.istio.io/inject": "false"}"#,
            "--job-cpu-limit=1",
            "--job-memory-limit=",
            "--job-ephemeral-storage-request=1Gi",
        ])
        .unwrap();
        insta::assert_json_snapshot!(serde_json::json!({
            "nodeSelector": defaults.node_selector,
            "tolerations": defaults.tolerations,
            "priorityClass": defaults.priority_class,
            "pullSecrets": defaults.pull_secrets,
            "labels": defaults.labels,
            "annotations": defaults.annotations,
            "resources": defaults.resources,
        }), @r#"
    {
      "annotations": {
        "sidecar.istio.io/inject": "false"
      },
      "labels": {
        "cost": "platform"
      },
      "nodeSelector": {
        "kubernetes.io/os": "linux",
        "pool": "mirror"
      },
      "priorityClass": "low",
      "pullSecrets": [
        "one",
        "two"
      ],
      "resources": {
        "limits": {
          "cpu": "1"
        },
        "requests": {
          "cpu": "10m",
          "ephemeral-storage": "1Gi",
          "memory": "32Mi"
        }
      },
      "tolerations": [
        {
          "effect": "NoSchedule",
          "key": "mirror",
          "operator": "Exists"
        }
      ]
    }
    "#);
        let none = settings(&[]).unwrap();
        assert_eq!((none.node_selector.len(), none.priority_class, none.pull_secrets.len()), (0, None, 0));
    }

    #[test]
    fn a_setting_that_no_pod_may_have_keeps_the_agent_from_starting() {
        for (setting, says) in [
            ("--job-node-selector=pool=mirror", "it is not JSON"),
            (r#"--job-labels={"a": "b c"}"#, "is no value of a label"),
            (r#"--job-annotations={"a/b/c": ""}"#, "is no key"),
            (r#"--job-tolerations=[{"operator": "Equal"}]"#, "without a key the operator must be Exists"),
            ("--job-https-proxy=http://user:hunter2@proxy:3128", "must not have a user or a password"),
        ] {
            let error = settings(&[setting]).unwrap_err();
            assert!(error.contains(says), "{setting}: {error}");
        }
    }
}
