//! The images: one index each, for both architectures, the same whenever it is built.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::{VERSION, given, released, run};

const IMAGES: [&str; 2] = ["agent", "builder"];

fn archive(image: &str) -> String {
    format!("imgop-{image}-v{VERSION}.oci.tar")
}

/// The digests in an images.txt, by the image's name.
fn digests(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("images.txt")).unwrap();
    text.lines()
        .map(|line| line.split_once('@').unwrap())
        .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
        .collect()
}

fn skopeo(command: &[&str], archive: &Path) -> String {
    let source = format!("oci-archive:{}", archive.display());
    let args: Vec<_> = command.iter().copied().chain([source.as_str()]).map(AsRef::as_ref).collect();
    run("skopeo", &args)
}

#[test]
fn each_image_is_an_index_of_both_architectures_under_its_digest() {
    let digests = digests(&given("IMGOP_RELEASE"));
    for image in IMAGES {
        let path = released(&archive(image));
        let index: Value = serde_json::from_str(&skopeo(&["inspect", "--raw"], &path)).unwrap();
        let manifests = index["manifests"].as_array().unwrap();
        let platforms: Vec<_> = manifests.iter().map(|entry| &entry["platform"]["architecture"]).collect();
        assert_eq!(platforms, ["amd64", "arm64"], "{image}");
        let digest = skopeo(&["inspect", "--format", "{{.Digest}}"], &path);
        assert_eq!(digest.trim(), digests[&format!("ghcr.io/imgop/{image}:{VERSION}")], "{image}");
        for architecture in ["amd64", "arm64"] {
            let config = skopeo(&["inspect", "--override-arch", architecture, "--config"], &path);
            let config: Value = serde_json::from_str(&config).unwrap();
            assert_eq!(config["architecture"], architecture, "{image}");
            assert_eq!(config["config"]["User"], "65532:65532", "{image}");
        }
    }
}

#[test]
fn images_that_are_built_again_are_the_same() {
    let again = TempDir::new().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("images");
    let output = std::process::Command::new(&script)
        .args([VERSION.as_ref(), given("IMGOP_PROGRAMS").as_os_str(), again.path().as_os_str()])
        // What was kept of the first time is in another folder.
        .env("IMGOP_CACHE", again.path().join("cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(digests(again.path()), digests(&given("IMGOP_RELEASE")));
    for image in IMAGES {
        let (first, second) = (released(&archive(image)), again.path().join(archive(image)));
        run("cmp", &[first.as_os_str(), second.as_os_str()]);
    }
}
