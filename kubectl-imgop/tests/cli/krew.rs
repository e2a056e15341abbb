//! The krew manifest fits the program.

use serde_json::Value;

fn manifest() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../krew/imgop.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn krew_finds_the_plugin_under_its_name_and_version() {
    let manifest = manifest();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"imgop".into()));
    assert_eq!(manifest["spec"]["version"], concat!("v", env!("CARGO_PKG_VERSION")));
}

#[test]
fn descriptions_are_as_long_as_krew_takes_them() {
    let spec = &manifest()["spec"];
    assert!(text(&spec["shortDescription"]).len() <= 50);
    for line in text(&spec["description"]).lines().chain(text(&spec["caveats"]).lines()) {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn every_platform_has_the_archive_that_the_release_makes() {
    let manifest = manifest();
    let mut platforms: Vec<String> = Vec::new();
    for platform in manifest["spec"]["platforms"].as_array().unwrap() {
        let labels = &platform["selector"]["matchLabels"];
        let name = format!("{}-{}", text(&labels["os"]), text(&labels["arch"]));
        let (archive, bin) = if name.starts_with("windows") {
            ("zip", "kubectl-imgop.exe")
        } else {
            ("tar.gz", "kubectl-imgop")
        };
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        let asset = format!("/releases/download/{version}/kubectl-imgop-{version}-{name}.{archive}");
        assert!(text(&platform["uri"]).ends_with(&asset), "{}", platform["uri"]);
        assert_eq!(platform["bin"], bin);
        let files: Vec<&str> =
            platform["files"].as_array().unwrap().iter().map(|file| text(&file["from"])).collect();
        assert_eq!(files, [bin, "LICENSE"]);
        let sum = text(&platform["sha256"]);
        assert!(sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()), "{sum}");
        platforms.push(name);
    }
    assert_eq!(platforms, ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64"]);
}
