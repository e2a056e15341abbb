//! The flags of `spec.jobTemplate`, for every kind that has Jobs.

use clap::Args;
use imgop_core::api::{Amounts, JobTemplateSpec, PullSecret, Resources, Toleration};

use crate::kinds::object_name::parse_name;

/// What Jobs have besides what they need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct JobArgs {
    /// Label that the nodes of Jobs must have; separate several by commas, or repeat the flag
    #[arg(long, help_heading = "Jobs", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = parse_label)]
    pub node_selector: Vec<String>,

    /// Taint of nodes that is no hindrance for Jobs, written as kubectl taint does; without =VALUE with any value
    #[arg(
        long = "toleration",
        help_heading = "Jobs",
        alias = "tolerations",
        value_name = "KEY[=VALUE][:EFFECT]",
        value_delimiter = ','
    )]
    pub tolerations: Vec<String>,

    /// PriorityClass of the pods of Jobs
    #[arg(long, help_heading = "Jobs", alias = "priority-class-name", value_name = "NAME", value_parser = parse_name)]
    pub priority_class: Option<String>,

    /// Service account of the pods of Jobs; its token is not mounted
    #[arg(long, help_heading = "Jobs", alias = "service-account-name", value_name = "NAME", value_parser = parse_name)]
    pub service_account: Option<String>,

    /// Secret with which nodes pull the image of the Jobs themselves
    #[arg(long = "pull-secret", help_heading = "Jobs", alias = "image-pull-secrets", value_name = "SECRET", value_parser = parse_name)]
    pub pull_secrets: Vec<String>,

    /// CPU that each container of a Job requests, and the most that it gets: 100m, 100m:1, or :1
    #[arg(long, help_heading = "Jobs", value_name = "REQUEST[:LIMIT]")]
    pub job_cpu: Option<String>,

    /// Memory that each container of a Job requests, and the most that it gets: 64Mi, 64Mi:1Gi, or :1Gi
    #[arg(long, help_heading = "Jobs", value_name = "REQUEST[:LIMIT]")]
    pub job_memory: Option<String>,
}

/// The ids of the flags: comparisons take them without an effect.
pub const JOB_FLAGS: [&str; 8] = [
    "node_selector",
    "tolerations",
    "priority_class",
    "service_account",
    "pull_secrets",
    "job_cpu",
    "job_memory",
    "engine",
];

impl JobArgs {
    /// Returns what the flags ask for.
    pub fn template(&self) -> JobTemplateSpec {
        let ([cpu, cpu_limit], [memory, memory_limit]) =
            (both(self.job_cpu.as_deref()), both(self.job_memory.as_deref()));
        JobTemplateSpec {
            resources: Resources {
                requests: Amounts { cpu, memory, ..Amounts::default() },
                limits: Amounts { cpu: cpu_limit, memory: memory_limit, ..Amounts::default() },
            },
            node_selector: self.node_selector.iter().filter_map(|label| pair(label)).collect(),
            tolerations: self.tolerations.iter().map(|text| toleration(text)).collect(),
            service_account_name: self.service_account.clone(),
            image_pull_secrets: self.pull_secrets.iter().cloned().map(|name| PullSecret { name }).collect(),
            priority_class_name: self.priority_class.clone(),
            ..JobTemplateSpec::default()
        }
    }

    /// Returns the first flag that is given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            ("--node-selector", !self.node_selector.is_empty()),
            ("--toleration", !self.tolerations.is_empty()),
            ("--priority-class", self.priority_class.is_some()),
            ("--service-account", self.service_account.is_some()),
            ("--pull-secret", !self.pull_secrets.is_empty()),
            ("--job-cpu", self.job_cpu.is_some()),
            ("--job-memory", self.job_memory.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

/// Returns the flag that a field of a Job template comes from.
pub fn flag_of_job(field: &str) -> &str {
    match field.trim_start_matches("jobTemplate.") {
        "nodeSelector" => "--node-selector",
        "tolerations" => "--toleration",
        "priorityClassName" => "--priority-class",
        "serviceAccountName" => "--service-account",
        "imagePullSecrets" => "--pull-secret",
        "resources" => "--job-cpu or --job-memory",
        _ => field,
    }
}

fn parse_label(text: &str) -> Result<String, &'static str> {
    pair(text).map(|_| text.to_owned()).ok_or("write KEY=VALUE")
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    Some((key.to_owned(), value.to_owned()))
}

/// Reads `REQUEST[:LIMIT]`.
fn both(text: Option<&str>) -> [Option<String>; 2] {
    let Some(text) = text else { return [None, None] };
    let (request, limit) = text.split_once(':').unwrap_or((text, ""));
    [request, limit].map(|amount| Some(amount.to_owned()).filter(|amount| !amount.is_empty()))
}

/// Reads `KEY[=VALUE][:EFFECT]`.
fn toleration(text: &str) -> Toleration {
    let (taint, effect) = match text.split_once(':') {
        Some((taint, effect)) => (taint, Some(effect.to_owned())),
        None => (text, None),
    };
    let (key, value) = match taint.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (taint, None),
    };
    let operator = value.is_none().then(|| "Exists".to_owned());
    Toleration { key: Some(key.to_owned()), operator, value, effect, toleration_seconds: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_fields_of_the_template() {
        let args = JobArgs {
            node_selector: vec!["pool=mirror".into(), "disk=".into()],
            tolerations: vec!["mirror".into(), "a=b:NoExecute".into(), "c:NoSchedule".into()],
            priority_class: Some("low".into()),
            service_account: Some("puller".into()),
            pull_secrets: vec!["pull".into()],
            job_cpu: Some("100m:1".into()),
            job_memory: Some(":1Gi".into()),
        };
        insta::assert_json_snapshot!(args.template(), @r#"
    {
      "resources": {
        "limits": {
          "cpu": "1",
          "memory": "1Gi"
        },
        "requests": {
          "cpu": "100m"
        }
      },
      "nodeSelector": {
        "disk": "",
        "pool": "mirror"
      },
      "tolerations": [
        {
          "key": "mirror",
          "operator": "Exists"
        },
        {
          "key": "a",
          "value": "b",
          "effect": "NoExecute"
        },
        {
          "key": "c",
          "operator": "Exists",
          "effect": "NoSchedule"
        }
      ],
      "serviceAccountName": "puller",
      "imagePullSecrets": [
        {
          "name": "pull"
        }
      ],
      "priorityClassName": "low"
    }
    "#);
        assert_eq!(JobArgs::default().template(), JobTemplateSpec::default());
    }
}
