//! Which of two versions of a CRD knows more.

use std::collections::BTreeSet;

use serde_json::Value;

/// How two versions of a CRD differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrdSkew {
    /// Fields, and values of fields, that only the cluster's knows.
    pub only_live: Vec<String>,
    /// Those that only this program's knows.
    pub only_shipped: Vec<String>,
    /// Whether anything of the schemas differs, such as a rule.
    pub differs: bool,
}

impl CrdSkew {
    /// Compares the CRD of a cluster with that of this program.
    pub fn between(live: &Value, shipped: &Value) -> Self {
        let (known_live, known_shipped) = (known(live), known(shipped));
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| -> Vec<String> {
            these.difference(those).filter(|known| !is_widened(known, these, those)).cloned().collect()
        };
        Self {
            // What the agent writes, it writes anew.
            only_live: only(&known_live, &known_shipped)
                .into_iter()
                .filter(|field| !is_of_status(field))
                .collect(),
            only_shipped: only(&known_shipped, &known_live),
            differs: schemas(live) != schemas(shipped),
        }
    }

    /// Returns whether this program's CRD would take away what the cluster's has: objects may use it.
    pub fn is_downgrade(&self) -> bool {
        !self.only_live.is_empty()
    }
}

/// Returns whether this is a value of an enumeration where the other schema has none: there any value is taken.
fn is_widened(known: &str, these: &BTreeSet<String>, those: &BTreeSet<String>) -> bool {
    let Some((field, _)) = known.split_once('=') else { return false };
    let has_values = |all: &BTreeSet<String>| all.iter().any(|other| other.starts_with(&format!("{field}=")));
    // Of a list the values of its entries.
    let list = field.trim_end_matches("[]").trim_end_matches(".*");
    these.contains(list) && those.contains(list) && !has_values(those)
}

/// Returns whether a field, as `VERSION.FIELD`, is one of the status.
fn is_of_status(field: &str) -> bool {
    field.split(['.', '=']).nth(1) == Some("status")
}

/// Returns the schema of each version that is served, without what says nothing.
fn schemas(crd: &Value) -> Vec<(Value, Value)> {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let schema = |version: &Value| {
        let mut schema = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default();
        normalize(&mut schema);
        (version["name"].clone(), schema)
    };
    versions.map(schema).collect()
}

/// Makes equal numbers equal: the API server returns 1.0 as 1.
fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64() {
                *value = Value::String(float.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Object(fields) => fields.values_mut().for_each(normalize),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Returns each field of each version, and each value of an enumeration.
fn known(crd: &Value) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (version, schema) in schemas(crd) {
        let version = version.as_str().unwrap_or_default().to_owned();
        collect(&schema, &version, &mut known);
        known.insert(version);
    }
    known
}

fn collect(schema: &Value, path: &str, known: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        collect(field, &path, known);
        known.insert(path);
    }
    for value in schema["enum"].as_array().into_iter().flatten() {
        known.insert(format!("{path}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        if schema[part].is_object() {
            collect(&schema[part], &format!("{path}{suffix}"), known);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifests::shipped;

    fn images() -> Value {
        shipped().unwrap().into_iter().find(|manifest| manifest.name == "images.skopeo.io").unwrap().body
    }

    fn with(change: impl FnOnce(&mut Value)) -> Value {
        let mut crd = images();
        change(
            crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap(),
        );
        crd
    }

    #[test]
    fn a_crd_that_knows_more_than_this_program_would_lose_it() {
        let newer = with(|fields| {
            fields["color"] = json!({ "type": "string" });
            fields["mode"]["enum"].as_array_mut().unwrap().push(json!("Sometimes"));
        });
        let skew = CrdSkew::between(&newer, &images());
        assert_eq!(skew.only_live, ["v1alpha1.spec.color", "v1alpha1.spec.mode=Sometimes"]);
        assert!(skew.is_downgrade() && skew.only_shipped.is_empty());
    }

    #[test]
    fn an_older_crd_loses_nothing_and_an_equal_one_does_not_differ() {
        let older = with(|fields| {
            fields.as_object_mut().unwrap().remove("platforms");
        });
        let skew = CrdSkew::between(&older, &images());
        assert_eq!(skew.only_shipped, ["v1alpha1.spec.platforms"]);
        assert!(!skew.is_downgrade() && skew.differs);
        assert_eq!(CrdSkew::between(&images(), &images()), CrdSkew::default());
    }

    #[test]
    fn an_enumeration_that_became_a_text_and_a_field_of_the_status_are_no_loss() {
        let with_values = with(|fields| fields["frequency"]["enum"] = json!(["1h", "2h"]));
        let skew = CrdSkew::between(&with_values, &images());
        assert!(skew.differs && !skew.is_downgrade(), "{skew:?}");
        let mut older = images();
        let status =
            older.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties");
        status.unwrap()["writtenTo"] = json!({ "type": "string" });
        assert!(!CrdSkew::between(&older, &images()).is_downgrade());
    }

    #[test]
    fn a_rule_that_changed_is_a_difference_of_its_own() {
        let other = with(|fields| fields["mode"]["description"] = json!("other"));
        let skew = CrdSkew::between(&other, &images());
        assert!(skew.differs && !skew.is_downgrade() && skew.only_shipped.is_empty());
    }
}
