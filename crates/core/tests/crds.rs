//! `manifests/crds` and `manifests/install.yaml` are generated; these tests are also the generator.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};

fn manifests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
}

fn crd_texts() -> Vec<(String, String)> {
    imgop_core::api::crds()
        .iter()
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
    for (name, text) in crd_texts() {
        assert_current(&manifests().join("crds").join(name), &text);
    }
}

#[test]
fn install_yaml_is_the_crds_and_the_agent() {
    let agent = std::fs::read_to_string(manifests().join("agent.yaml")).unwrap();
    let mut parts: Vec<String> = crd_texts().into_iter().map(|(_, text)| text).collect();
    parts.push(agent);
    let text = format!(
        "# Everything that a cluster needs; generated from manifests/crds and manifests/agent.yaml by `make crds`.\n{}",
        parts.join("---\n")
    );
    assert_current(&manifests().join("install.yaml"), &text);
}
