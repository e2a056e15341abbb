//! What is wrong with a spec, each with its field.

use super::*;
use crate::api::{PathRule, WorkloadMode, WorkloadOrigin, WorkloadPlatformMode};

fn problems(change: impl FnOnce(&mut WorkloadMirrorSpec)) -> String {
    let mut spec = Stage::new().spec;
    change(&mut spec);
    WorkloadRequest::parse(&spec, NAMESPACE).unwrap_err().to_string()
}

#[test]
fn each_mistake_names_its_field_and_all_are_reported_at_once() {
    let text = problems(|spec| {
        spec.destination.repository = "https://r.corp".to_owned();
        spec.destination.prefix = "$namespaces".to_owned();
        spec.destination.path_map =
            vec![PathRule { from: "(".to_owned(), regex: true, ..PathRule::default() }];
        spec.namespaces.include = vec!["team-[".to_owned()];
        spec.exclude.registries = vec!["a b".to_owned()];
        spec.exclude.images = vec!["[".to_owned()];
        spec.platforms.mode = WorkloadPlatformMode::List;
        spec.platforms.list = vec!["amd64".to_owned()];
        spec.origins = vec![WorkloadOrigin { from: "*.corp".to_owned(), to: vec!["quay.io/A".to_owned()] }];
        spec.digests.ignore_tags = vec!["a b".to_owned()];
        spec.overwrite.except = vec![String::new()];
        spec.retention = "1.5d".to_owned();
        spec.frequency = "1s".to_owned();
        spec.min_age = Some("1s".to_owned());
        spec.triggers = Vec::new();
        spec.limits.images = 0;
    });
    insta::assert_snapshot!(text.replace("; spec.", "\nspec."));
}

#[test]
fn the_defaults_are_those_of_the_documents() {
    let spec: WorkloadMirrorSpec =
        serde_json::from_str(r#"{ "destination": { "repository": "r.corp" } }"#).unwrap();
    let destination =
        WorkloadDestination { repository: "r.corp".to_owned(), ..WorkloadDestination::default() };
    assert_eq!(spec, WorkloadMirrorSpec::new(destination));
    assert_eq!((spec.retention.as_str(), spec.mode), ("7d", WorkloadMode::Active));
    assert_eq!((spec.limits.images, spec.limits.per_namespace_per_hour), (5000, 60));
    assert_eq!(spec.digests.ignore_tags, ["latest"]);
    assert_eq!(spec.overwrite.except, ["latest"]);
    assert!(WorkloadRequest::parse(&spec, NAMESPACE).is_ok());
}

#[test]
fn c1_a_field_that_does_not_exist_is_not_read_in_silence() {
    // The API server prunes fields that the schema does not have, and warns of them; kubectl refuses them.
    let crd = crate::api::crds().into_iter().find(|crd| crd.spec.names.kind == "WorkloadMirror").unwrap();
    let text = serde_json::to_string(&crd).unwrap();
    assert!(!text.contains("x-kubernetes-preserve-unknown-fields"));
    for name in ["frequency", "retention", "pathMap", "perNamespacePerHour", "ifUnknown", "ignoreTags"] {
        assert!(text.contains(&format!("\"{name}\"")), "{name}");
    }
}
