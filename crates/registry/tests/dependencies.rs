//! The registry client knows no Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

/// Returns the names of all packages that this crate needs, with all its features.
fn needed() -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = "tree --offline --edges normal,build --prefix none --format {p} --all-features --package";
    let output = Command::new(cargo)
        .args(arguments.split(' ').chain([env!("CARGO_PKG_NAME")]))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

#[test]
fn neither_kubernetes_nor_a_crate_above_is_needed() {
    let needed = needed();
    assert!(needed.iter().any(|name| name == "reqwest"), "{needed:?}");
    let is_wrong = |name: &&String| {
        name.starts_with("kube")
            || ["k8s-openapi", "schemars"].contains(&name.as_str())
            || name.starts_with("imgop-") && *name != env!("CARGO_PKG_NAME")
    };
    assert_eq!(needed.iter().filter(is_wrong).collect::<Vec<_>>(), Vec::<&String>::new());
}
