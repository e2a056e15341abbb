//! Namespaces by their labels.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::{Expression, Selector, SelectorExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Selects namespaces by their labels: those that meet every requirement. A selector without any selects none, as
/// what is left of one whose fields were misspelt must not select all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::some_requirement())]
pub struct NamespaceSelector {
    /// Labels that a namespace has, with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: BTreeMap<String, String>,

    /// What else its labels meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// What one label of a namespace meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::values_of_operator())]
pub struct LabelRequirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,

    /// In and NotIn compare its value with values; Exists and DoesNotExist only look whether it is there. NotIn is
    /// also met without the label.
    pub operator: LabelOperator,

    /// The values of In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl NamespaceSelector {
    /// Returns whether a namespace with these labels is selected.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        if self.match_labels.is_empty() && self.match_expressions.is_empty() {
            return false;
        }
        let equal =
            self.match_labels.iter().map(|(key, value)| Expression::Equal(key.clone(), value.clone()));
        let others = self.match_expressions.iter().map(LabelRequirement::expression);
        equal.map(Some).chain(others).collect::<Option<Selector>>().is_some_and(|all| all.matches(labels))
    }
}

impl LabelRequirement {
    /// Returns it as it is evaluated; none for one that is not complete, which nothing meets.
    fn expression(&self) -> Option<Expression> {
        let (key, values) = (self.key.clone(), self.values.iter().cloned().collect());
        let is_compared = matches!(self.operator, LabelOperator::In | LabelOperator::NotIn);
        (is_compared != self.values.is_empty()).then_some(match self.operator {
            LabelOperator::In => Expression::In(key, values),
            LabelOperator::NotIn => Expression::NotIn(key, values),
            LabelOperator::Exists => Expression::Exists(key),
            LabelOperator::DoesNotExist => Expression::DoesNotExist(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selects(selector: Value, labels: Value) -> bool {
        let selector: NamespaceSelector = serde_json::from_value(selector).unwrap();
        selector.selects(&serde_json::from_value(labels).unwrap())
    }

    #[test]
    fn namespaces_are_selected_as_kubernetes_selects_by_labels() {
        let requirement = |operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": "team", "operator": operator, "values": values }] });
        let (a, b, none) = (json!({ "team": "a", "x": "y" }), json!({ "team": "b" }), json!({}));
        for (selector, selected) in [
            (json!({ "matchLabels": { "team": "a" } }), [true, false, false]),
            (json!({ "matchLabels": { "team": "a", "tier": "1" } }), [false, false, false]),
            (requirement("In", &["a", "c"]), [true, false, false]),
            (requirement("NotIn", &["a"]), [false, true, true]),
            (requirement("Exists", &[]), [true, true, false]),
            (requirement("DoesNotExist", &[]), [false, false, true]),
            (
                json!({ "matchLabels": { "x": "y" },
                    "matchExpressions": [{ "key": "team", "operator": "Exists" }] }),
                [true, false, false],
            ),
        ] {
            let found = [&a, &b, &none].map(|labels| selects(selector.clone(), labels.clone()));
            assert_eq!(found, selected, "{selector}");
        }
    }

    #[test]
    fn a_selector_or_a_requirement_of_which_something_is_missing_selects_nothing() {
        let requirement = |operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": "team", "operator": operator, "values": values }] });
        for selector in [
            json!({}),
            json!({ "matchLabels": {}, "matchExpressions": [] }),
            requirement("In", &[]),
            requirement("NotIn", &[]),
            requirement("Exists", &["a"]),
            requirement("DoesNotExist", &["a"]),
        ] {
            for labels in [json!({}), json!({ "team": "a" }), json!({ "team": "b" })] {
                assert!(!selects(selector.clone(), labels), "{selector}");
            }
        }
    }
}
