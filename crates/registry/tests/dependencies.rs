//! What this crate may not depend on: a registry client knows no Kubernetes.

use std::process::Command;

#[test]
fn the_registry_client_depends_on_neither_kube_nor_its_types() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "imgop-registry", "--all-features", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{lib}", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let libraries = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    assert!(libraries.lines().any(|library| library == "reqwest"), "{libraries}");
    let is_kubernetes = |library: &&str| library.starts_with("kube") || library.starts_with("k8s_openapi");
    assert_eq!(libraries.lines().find(is_kubernetes), None);
}
