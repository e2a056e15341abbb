//! What comes with the programs: checksums, and what the programs are made of.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{VERSION, given, manifest, released, run};

#[test]
fn the_checksums_are_those_of_all_other_files() {
    let folder = given("IMGOP_RELEASE");
    let output =
        Command::new("sha256sum").args(["--check", "--strict", "sha256sums"]).current_dir(&folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sums = std::fs::read_to_string(released("sha256sums")).unwrap();
    let named: BTreeSet<_> = sums.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    let files: BTreeSet<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("sha256sums"))
        .collect();
    assert_eq!(named, files);
    for platform in manifest().spec.platforms {
        let line = format!("{}  {}", platform.sha256, platform.uri.rsplit('/').next().unwrap());
        assert!(sums.contains(&line), "{line}");
    }
}

#[test]
fn a_bill_of_materials_names_every_crate_of_its_program_with_version_and_licence() {
    for (program, crates) in [
        ("kubectl-imgop", ["kube", "rustls", "ring", "comfy-table"]),
        ("imgop-agent", ["kube", "rustls", "ring", "tikv-jemallocator"]),
        ("imgop-step", ["imgop-registry", "rustls", "ring", "tar"]),
    ] {
        let text = std::fs::read_to_string(released(&format!("{program}-v{VERSION}.cdx.json"))).unwrap();
        let bom: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bom["bomFormat"], "CycloneDX");
        assert_eq!(bom["metadata"]["component"]["name"], program);
        assert_eq!(bom["metadata"]["component"]["version"], VERSION);
        let components = bom["components"].as_array().unwrap();
        for name in crates {
            let component = components.iter().find(|component| component["name"] == name);
            let component = component.unwrap_or_else(|| panic!("{program}: {name}"));
            assert!(component["version"].is_string(), "{program}: {component}");
            assert!(component["licenses"].is_array(), "{program}: {component}");
        }
        assert!(!text.contains("/root/") && !text.contains("/home/"), "{program}: a path of the machine");
    }
}

#[test]
fn a_bill_of_materials_that_is_made_again_is_the_same() {
    let again = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sbom");
    run(script, &[VERSION.as_ref(), again.path().as_os_str()]);
    for program in ["kubectl-imgop", "imgop-agent", "imgop-step"] {
        let name = format!("{program}-v{VERSION}.cdx.json");
        run("cmp", &[released(&name).as_os_str(), again.path().join(&name).as_os_str()]);
    }
}
