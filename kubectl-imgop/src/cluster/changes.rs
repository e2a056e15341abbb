//! What differs between two specs, field by field. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde::Serialize;
use serde_json::Value;

/// What stands for a field that is not set.
const UNSET: &str = "<none>";

/// Returns a line for each field that differs: `mode: Recurrent -> OnceByTag`.
pub fn changes(before: &impl Serialize, after: &impl Serialize) -> Vec<String> {
    let (before, after) = (fields(before), fields(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let line = |name: &String| {
        // A switch that is off is not written.
        let is_switch = |value: Option<&String>| value.is_some_and(|value| value == "true");
        let unset = if is_switch(before.get(name)) || is_switch(after.get(name)) { "false" } else { UNSET };
        let show = |value: Option<&String>| value.map_or(unset, String::as_str).to_owned();
        format!("{name}: {} -> {}", show(before.get(name)), show(after.get(name)))
    };
    names.into_iter().filter(differs).map(line).collect()
}

/// Returns a line for each field that is not as it was requested, with the manager that owns it: an apply leaves
/// the fields of others alone. `suspend` is left out; the caller has more to say about it.
pub fn stays(
    requested: &impl Serialize,
    after: &impl Serialize,
    managers: &[ManagedFieldsEntry],
) -> Vec<String> {
    let (requested, after) = (fields(requested), fields(after));
    let stays =
        after.iter().filter(|(name, value)| *name != "suspend" && requested.get(*name) != Some(*value));
    let line = |(name, value): (&String, &String)| match owner(managers, name) {
        Some(manager) => format!("{name} stays {value}: owned by {manager}"),
        None => format!("{name} stays {value}: owned by another manager"),
    };
    stays.map(line).collect()
}

/// Returns the manager that owns a field of the spec.
fn owner<'a>(managers: &'a [ManagedFieldsEntry], path: &str) -> Option<&'a str> {
    let owns = |entry: &&ManagedFieldsEntry| {
        let mut fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
        for name in path.split('.') {
            fields = fields.and_then(|fields| fields.get(format!("f:{name}")));
        }
        fields.is_some()
    };
    managers.iter().find(owns)?.manager.as_deref()
}

/// Returns the fields that hold something, by their paths: `source.select.latest`.
fn fields(spec: &impl Serialize) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    // A spec that was read can be written again.
    collect("", &serde_json::to_value(spec).unwrap_or_default(), &mut fields);
    fields
}

fn collect(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    let leaf = match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(&path, value, fields);
            }
            return;
        }
        Value::Null => return,
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    fields.insert(path.to_owned(), leaf);
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageSpec;
    use serde_json::json;

    use super::*;

    fn spec(value: Value) -> ImageSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_field_that_differs_is_printed_with_both_values_or_with_its_manager() {
        let before = spec(json!({ "mode": "Recurrent", "frequency": "1h", "suspend": true,
            "source": { "name": "quay.io/a/b", "version": "1.x", "select": { "exclude": [".*-debug"], "latest": 3 } },
            "destination": { "name": "r.example.com/a", "credentials": { "secretName": "push" } } }));
        let after = spec(json!({ "mode": "OnceByTag",
            "source": { "name": "quay.io/a/b", "version": "2.x" },
            "destination": { "name": "r.example.com/a", "overwrite": "IfMissing" } }));
        insta::assert_snapshot!(changes(&before, &after).join("\n"), @r#"
        destination.credentials.secretName: push -> <none>
        destination.overwrite: <none> -> IfMissing
        frequency: 1h -> 5m
        mode: Recurrent -> OnceByTag
        source.select.exclude: [".*-debug"] -> <none>
        source.select.latest: 3 -> <none>
        source.version: 1.x -> 2.x
        suspend: true -> false
        "#);
        assert!(changes(&before, &before).is_empty());
        let managers = json!([
            { "manager": "argocd", "fieldsV1": { "f:spec": { "f:mode": {}, "f:source": { "f:select": { ".": {}, "f:exclude": {} } } } } },
            { "manager": "kubectl-edit", "fieldsV1": { "f:spec": { "f:frequency": {} }, "f:status": {} } } ]);
        let managers: Vec<ManagedFieldsEntry> = serde_json::from_value(managers).unwrap();
        insta::assert_snapshot!(stays(&after, &before, &managers).join("\n"), @r#"
        destination.credentials.secretName stays push: owned by another manager
        frequency stays 1h: owned by kubectl-edit
        mode stays Recurrent: owned by argocd
        source.select.exclude stays [".*-debug"]: owned by argocd
        source.select.latest stays 3: owned by another manager
        source.version stays 1.x: owned by another manager
        "#);
    }
}
