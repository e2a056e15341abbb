//! What the lower crates may not depend on.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

/// A Kubernetes client and its connections; `kube-core`, which has types only, is allowed.
const CLIENTS: [&str; 2] = ["kube_client", "kube_runtime"];
/// Tables, prompts and the width of a terminal (clap's `wrap_help`).
const TERMINALS: [&str; 4] = ["comfy_table", "dialoguer", "console", "terminal_size"];

#[test]
fn core_depends_on_neither_a_kubernetes_client_nor_a_terminal() {
    let libraries = libraries_of("imgop-core");
    assert!(libraries.lines().any(|library| library == "kube_core"), "{libraries}");
    let is_forbidden = |library: &&str| CLIENTS.contains(library) || TERMINALS.contains(library);
    assert_eq!(libraries.lines().find(is_forbidden), None);
}

#[test]
fn the_registry_client_depends_on_neither_kube_nor_its_types() {
    let libraries = libraries_of("imgop-registry");
    assert!(libraries.lines().any(|library| library == "reqwest"), "{libraries}");
    let is_kubernetes = |library: &&str| library.starts_with("kube") || library.starts_with("k8s_openapi");
    assert_eq!(libraries.lines().find(is_kubernetes), None);
}

#[test]
fn the_copier_depends_on_the_registry_client_and_on_nothing_above_it() {
    let libraries = libraries_of("imgop-copier");
    assert!(libraries.lines().any(|library| library == "imgop_registry"), "{libraries}");
    let is_above = |library: &&str| {
        let is_kubernetes = library.starts_with("kube") || library.starts_with("k8s_openapi");
        is_kubernetes || *library == "imgop_core" || TERMINALS.contains(library)
    };
    assert_eq!(libraries.lines().find(is_above), None);
    assert!(!libraries_of("imgop-registry").contains("imgop_copier"));
}

#[test]
fn what_runs_in_the_pods_of_builds_depends_on_neither_a_kubernetes_client_nor_a_terminal() {
    let libraries = libraries_of("imgop-step");
    let is_forbidden = |library: &&str| CLIENTS.contains(library) || TERMINALS.contains(library);
    assert_eq!(libraries.lines().find(is_forbidden), None);
}

/// Returns the names of all libraries that a crate is linked with, a line each.
fn libraries_of(package: &str) -> String {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--all-features", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{lib}", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).unwrap()
}
