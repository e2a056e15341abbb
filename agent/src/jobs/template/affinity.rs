//! Two affinities as one that asks for both.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorTerm, PodAffinity, PodAntiAffinity,
};

/// Returns the affinity of pods for which both hold.
pub(super) fn both(one: Option<Affinity>, other: Option<Affinity>) -> Option<Affinity> {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return one.or(other),
    };
    Some(Affinity {
        node_affinity: of_both(one.node_affinity, other.node_affinity, |one, other| NodeAffinity {
            required_during_scheduling_ignored_during_execution: of_both(
                one.required_during_scheduling_ignored_during_execution,
                other.required_during_scheduling_ignored_during_execution,
                |one, other| selector_of_both(&one, &other),
            ),
            preferred_during_scheduling_ignored_during_execution: all_of(
                one.preferred_during_scheduling_ignored_during_execution,
                other.preferred_during_scheduling_ignored_during_execution,
            ),
        }),
        pod_affinity: of_both(one.pod_affinity, other.pod_affinity, pods_of_both),
        pod_anti_affinity: of_both(one.pod_anti_affinity, other.pod_anti_affinity, |one, other| {
            let both = pods_of_both(terms_of(one), terms_of(other));
            PodAntiAffinity {
                required_during_scheduling_ignored_during_execution: both
                    .required_during_scheduling_ignored_during_execution,
                preferred_during_scheduling_ignored_during_execution: both
                    .preferred_during_scheduling_ignored_during_execution,
            }
        }),
    })
}

fn pods_of_both(one: PodAffinity, other: PodAffinity) -> PodAffinity {
    PodAffinity {
        required_during_scheduling_ignored_during_execution: all_of(
            one.required_during_scheduling_ignored_during_execution,
            other.required_during_scheduling_ignored_during_execution,
        ),
        preferred_during_scheduling_ignored_during_execution: all_of(
            one.preferred_during_scheduling_ignored_during_execution,
            other.preferred_during_scheduling_ignored_during_execution,
        ),
    }
}

/// Returns the same terms, for pods to be near that those keep away from.
fn terms_of(anti: PodAntiAffinity) -> PodAffinity {
    PodAffinity {
        required_during_scheduling_ignored_during_execution: anti
            .required_during_scheduling_ignored_during_execution,
        preferred_during_scheduling_ignored_during_execution: anti
            .preferred_during_scheduling_ignored_during_execution,
    }
}

fn of_both<T>(one: Option<T>, other: Option<T>, merge: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(merge(one, other)),
        (one, other) => one.or(other),
    }
}

fn all_of<T>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Option<Vec<T>> {
    of_both(one, other, |mut one, other| {
        one.extend(other);
        one
    })
}

/// A node is selected if any of the terms holds: both selectors hold where a term of each does.
fn selector_of_both(one: &NodeSelector, other: &NodeSelector) -> NodeSelector {
    let pairs = one.node_selector_terms.iter().flat_map(|term| {
        other.node_selector_terms.iter().filter_map(move |of_other| term_of_both(term, of_other))
    });
    let mut terms: Vec<NodeSelectorTerm> = pairs.collect();
    if terms.is_empty() {
        // There must be a term, and an empty one selects nothing.
        terms.push(NodeSelectorTerm::default());
    }
    NodeSelector { node_selector_terms: terms }
}

/// Returns a term that holds where both do; none where one of them is empty, for that never holds.
fn term_of_both(one: &NodeSelectorTerm, other: &NodeSelectorTerm) -> Option<NodeSelectorTerm> {
    if is_empty(one) || is_empty(other) {
        return None;
    }
    Some(NodeSelectorTerm {
        match_expressions: all_of(one.match_expressions.clone(), other.match_expressions.clone()),
        match_fields: all_of(one.match_fields.clone(), other.match_fields.clone()),
    })
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    let lists = [&term.match_expressions, &term.match_fields];
    lists.into_iter().all(|list| list.as_ref().is_none_or(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::core::v1::NodeSelectorRequirement;
    use proptest::prelude::*;

    use super::*;

    fn nodes(terms: Vec<NodeSelectorTerm>) -> Affinity {
        Affinity {
            node_affinity: Some(NodeAffinity {
                required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                    node_selector_terms: terms,
                }),
                ..NodeAffinity::default()
            }),
            ..Affinity::default()
        }
    }

    /// Whether a node may have the pod, as the scheduler decides it.
    fn selects(affinity: &Affinity, node: &BTreeMap<String, String>) -> bool {
        let required = affinity.node_affinity.as_ref().unwrap();
        let required = required.required_during_scheduling_ignored_during_execution.as_ref().unwrap();
        let holds = |requirement: &NodeSelectorRequirement| {
            let value = node.get(&requirement.key);
            let is_listed =
                value.is_some_and(|value| requirement.values.iter().flatten().any(|v| v == value));
            match requirement.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        };
        required
            .node_selector_terms
            .iter()
            .any(|term| !is_empty(term) && term.match_expressions.iter().flatten().all(holds))
    }

    fn terms() -> impl Strategy<Value = Vec<NodeSelectorTerm>> {
        let operator = prop_oneof![Just("In"), Just("NotIn"), Just("Exists"), Just("DoesNotExist")];
        let values = prop::collection::vec("[xy]", 1..3);
        let requirement = ("[ab]", operator, values).prop_map(|(key, operator, values)| {
            let takes_values = matches!(operator, "In" | "NotIn");
            NodeSelectorRequirement {
                key,
                operator: operator.to_owned(),
                values: takes_values.then_some(values),
            }
        });
        let term = prop::collection::vec(requirement, 0..3).prop_map(|expressions| NodeSelectorTerm {
            match_expressions: (!expressions.is_empty()).then_some(expressions),
            match_fields: None,
        });
        prop::collection::vec(term, 1..4)
    }

    proptest! {
        #[test]
        fn a_node_is_selected_if_and_only_if_both_select_it(
            one in terms(),
            other in terms(),
            node in prop::collection::btree_map("[ab]", "[xyz]", 0..3),
        ) {
            let (one, other) = (nodes(one), nodes(other));
            let expected = selects(&one, &node) && selects(&other, &node);
            prop_assert_eq!(selects(&both(Some(one), Some(other)).unwrap(), &node), expected);
        }
    }

    #[test]
    fn what_is_preferred_and_what_is_said_of_pods_is_kept_of_both() {
        let affinity = |key: &str| -> Affinity {
            serde_json::from_value(serde_json::json!({
                "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
                    { "weight": 1, "preference": { "matchExpressions": [{ "key": key, "operator": "Exists" }] } }] },
                "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{ "topologyKey": key }] },
            }))
            .unwrap()
        };
        let merged = both(Some(affinity("a")), Some(affinity("b"))).unwrap();
        let preferred = merged.node_affinity.unwrap().preferred_during_scheduling_ignored_during_execution;
        assert_eq!(preferred.unwrap().len(), 2);
        let pods = merged.pod_anti_affinity.unwrap().required_during_scheduling_ignored_during_execution;
        assert_eq!(
            pods.unwrap().iter().map(|term| term.topology_key.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(both(None, None), None);
        assert_eq!(both(Some(affinity("a")), None), Some(affinity("a")));
    }
}
