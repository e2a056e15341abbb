//! What an apply changes, field by field.

use std::fmt;

use serde_json::Value;

/// How long a value may be that is shown.
const MAX_VALUE: usize = 60;

/// A field with two values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it is; entries of lists are named where they have a name.
    pub path: String,
    /// Its value now; none if it is not there.
    pub before: Option<String>,
    /// Its value then.
    pub after: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, before, after } = self;
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "<none>".to_owned());
        write!(f, "{path}: {} → {}", shown(before), shown(after))
    }
}

/// Returns what differs of two states of an object, apart from what the API server keeps of it.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(&without_records(before)), Some(&without_records(after)), &mut found);
    found
}

/// Returns an object without its status and what the API server keeps of it.
fn without_records(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace" | "labels" | "annotations"));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
        }
    }
    object
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, old.get(name), new.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if are_named(old) && are_named(new) => {
            let mut names: Vec<&str> = old.iter().chain(new).filter_map(name).collect();
            names.dedup();
            names.sort_unstable();
            names.dedup();
            let of =
                |list: &[Value], wanted: &str| list.iter().find(|item| name(item) == Some(wanted)).cloned();
            for name in names {
                compare(&format!("{path}[{name}]"), of(old, name).as_ref(), of(new, name).as_ref(), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                compare(&format!("{path}[{index}]"), old.get(index), new.get(index), found);
            }
        }
        (before, after) => {
            found.push(Difference {
                path: path.to_owned(),
                before: before.map(shown),
                after: after.map(shown),
            });
        }
    }
}

fn name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

fn are_named(items: &[Value]) -> bool {
    items.iter().all(|item| name(item).is_some())
}

/// Returns a value on one line that is not too long.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    imgop_core::text::shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), MAX_VALUE).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_named_by_where_they_are_and_what_the_server_keeps_is_none_of_them() {
        let before = json!({ "metadata": { "name": "a", "resourceVersion": "1", "generation": 1 },
            "spec": { "replicas": 1, "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "x" }], "args": ["a"] },
            "status": { "ready": 1 } });
        let after = json!({ "metadata": { "name": "a", "resourceVersion": "2", "labels": { "v": "2" } },
            "spec": { "replicas": 2, "env": [{ "name": "B", "value": "x" }, { "name": "C", "value": "2" }], "args": ["a", "b"] } });
        let found: Vec<String> = differences(&before, &after).iter().map(Difference::to_string).collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        metadata.labels: <none> → {"v":"2"}
        spec.args[1]: <none> → b
        spec.env[A]: {"name":"A","value":"1"} → <none>
        spec.env[C]: <none> → {"name":"C","value":"2"}
        spec.replicas: 1 → 2
        "#);
        assert_eq!(differences(&before, &before), []);
    }
}
