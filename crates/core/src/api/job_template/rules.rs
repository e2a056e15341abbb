//! The same for the API server (CEL): both must come to the same answer. The known exceptions: the size of an affinity,
//! and Secrets that are named twice.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::grammar::{
    MAX_ANNOTATION, MAX_ENTRIES, MAX_KEY, RECOMMENDED, RESERVED_DOMAINS, RESERVED_NAMES, SET_BY_AGENT,
};

const LABEL_VALUE: &str = "([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?";

/// That this text is the key of a label.
fn is_key(text: &str) -> String {
    let word = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
    let name = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
    format!("size({text}) <= {MAX_KEY} && {text}.matches('^({word}([.]{word})*/)?{name}$')")
}

/// Labels by name, with limits on their number and lengths.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    texts(63)
}

/// Annotations by name, with limits on their number and lengths.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    texts(MAX_ANNOTATION)
}

fn texts(max_length: usize) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_ENTRIES,
        "additionalProperties": {"type": "string", "maxLength": max_length},
    })
}

fn label_rule(field: &str) -> Rule {
    let is_key = is_key("key");
    Rule::new(format!("self.all(key, {is_key} && self[key].matches('^{LABEL_VALUE}$'))")).message(&*format!(
        "{field} must have keys such as team or example.com/team, and values of at most 63 letters, digits, '-', '_' \
         and '.'"
    ))
}

/// Labels of nodes.
pub(super) fn node_selector() -> Rule {
    label_rule("jobTemplate.nodeSelector")
}

/// Labels of Jobs.
pub(super) fn label_texts() -> Rule {
    label_rule("jobTemplate.labels")
}

/// Keys of annotations.
pub(super) fn annotation_keys() -> Rule {
    Rule::new(format!("self.all(key, {})", is_key("key")))
        .message("jobTemplate.annotations must have keys such as note or example.com/note")
}

/// No key is imgop's or Kubernetes' own.
pub(super) fn own_keys(field: &str) -> Rule {
    let domains = RESERVED_DOMAINS.join("|");
    let names = RESERVED_NAMES.join("$|");
    let set = SET_BY_AGENT.map(|key| format!("'{key}'")).join(", ");
    Rule::new(format!(
        "self.all(key, key.startsWith('{RECOMMENDED}') ? !(key in [{set}]) : \
         !key.matches('^(([^/]*[.])?({domains})[.]io/|{names}$)'))"
    ))
    .message(&*format!(
        "{field} must not have keys of Kubernetes (kubernetes.io/…, k8s.io/…, job-name) or of imgop \
         (imgop.skopeo.io/…), which act on them; use keys of your own"
    ))
}

/// The name of an object.
pub(super) fn object_name(field: &str, what: &str) -> Rule {
    Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message(&*format!("{field} must be the name of {what}"))
}

/// No priority of the cluster's own.
pub(super) fn priority_class() -> Rule {
    Rule::new("!self.startsWith('system-')").message(
        "jobTemplate.priorityClassName must not be one of system-…, which are for what the cluster itself needs",
    )
}

/// A number within bounds.
pub(super) fn between(field: &str, (least, most): (u32, u32)) -> Rule {
    Rule::new(format!("self >= {least} && self <= {most}"))
        .message(&*format!("{field} must be from {least} to {most}"))
}

/// One of these words, or none.
pub(super) fn one_of(field: &str, words: &[&str]) -> Rule {
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    Rule::new(format!("self in ['', {quoted}]")).message(&*format!("{field} must be {}", words.join(" or ")))
}

/// The key of a taint, or none.
pub(super) fn toleration_key() -> Rule {
    Rule::new(format!("self == '' || {}", is_key("self"))).message(
        "jobTemplate.tolerations.key must be the key of a taint, such as dedicated or example.com/dedicated",
    )
}

/// The value of a taint.
pub(super) fn toleration_value() -> Rule {
    Rule::new(format!("self.matches('^{LABEL_VALUE}$')"))
        .message("jobTemplate.tolerations.value must be at most 63 letters, digits, '-', '_' and '.'")
}

const IS_EXISTS: &str = "has(self.operator) && self.operator == 'Exists'";

/// What has no key holds for all taints.
pub(super) fn toleration_without_key() -> Rule {
    Rule::new(format!("has(self.key) && self.key != '' || {IS_EXISTS}")).message(
        "jobTemplate.tolerations without a key must have operator Exists, which tolerates all taints",
    )
}

/// What exists has any value.
pub(super) fn toleration_without_value() -> Rule {
    Rule::new(format!("!({IS_EXISTS}) || !has(self.value) || self.value == ''"))
        .message("jobTemplate.tolerations with operator Exists go without a value; leave one of them out")
}

/// Only what is evicted stays for a while.
pub(super) fn toleration_seconds() -> Rule {
    Rule::new("!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'").message(
        "jobTemplate.tolerations.tolerationSeconds goes with effect NoExecute only; leave one of them out",
    )
}
