use serde_json::json;

use super::*;
use crate::api::crds;

#[test]
fn it_belongs_to_the_cluster_and_to_a_group_of_its_own() {
    let crd = crds().pop().unwrap();
    assert_eq!(crd.metadata.name.as_deref(), Some("registryaccesses.imgop.io"));
    assert_eq!((crd.spec.scope.as_str(), crd.spec.group.as_str()), ("Cluster", "imgop.io"));
}

#[test]
fn without_what_says_how_far_it_goes_it_is_no_object() {
    let spec = |missing: &str| {
        let mut spec = json!({ "hosts": ["a.example.com"], "repositories": ["/"], "actions": ["Pull"] });
        spec.as_object_mut().unwrap().remove(missing);
        serde_json::from_value::<RegistryAccessSpec>(spec)
    };
    assert!(spec("").is_ok());
    for required in ["hosts", "repositories", "actions"] {
        assert!(spec(required).is_err(), "{required}");
    }
}
