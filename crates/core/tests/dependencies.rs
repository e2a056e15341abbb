//! What all programs agree on needs no cluster and no terminal.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

/// Returns the names of all packages that this crate needs.
fn needed() -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = "tree --offline --edges normal,build --prefix none --format {p} --package";
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
fn neither_a_kubernetes_client_nor_a_terminal_nor_a_crate_above_is_needed() {
    let needed = needed();
    assert!(needed.iter().any(|name| name == "imgop-registry"), "{needed:?}");
    let is_wrong = |name: &&String| {
        let name = name.as_str();
        let terminal = ["clap", "comfy-table", "anstream", "dialoguer", "console", "crossterm"];
        ["kube-client", "kube-runtime"].contains(&name)
            || terminal.contains(&name)
            || name.starts_with("imgop-") && !["imgop-core", "imgop-registry"].contains(&name)
    };
    assert_eq!(needed.iter().filter(is_wrong).collect::<Vec<_>>(), Vec::<&String>::new());
}
