//! `manifests/crds`, `manifests/install.yaml` and what the chart copies are generated; these tests are also the generator.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};

use imgop_core::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

fn manifests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
}

fn crd_texts(crds: &[CustomResourceDefinition]) -> Vec<(String, String)> {
    crds.iter()
        .map(|crd| {
            let text = format!(
                "# Generated from crates/core/src/api by `make crds`; do not edit.\n{}",
                serde_saphyr::to_string(crd).unwrap()
            );
            (format!("{}.yaml", crd.metadata.name.as_deref().unwrap()), text)
        })
        .collect()
}

fn assert_current(path: &Path, text: &str) {
    if std::env::var_os("IMGOP_UPDATE").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let on_disk = std::fs::read_to_string(path).unwrap_or_default();
    assert!(on_disk == text, "{} is out of date; run `make crds`", path.display());
}

#[test]
fn the_generated_crds_are_current() {
    for (name, text) in crd_texts(&crds()) {
        assert_current(&manifests().join("crds").join(name), &text);
    }
}

/// The text of `manifests/install.yaml`.
fn install_yaml() -> String {
    let mut parts: Vec<String> = crd_texts(&crds()).into_iter().map(|(_, text)| text).collect();
    for name in [
        "size-policies.yaml",
        "image-reference-policies.yaml",
        "imagebuilder-reference-policies.yaml",
        "imagemirror-reference-policies.yaml",
        "workloadmirror-reference-policies.yaml",
        "warning-policies.yaml",
        "address-policies.yaml",
        "destination-policies.yaml",
        "ownership-policies.yaml",
        "users.yaml",
        "agent.yaml",
    ] {
        parts.push(std::fs::read_to_string(manifests().join(name)).unwrap());
    }
    format!(
        "# Everything that a cluster needs; generated from the other files in manifests/ by `make crds`.\n{}",
        parts.join("---\n")
    )
}

#[test]
fn install_yaml_is_the_crds_the_admission_policies_the_roles_of_users_and_the_agent() {
    assert_current(&manifests().join("install.yaml"), &install_yaml());
}

#[test]
fn the_chart_has_copies_of_the_manifests_that_it_installs() {
    // Helm reads no file outside of the chart's folder.
    let folder = manifests().join("chart/files");
    let names = [
        "agent-network-policy.yaml",
        "build-network-policy.yaml",
        "build-seccomp.yaml",
        "copy-network-policy.yaml",
        "install.yaml",
    ];
    for name in names {
        let text = match name {
            "install.yaml" => install_yaml(),
            _ => std::fs::read_to_string(manifests().join(name)).unwrap(),
        };
        assert_current(&folder.join(name), &text);
    }
    let mut copied: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    copied.sort_unstable();
    assert_eq!(copied, names);
}

#[test]
fn whoever_may_view_or_edit_a_namespace_may_do_the_same_with_every_resource() {
    let text = std::fs::read_to_string(manifests().join("users.yaml")).unwrap();
    let roles: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
    let all_rules = roles.iter().flat_map(|role| role["rules"].as_array().unwrap());
    let resources = all_rules.flat_map(|rule| rule["resources"].as_array().unwrap());
    // Who writes a status says what the agent has done.
    assert_eq!(resources.filter(|resource| resource.as_str().unwrap().contains(['/', '*'])).count(), 0);
    let granted = |to: &str, group: &str, resource: &str| -> Vec<String> {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
        let roles = roles.iter().filter(|role| role["metadata"]["labels"][&label] == "true");
        let granted = roles.flat_map(|role| role["rules"].as_array().unwrap());
        let holds =
            |values: &serde_json::Value, value: &str| values.as_array().unwrap().contains(&value.into());
        let granted =
            granted.filter(|rule| holds(&rule["apiGroups"], group) && holds(&rule["resources"], resource));
        granted
            .flat_map(|rule| rule["verbs"].as_array().unwrap())
            .map(|v| v.as_str().unwrap().into())
            .collect()
    };
    let (view, edit) =
        (["get", "list", "watch"], ["create", "update", "patch", "delete", "deletecollection"]);
    let (of_namespaces, of_cluster): (Vec<_>, Vec<_>) =
        crds().into_iter().partition(|crd| crd.spec.scope == "Namespaced");
    for crd in of_cluster {
        for to in ["view", "edit", "admin"] {
            let granted = granted(to, &crd.spec.group, &crd.spec.names.plural);
            assert!(granted.is_empty(), "what administrators lend is not for tenants: {granted:?}");
        }
    }
    for crd in of_namespaces {
        let (group, resource) = (&crd.spec.group, &crd.spec.names.plural);
        assert_eq!(granted("view", group, resource), view, "{resource}");
        for role in ["edit", "admin"] {
            assert_eq!(granted(role, group, resource), [&view[..], &edit[..]].concat(), "{resource}");
        }
    }
}
