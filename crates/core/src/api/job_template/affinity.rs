//! Affinity as pods have it, without what a page of `kubectl explain pod` says of it.

use std::borrow::Cow;

use k8s_openapi::api::core::v1 as k8s;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which nodes are required or preferred, and beside which pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Affinity(k8s::Affinity);

// It holds whole numbers and texts only.
impl Eq for Affinity {}

/// Fields that look into other namespaces.
const OF_OTHER_NAMESPACES: [&str; 2] = ["namespaces", "namespaceSelector"];

impl Affinity {
    /// Returns it as pods have it. What it says of pods is of those of its own namespace.
    pub fn of_own_namespace(&self) -> k8s::Affinity {
        let mut affinity = self.0.clone();
        let required = |terms: &mut Option<Vec<k8s::PodAffinityTerm>>| {
            terms.iter_mut().flatten().for_each(restrict);
        };
        let preferred = |terms: &mut Option<Vec<k8s::WeightedPodAffinityTerm>>| {
            terms.iter_mut().flatten().for_each(|term| restrict(&mut term.pod_affinity_term));
        };
        if let Some(pods) = &mut affinity.pod_affinity {
            required(&mut pods.required_during_scheduling_ignored_during_execution);
            preferred(&mut pods.preferred_during_scheduling_ignored_during_execution);
        }
        if let Some(pods) = &mut affinity.pod_anti_affinity {
            required(&mut pods.required_during_scheduling_ignored_during_execution);
            preferred(&mut pods.preferred_during_scheduling_ignored_during_execution);
        }
        affinity
    }
}

fn restrict(term: &mut k8s::PodAffinityTerm) {
    (term.namespaces, term.namespace_selector) = (None, None);
}

impl JsonSchema for Affinity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Affinity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = k8s::Affinity::json_schema(generator);
        for value in schema.ensure_object().values_mut() {
            reduce(value);
        }
        schema
    }
}

/// Takes out descriptions, which would be most of the CRD, and what looks into other namespaces; bounds weights.
fn reduce(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            for name in OF_OTHER_NAMESPACES {
                fields.remove(name);
            }
            if fields.get("type").is_some_and(|name| name == "integer") {
                // Weights, which are all whole numbers that there are.
                fields.insert("minimum".to_owned(), 1.into());
                fields.insert("maximum".to_owned(), 100.into());
            }
            fields.values_mut().for_each(reduce);
        }
        Value::Array(values) => values.iter_mut().for_each(reduce),
        _ => {}
    }
}
