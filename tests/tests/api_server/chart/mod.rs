//! The chart, as the real Helm renders it, and what an API server says to its objects.

mod default_values;
mod each_value;
mod releases;
mod repeated;

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use imgop_tests::helm::documents;
use imgop_tests::repository_root;
use serde_json::{Value, json};

/// What tells objects apart.
type Id = (String, String, String, String);

fn id(object: &Value) -> Id {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/apiVersion"), text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Objects by what tells them apart.
///
/// # Errors
/// If one is there twice.
fn by_id(objects: Vec<Value>) -> anyhow::Result<BTreeMap<Id, Value>> {
    let mut all = BTreeMap::new();
    for object in objects {
        let id = id(&object);
        ensure!(all.insert(id.clone(), object).is_none(), "{id:?} is there twice");
    }
    Ok(all)
}

fn install_yaml() -> anyhow::Result<Vec<Value>> {
    documents(&std::fs::read_to_string(repository_root().join("manifests/install.yaml"))?)
}

/// Objects without what Helm knows them by.
fn without_marks_of_helm(objects: Vec<Value>) -> Vec<Value> {
    let mut objects = objects;
    for metadata in objects.iter_mut().filter_map(|object| object["metadata"].as_object_mut()) {
        for (field, mark) in [("labels", "helm.sh/chart"), ("annotations", "helm.sh/resource-policy")] {
            let Some(fields) = metadata.get_mut(field).and_then(Value::as_object_mut) else { continue };
            fields.remove(mark);
            if fields.is_empty() {
                metadata.remove(field);
            }
        }
    }
    objects
}

/// The same with all numbers as JSON has them: `0.0` is `0`.
fn with_numbers_alike(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.into_iter().map(with_numbers_alike).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_numbers_alike(value))).collect()
        }
        other => other,
    }
}

/// Fails with the first object that differs, or is in one of them alone.
fn ensure_same(found: Vec<Value>, wanted: Vec<Value>) -> anyhow::Result<()> {
    let alike = |objects: Vec<Value>| by_id(objects.into_iter().map(with_numbers_alike).collect());
    let (found, mut wanted) = (alike(found)?, alike(wanted)?);
    for (id, object) in found {
        let wanted = wanted.remove(&id).with_context(|| format!("{id:?} should not be there"))?;
        ensure!(object == wanted, "{id:?} is\n{object:#}\nand should be\n{wanted:#}");
    }
    ensure!(wanted.is_empty(), "not there: {:?}", wanted.keys());
    Ok(())
}

/// A value at a path such as `image.tag`.
fn at(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |below, name| json!({ name: below }))
}

/// Both values; the second one goes before.
fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut fields), Value::Object(others)) => {
            for (name, other) in others {
                let value = match fields.remove(&name) {
                    Some(field) => merged(field, other),
                    None => other,
                };
                fields.insert(name, value);
            }
            Value::Object(fields)
        }
        (_, second) => second,
    }
}
