//! Namespaces by their labels.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::{Expression, Selector, SelectorExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// The label that every namespace has.
const NAME_OF_NAMESPACE: &str = "kubernetes.io/metadata.name";

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

    /// In and `NotIn` compare its value with values; Exists and `DoesNotExist` only look whether it is there. `NotIn` is
    /// also met without the label.
    pub operator: LabelOperator,

    /// The values of In and `NotIn`.
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

    /// Returns whether it is certain that each namespace that another one selects is selected by this one too, whatever
    /// namespaces there are.
    pub fn covers(&self, other: &Self) -> bool {
        let (own, theirs) = (self.requirements(), other.requirements());
        !own.is_empty()
            && own.iter().all(|wanted| wanted.is_always_met() || theirs.iter().any(|met| met.implies(wanted)))
    }

    /// Returns all that a namespace has to meet.
    fn requirements(&self) -> Vec<LabelRequirement> {
        let equal = self.match_labels.iter().map(|(key, value)| LabelRequirement {
            key: key.clone(),
            operator: LabelOperator::In,
            values: vec![value.clone()],
        });
        equal.chain(self.match_expressions.iter().cloned()).collect()
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

    fn is_always_met(&self) -> bool {
        self.operator == LabelOperator::Exists && self.values.is_empty() && self.key == NAME_OF_NAMESPACE
    }

    /// Returns whether what meets this meets another one as well. What is not complete is met by nothing.
    fn implies(&self, other: &Self) -> bool {
        use LabelOperator::{DoesNotExist, Exists, In, NotIn};
        if self.key != other.key || self.expression().is_none() || other.expression().is_none() {
            return false;
        }
        let within =
            |these: &Self, those: &Self| these.values.iter().all(|value| those.values.contains(value));
        match (self.operator, other.operator) {
            (In, In) => within(self, other),
            (NotIn, NotIn) => within(other, self),
            (In, NotIn) => !self.values.iter().any(|value| other.values.contains(value)),
            (In | Exists, Exists) | (DoesNotExist, DoesNotExist | NotIn) => true,
            (NotIn | Exists | DoesNotExist, In)
            | (NotIn | DoesNotExist, Exists)
            | (Exists, NotIn)
            | (In | NotIn | Exists, DoesNotExist) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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

    fn requirement() -> impl Strategy<Value = LabelRequirement> {
        let operator = prop::sample::select(vec![
            LabelOperator::In,
            LabelOperator::NotIn,
            LabelOperator::Exists,
            LabelOperator::DoesNotExist,
        ]);
        let values = prop::collection::vec("[ab]", 0..3);
        ("[xy]", operator, values).prop_map(|(key, operator, values)| LabelRequirement {
            key,
            operator,
            values,
        })
    }

    fn selector() -> impl Strategy<Value = NamespaceSelector> {
        let labels = prop::collection::btree_map("[xy]", "[ab]", 0..2);
        let (match_labels, match_expressions) = (labels, prop::collection::vec(requirement(), 0..3));
        (match_labels, match_expressions).prop_map(|(match_labels, match_expressions)| NamespaceSelector {
            match_labels,
            match_expressions,
        })
    }

    proptest! {
        #[test]
        fn what_covers_another_selector_selects_all_that_it_selects(
            one in selector(),
            other in selector(),
            labels in prop::collection::btree_map("[xy]", "[abc]", 0..3),
        ) {
            prop_assert!(!one.covers(&other) || !other.selects(&labels) || one.selects(&labels));
        }
    }

    #[test]
    fn a_selector_covers_those_that_ask_for_the_same_and_more() {
        let read = |selector: Value| serde_json::from_value::<NamespaceSelector>(selector).unwrap();
        let expression = |operator: &str, values: &[&str]| {
            let requirement = json!({ "key": "team", "operator": operator, "values": values });
            read(json!({ "matchExpressions": [requirement] }))
        };
        let all = json!({ "key": NAME_OF_NAMESPACE, "operator": "Exists" });
        let all = read(json!({ "matchExpressions": [all] }));
        let a = read(json!({ "matchLabels": { "team": "a" } }));
        let more = read(json!({ "matchLabels": { "team": "a", "tier": "1" } }));
        let one_of = expression("In", &["a", "b"]);
        for wider in [&a, &all, &one_of, &expression("Exists", &[]), &expression("NotIn", &["c"])] {
            assert!(wider.covers(&more), "{wider:?}");
            assert!(!more.covers(wider), "{wider:?}");
        }
        assert!(a.covers(&a) && !a.covers(&one_of) && !read(json!({})).covers(&a));
    }
}
