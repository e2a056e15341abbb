use serde_json::{Value, json};

use super::*;
use crate::access::tests::{grant, policy};

/// What is wrong with the object of this name.
fn mistakes(name: &str, grants: impl IntoIterator<Item = Grant>) -> Vec<String> {
    let policy = policy(grants);
    let grant = policy.grants().find(|grant| grant.name == name).unwrap();
    policy.mistakes_of(grant).iter().map(ToString::to_string).collect()
}

fn by_default(prefix: &str) -> Value {
    json!({ "secretName": null, "defaultDestination": { "prefix": prefix } })
}

#[test]
fn an_object_that_lends_nothing_since_another_one_decides_first_is_told_which() {
    let all = json!({ "namespaceSelector": { "matchExpressions": [
        { "key": "kubernetes.io/metadata.name", "operator": "Exists" }] } });
    let both = [grant("one", "a", &all), grant("two", "a", &json!({}))];
    insta::assert_snapshot!(mistakes("two", both.clone()).join("\n"), @r#"RegistryAccess "one" is about registry.example.com/ as well, selects each of these namespaces too, and comes first by its name: there this one lends nothing; narrow its namespaceSelector, or say both in one object"#);
    assert_eq!(mistakes("one", both), [""; 0], "it lends what it says");
    let alias = grant("one", "a", &json!({ "hosts": ["r.corp"], "aliases": ["registry.example.com"] }));
    assert_eq!(mistakes("two", [alias, grant("two", "a", &json!({}))]).len(), 1);
}

#[test]
fn objects_that_differ_in_place_action_or_namespaces_or_lend_the_same_are_no_mistake() {
    for fields in [
        json!({ "hosts": ["other.example.com"] }),
        json!({ "hosts": ["*.example.com"] }),
        json!({ "repositories": ["team-a/"] }),
        json!({ "actions": ["Pull"] }),
        json!({ "namespaceSelector": { "matchLabels": { "team": "b" } } }),
        json!({ "namespaceSelector": { "matchLabels": { "team": "a", "tier": "1" } } }),
        json!({ "namespaceSelector": null }),
        json!({ "secretName": "two" }),
    ] {
        let one = grant("one", "a", &fields);
        let two = grant("two", "a", &json!({ "actions": ["Push"] }));
        assert_eq!(mistakes("two", [one, two]), [""; 0], "{fields}");
    }
    let none = json!({ "secretName": null });
    let one = grant("one", "a", &json!({}));
    assert_eq!(mistakes("two", [one, grant("two", "a", &none)]), [""; 0], "it only says who may write there");
}

#[test]
fn different_defaults_of_the_same_namespaces_are_told_to_both() {
    let one = grant("one", "a", &by_default("r.example.com/a"));
    let two = grant("two", "a", &by_default("r.example.com/b"));
    let told = mistakes("one", [one.clone(), two.clone()]);
    insta::assert_snapshot!(told.join("\n"), @r#"RegistryAccess "two" gives the same namespaces another default destination, so they have none; take spec.defaultDestination out of one of the two, or narrow a namespaceSelector"#);
    assert_eq!(mistakes("two", [one.clone(), two]).len(), 1);
    for other in [grant("two", "a", &by_default("r.example.com/a")), grant("two", "b", &by_default("s.test"))]
    {
        assert_eq!(mistakes("one", [one.clone(), other]), [""; 0]);
    }
}

#[test]
fn a_default_that_cannot_be_used_is_said() {
    let aws = json!({ "secretName": null,
        "defaultDestination": { "prefix": "r.example.com", "useAwsIRSA": true } });
    insta::assert_snapshot!(mistakes("one", [grant("one", "a", &aws)]).join("\n"), @"spec.defaultDestination cannot be used: useAwsIRSA goes with registries of Amazon ECR only, and r.example.com is none");
}
