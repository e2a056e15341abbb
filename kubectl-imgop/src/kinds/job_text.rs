//! A Job template in words, for every kind that has Jobs.

use imgop_core::api::{Amounts, JobTemplateSpec, Toleration};

/// Returns what a Job template says, in one line.
pub fn job_template(template: &JobTemplateSpec) -> String {
    let named = |what: &str, name: Option<&String>| name.map(|name| format!("{what} {name}"));
    let seconds = |what: &str, seconds: Option<u32>| seconds.map(|seconds| format!("{what} {seconds} s"));
    let list =
        |what: &str, texts: Vec<String>| (!texts.is_empty()).then(|| format!("{what} {}", texts.join(" ")));
    let pairs = |what: &str, texts: &std::collections::BTreeMap<String, String>| {
        list(what, texts.iter().map(|(key, value)| format!("{key}={value}")).collect())
    };
    let secrets = template.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect();
    let parts = [
        list("requests", amounts(&template.resources.requests)),
        list("limits", amounts(&template.resources.limits)),
        pairs("nodes with", &template.node_selector),
        list("tolerates", template.tolerations.iter().map(toleration).collect()),
        template.affinity.is_some().then(|| "with an affinity".to_owned()),
        named("priority", template.priority_class_name.as_ref()),
        named("service account", template.service_account_name.as_ref()),
        list("pulled with Secret", secrets),
        pairs("labels", &template.labels),
        list("annotations", template.annotations.keys().cloned().collect()),
        seconds("ends after", template.active_deadline_seconds),
        seconds("kept for", template.ttl_seconds_after_finished),
        template.backoff_limit.map(|limit| format!("replaces {limit} failed pods")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn amounts(amounts: &Amounts) -> Vec<String> {
    let all = [("cpu", &amounts.cpu), ("memory", &amounts.memory), ("disk", &amounts.ephemeral_storage)];
    all.into_iter().filter_map(|(name, amount)| Some(format!("{name}={}", amount.as_ref()?))).collect()
}

/// Returns a toleration as kubectl writes taints.
fn toleration(toleration: &Toleration) -> String {
    let key = toleration.key.as_deref().filter(|key| !key.is_empty()).unwrap_or("*");
    let value = toleration.value.as_deref().map(|value| format!("={value}")).unwrap_or_default();
    let effect = toleration.effect.as_deref().map(|effect| format!(":{effect}")).unwrap_or_default();
    format!("{key}{value}{effect}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_one_line_and_none_is_nothing() {
        let template: JobTemplateSpec = serde_json::from_value(serde_json::json!({
            "resources": { "limits": { "memory": "1Gi" }, "requests": { "cpu": "100m" } },
            "nodeSelector": { "pool": "mirror" },
            "tolerations": [{ "key": "mirror", "value": "a", "effect": "NoSchedule" }, { "operator": "Exists" }],
            "affinity": {},
            "serviceAccountName": "puller",
            "imagePullSecrets": [{ "name": "pull" }],
            "priorityClassName": "low",
            "labels": { "team": "a" },
            "annotations": { "example.com/note": "long" },
            "ttlSecondsAfterFinished": 60,
            "activeDeadlineSeconds": 600,
            "backoffLimit": 2,
        }))
        .unwrap();
        insta::assert_snapshot!(job_template(&template), @"requests cpu=100m, limits memory=1Gi, nodes with pool=mirror, tolerates mirror=a:NoSchedule *, with an affinity, priority low, service account puller, pulled with Secret pull, labels team=a, annotations example.com/note, ends after 600 s, kept for 60 s, replaces 2 failed pods");
        assert_eq!(job_template(&JobTemplateSpec::default()), "");
    }
}
