//! `manifests/crds` is generated from the Rust types; this test is also the generator.

use std::path::PathBuf;

#[test]
fn the_generated_crds_are_current() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
    for crd in imgop_core::api::crds() {
        let path = directory.join(format!("{}.yaml", crd.metadata.name.as_deref().unwrap()));
        let text = format!(
            "# Generated from core/src/api by `make crds`; do not edit.\n{}",
            serde_saphyr::to_string(&crd).unwrap()
        );
        if std::env::var_os("IMGOP_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(on_disk == text, "{} is out of date; run `make crds`", path.display());
    }
}
