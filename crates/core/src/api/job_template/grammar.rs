//! What the fields of a Job template may hold, for specs that no API server has checked, and for the agent's settings.

use std::collections::BTreeMap;

use super::{JobTemplateSpec, Toleration};
use crate::api::labels::{MANAGED_BY_LABEL, NAME_LABEL, PART_OF_LABEL};
use crate::quantity::positive;
use crate::spec_error::is_object_name;

/// Entries of a map.
pub const MAX_ENTRIES: usize = 32;
/// Entries of a list.
pub const MAX_LISTED: usize = 16;
/// Characters of the value of an annotation.
pub const MAX_ANNOTATION: usize = 1024;
/// Characters of a key.
pub const MAX_KEY: usize = 253;
/// Bytes of an affinity as JSON: each Job has it.
pub const MAX_AFFINITY_BYTES: usize = 16 << 10;
/// How long a Job may be kept.
pub const TTL_SECONDS: (u32, u32) = (30, 365 * 86_400);
/// How long a Job may take.
pub const DEADLINE_SECONDS: (u32, u32) = (60, 7 * 86_400);
/// How often a pod may be replaced.
pub const BACKOFF_LIMIT: (u32, u32) = (0, 10);
/// The operators of tolerations.
pub const OPERATORS: &[&str] = &["Equal", "Exists"];
/// The effects of taints.
pub const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Something that is wrong with a Job template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as in the spec: `jobTemplate.labels`.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Returns everything that is wrong with a Job template.
pub fn problems(template: &JobTemplateSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |field: &'static str, result: Result<(), String>| {
        problems.extend(result.err().map(|message| Problem { field, message }));
    };
    check("jobTemplate.resources", resources(template));
    check("jobTemplate.nodeSelector", labels(&template.node_selector));
    check("jobTemplate.tolerations", template.tolerations.iter().try_for_each(toleration));
    check("jobTemplate.tolerations", at_most(template.tolerations.len(), MAX_LISTED));
    check("jobTemplate.affinity", affinity(template));
    check("jobTemplate.serviceAccountName", name(template.service_account_name.as_deref(), "ServiceAccount"));
    check("jobTemplate.imagePullSecrets", pull_secrets(template));
    check("jobTemplate.priorityClassName", priority_class(template.priority_class_name.as_deref()));
    check("jobTemplate.labels", labels(&template.labels).and_then(|()| own_keys(&template.labels)));
    let annotations = &template.annotations;
    check("jobTemplate.annotations", self::annotations(annotations).and_then(|()| own_keys(annotations)));
    for (field, number, bounds) in [
        ("jobTemplate.ttlSecondsAfterFinished", template.ttl_seconds_after_finished, TTL_SECONDS),
        ("jobTemplate.activeDeadlineSeconds", template.active_deadline_seconds, DEADLINE_SECONDS),
        ("jobTemplate.backoffLimit", template.backoff_limit, BACKOFF_LIMIT),
    ] {
        check(field, between(number, bounds));
    }
    problems
}

fn resources(template: &JobTemplateSpec) -> Result<(), String> {
    for (name, limit, request) in template.resources.pairs() {
        let amount = |side: &str, text: Option<&String>| {
            let read = text.map(|text| positive(text)).transpose();
            read.map_err(|error| format!("{side}.{name}: {error}"))
        };
        let (limit, request) = (amount("limits", limit)?, amount("requests", request)?);
        if limit.zip(request).is_some_and(|(limit, request)| request > limit) {
            return Err(format!("requests.{name} is more than limits.{name}; lower it, or raise the limit"));
        }
    }
    Ok(())
}

/// Whether these can be labels, of whatever they are.
pub fn labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
    at_most(labels.len(), MAX_ENTRIES)?;
    keys(labels)?;
    match labels.values().find(|value| !is_label_value(value)) {
        Some(value) => Err(format!(
            "{:?} is no value of a label; write at most 63 letters, digits, '-', '_' and '.'",
            shown(value)
        )),
        None => Ok(()),
    }
}

/// Whether these can be annotations.
pub fn annotations(annotations: &BTreeMap<String, String>) -> Result<(), String> {
    at_most(annotations.len(), MAX_ENTRIES)?;
    keys(annotations)?;
    match annotations.iter().find(|(_, value)| value.chars().count() > MAX_ANNOTATION) {
        Some((key, _)) => Err(format!("the value of {key} has more than {MAX_ANNOTATION} characters")),
        None => Ok(()),
    }
}

fn keys(texts: &BTreeMap<String, String>) -> Result<(), String> {
    match texts.keys().find(|key| !is_key(key)) {
        Some(key) => Err(format!(
            "{:?} is no key; write a name such as team, or a domain and a name such as example.com/team",
            shown(key)
        )),
        None => Ok(()),
    }
}

/// Whether none of these keys are imgop's or Kubernetes' own: programs act on those.
pub fn own_keys(texts: &BTreeMap<String, String>) -> Result<(), String> {
    match texts.keys().find(|key| is_reserved(key)) {
        Some(key) => {
            Err(format!("{key} is of Kubernetes or of imgop, which act on it; use a key of your own"))
        }
        None => Ok(()),
    }
}

/// The names of domains whose keys programs act on, below `.io`.
pub(super) const RESERVED_DOMAINS: [&str; 5] = ["kubernetes", "k8s", "imgop", "skopeo", "buildah"];
/// The keys without a domain by which Kubernetes marks the pods of a Job.
pub(super) const RESERVED_NAMES: [&str; 2] = ["job-name", "controller-uid"];
/// A domain of Kubernetes whose keys say what something is, and nothing acts on them.
pub(super) const RECOMMENDED: &str = "app.kubernetes.io/";
/// The keys of it that the agent sets.
pub(super) const SET_BY_AGENT: [&str; 3] = [MANAGED_BY_LABEL, NAME_LABEL, PART_OF_LABEL];

/// Returns whether a key is imgop's or Kubernetes' own.
pub fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return RESERVED_NAMES.contains(&key) };
    if key.starts_with(RECOMMENDED) {
        return SET_BY_AGENT.contains(&key);
    }
    let is_of = |name: &&str| {
        let rest = domain.strip_suffix(".io").and_then(|rest| rest.strip_suffix(*name));
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    RESERVED_DOMAINS.iter().any(|name| is_of(&name))
}

/// Whether a text can be the key of a label (`example.com/team`).
fn is_key(key: &str) -> bool {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    key.len() <= MAX_KEY
        && domain.is_none_or(|domain| is_object_name(domain) && domain.split('.').all(is_object_name))
        && !name.is_empty()
        && is_label_value(name)
}

/// Whether a text can be the value of a label.
fn is_label_value(value: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_word = value.bytes().all(|b| is_end(Some(b)) || matches!(b, b'-' | b'_' | b'.'));
    value.is_empty()
        || value.len() <= 63 && is_word && is_end(value.bytes().next()) && is_end(value.bytes().last())
}

/// Whether a pod may have this toleration.
pub fn toleration(toleration: &Toleration) -> Result<(), String> {
    let Toleration { key, operator, value, effect, toleration_seconds } = toleration;
    let is_exists = operator.as_deref() == Some("Exists");
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    one_of("operator", operator.as_deref(), OPERATORS)?;
    one_of("effect", effect.as_deref(), EFFECTS)?;
    if let Some(key) = key.as_ref().filter(|key| !key.is_empty() && !is_key(key)) {
        return Err(format!("{:?} is no key of a taint", shown(key)));
    }
    if let Some(value) = value.as_ref().filter(|value| !is_label_value(value)) {
        return Err(format!("{:?} is no value of a taint", shown(value)));
    }
    if !given(key) && !is_exists {
        return Err("without a key the operator must be Exists, which tolerates all taints".to_owned());
    }
    if is_exists && given(value) {
        return Err("operator Exists goes without a value; leave one of them out".to_owned());
    }
    if toleration_seconds.is_some() && effect.as_deref() != Some("NoExecute") {
        return Err("tolerationSeconds goes with effect NoExecute only; leave one of them out".to_owned());
    }
    Ok(())
}

fn one_of(field: &str, text: Option<&str>, words: &[&str]) -> Result<(), String> {
    match text {
        Some(text) if !text.is_empty() && !words.contains(&text) => {
            Err(format!("{field} must be {}", words.join(" or ")))
        }
        _ => Ok(()),
    }
}

fn affinity(template: &JobTemplateSpec) -> Result<(), String> {
    let bytes = serde_json::to_vec(&template.affinity).map_or(0, |json| json.len());
    if bytes > MAX_AFFINITY_BYTES {
        return Err(format!("it has {bytes} bytes as JSON; at most {MAX_AFFINITY_BYTES} are taken"));
    }
    Ok(())
}

fn name(name: Option<&str>, kind: &str) -> Result<(), String> {
    match name {
        Some(name) if !is_object_name(name) => Err(format!("it must be the name of a {kind}")),
        _ => Ok(()),
    }
}

/// Whether pods may have this priority.
pub fn priority_class(class: Option<&str>) -> Result<(), String> {
    name(class, "PriorityClass")?;
    match class {
        Some(class) if class.starts_with("system-") => {
            Err(format!("{class} is for what the cluster itself needs; name a PriorityClass of your own"))
        }
        _ => Ok(()),
    }
}

fn pull_secrets(template: &JobTemplateSpec) -> Result<(), String> {
    let secrets = &template.image_pull_secrets;
    at_most(secrets.len(), MAX_LISTED)?;
    match secrets.iter().all(|secret| is_object_name(&secret.name)) {
        // What is no name may be a password.
        true => Ok(()),
        false => Err("each name must be that of a Secret in the same namespace".to_owned()),
    }
}

fn at_most(count: usize, most: usize) -> Result<(), String> {
    if count > most { Err(format!("it has {count} entries; at most {most} are taken")) } else { Ok(()) }
}

fn between(number: Option<u32>, (least, most): (u32, u32)) -> Result<(), String> {
    match number {
        Some(number) if !(least..=most).contains(&number) => {
            Err(format!("it must be from {least} to {most}"))
        }
        _ => Ok(()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
