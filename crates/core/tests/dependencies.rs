//! What this crate may not depend on: no Kubernetes client and no terminal.

use std::process::Command;

/// A Kubernetes client and its connections; `kube-core`, which has types only, is allowed.
const CLIENTS: [&str; 2] = ["kube_client", "kube_runtime"];
/// Tables, prompts and the width of a terminal (clap's `wrap_help`).
const TERMINALS: [&str; 4] = ["comfy_table", "dialoguer", "console", "terminal_size"];

#[test]
fn core_depends_on_neither_a_kubernetes_client_nor_a_terminal() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "imgop-core", "--all-features", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{lib}", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let libraries = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    assert!(libraries.lines().any(|library| library == "kube_core"), "{libraries}");
    let is_forbidden = |library: &&str| CLIENTS.contains(library) || TERMINALS.contains(library);
    assert_eq!(libraries.lines().find(is_forbidden), None);
}
