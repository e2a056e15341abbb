//! What Jobs have besides what their kind needs: as the agent's settings say for all of them, and as an object says for
//! its own.

use std::collections::BTreeMap;

use imgop_core::api::{JobTemplateSpec, Resources};
use imgop_registry::reference::Digest;
use k8s_openapi::api::core::v1::{Affinity, Toleration};
use serde::Serialize;

/// How many characters of a hash tell templates apart.
const HASH_LENGTH: usize = 12;

/// What the agent's settings say for all Jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobDefaults {
    /// What each container may use.
    pub resources: Resources,
    /// Labels that nodes must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are no hindrance.
    pub tolerations: Vec<Toleration>,
    /// The priority of pods.
    pub priority_class: Option<String>,
    /// Secrets, in the namespace of the Job, with which the images of its containers are pulled.
    pub pull_secrets: Vec<String>,
    /// Labels of Jobs and pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations of Jobs and pods.
    pub annotations: BTreeMap<String, String>,
    /// Variables of every container: proxies.
    pub environment: BTreeMap<String, String>,
}

/// What a Job has besides what its kind needs, of the settings and of its owner.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct JobOptions {
    /// What each container may use of which its kind says nothing else.
    pub resources: Resources,
    /// What single containers may use instead, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub container_resources: BTreeMap<String, Resources>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are no hindrance.
    pub tolerations: Vec<Toleration>,
    /// Which nodes are required or preferred, beside those that its kind requires.
    pub affinity: Option<Affinity>,
    /// Its service account, whose token is not mounted.
    pub service_account: Option<String>,
    /// Secrets, in the namespace of the Job, with which the images of its containers are pulled.
    pub pull_secrets: Vec<String>,
    /// Its priority.
    pub priority_class: Option<String>,
    /// Labels of Job and pod.
    pub labels: BTreeMap<String, String>,
    /// Annotations of Job and pod.
    pub annotations: BTreeMap<String, String>,
    /// Variables of every container.
    pub environment: BTreeMap<String, String>,
    /// Seconds that it is kept when it has ended, if its owner says so.
    pub ttl_seconds: Option<u32>,
    /// Seconds that it may take, if its owner says so.
    pub deadline_seconds: Option<u32>,
    /// How often a pod that failed is replaced.
    pub backoff_limit: u32,
    /// The program that it runs and why, if that is not the usual one of its kind: they are not made alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<&'static str>,
}

impl JobOptions {
    /// Returns what a Job of an object has. What the object says goes before the settings, value by value; of lists it
    /// has both.
    pub fn merged(defaults: &JobDefaults, own: &JobTemplateSpec) -> Self {
        let mut tolerations = defaults.tolerations.clone();
        add_new(&mut tolerations, own.tolerations.iter().cloned().map(Toleration::from));
        let mut pull_secrets = defaults.pull_secrets.clone();
        add_new(&mut pull_secrets, own.image_pull_secrets.iter().map(|secret| secret.name.clone()));
        Self {
            resources: own.resources.clone().or(&defaults.resources),
            container_resources: BTreeMap::new(),
            node_selector: over(&defaults.node_selector, &own.node_selector),
            tolerations,
            affinity: own.affinity.as_ref().map(imgop_core::api::Affinity::of_own_namespace),
            service_account: own.service_account_name.clone(),
            pull_secrets,
            priority_class: own.priority_class_name.clone().or_else(|| defaults.priority_class.clone()),
            labels: over(&defaults.labels, &own.labels),
            annotations: over(&defaults.annotations, &own.annotations),
            environment: defaults.environment.clone(),
            ttl_seconds: own.ttl_seconds_after_finished,
            deadline_seconds: own.active_deadline_seconds,
            backoff_limit: own.backoff_limit.unwrap_or_default(),
            program: None,
        }
    }

    /// Returns a hash of them: a Job that waits for a node was made from others if its hash is another one.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Digest::of(&json).hex().chars().take(HASH_LENGTH).collect()
    }
}

/// Returns these texts with others in the place of those that have the same key.
fn over(texts: &BTreeMap<String, String>, others: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    texts.clone().into_iter().chain(others.clone()).collect()
}

fn add_new<T: PartialEq>(list: &mut Vec<T>, more: impl Iterator<Item = T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn defaults() -> JobDefaults {
        let texts = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        JobDefaults {
            resources: serde_json::from_value(
                json!({ "limits": { "memory": "512Mi" }, "requests": { "cpu": "10m" } }),
            )
            .unwrap(),
            node_selector: texts(&[("pool", "mirror"), ("zone", "a")]),
            tolerations: vec![
                serde_json::from_value(json!({ "key": "mirror", "operator": "Exists" })).unwrap(),
            ],
            priority_class: Some("low".into()),
            pull_secrets: vec!["pull".into()],
            labels: texts(&[("cost", "platform")]),
            annotations: texts(&[("note", "all")]),
            environment: texts(&[("HTTPS_PROXY", "http://proxy:3128")]),
        }
    }

    /// What is another than without a template.
    fn changes(own: Value) -> Value {
        let of = |own: Value| {
            let own: JobTemplateSpec = serde_json::from_value(own).unwrap();
            serde_json::to_value(JobOptions::merged(&defaults(), &own)).unwrap()
        };
        let (before, mut after) = (of(json!({})), of(own));
        after.as_object_mut().unwrap().retain(|name, value| before[name.as_str()] != *value);
        after
    }

    #[test]
    fn what_an_object_says_goes_before_the_settings_and_of_lists_it_has_both() {
        for (own, expected) in [
            (json!({}), json!({})),
            (json!({ "priorityClassName": "high" }), json!({ "priority_class": "high" })),
            (
                json!({ "nodeSelector": { "zone": "b", "disk": "ssd" } }),
                json!({ "node_selector": { "disk": "ssd", "pool": "mirror", "zone": "b" } }),
            ),
            (
                json!({ "tolerations": [{ "key": "mirror", "operator": "Exists" }, { "operator": "Exists" }] }),
                json!({ "tolerations": [{ "key": "mirror", "operator": "Exists" }, { "operator": "Exists" }] }),
            ),
            (
                json!({ "imagePullSecrets": [{ "name": "own" }, { "name": "pull" }] }),
                json!({ "pull_secrets": ["pull", "own"] }),
            ),
            (
                json!({ "resources": { "requests": { "memory": "1Gi" } } }),
                json!({ "resources": { "requests": { "cpu": "10m", "memory": "1Gi" } } }),
            ),
            (
                json!({ "labels": { "cost": "team" }, "annotations": { "x": "y" } }),
                json!({ "labels": { "cost": "team" }, "annotations": { "note": "all", "x": "y" } }),
            ),
            (
                json!({ "ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 90, "backoffLimit": 2 }),
                json!({ "ttl_seconds": 60, "deadline_seconds": 90, "backoff_limit": 2 }),
            ),
            (json!({ "serviceAccountName": "puller" }), json!({ "service_account": "puller" })),
        ] {
            assert_eq!(changes(own.clone()), expected, "{own}");
        }
    }

    #[test]
    fn the_hash_is_another_one_for_another_template_or_setting_alone() {
        let none = JobTemplateSpec::default();
        let some = JobTemplateSpec { priority_class_name: Some("high".into()), ..none.clone() };
        let hash = |defaults: &JobDefaults, own: &JobTemplateSpec| JobOptions::merged(defaults, own).hash();
        let first = hash(&defaults(), &none);
        assert_eq!((first.len(), &hash(&defaults(), &none)), (12, &first));
        assert_ne!(hash(&defaults(), &some), first);
        assert_ne!(hash(&JobDefaults::default(), &none), first);
    }
}
