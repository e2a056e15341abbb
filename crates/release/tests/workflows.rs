//! What GitHub runs, as far as it can be read.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use imgop_release::target::{Os, TARGETS};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn workflow(name: &str) -> Value {
    serde_saphyr::from_str(&text(&format!(".github/workflows/{name}"))).unwrap()
}

#[test]
fn every_action_is_one_commit_and_says_its_version() {
    for name in ["ci.yml", "release.yml"] {
        let text = text(&format!(".github/workflows/{name}"));
        let actions: Vec<&str> =
            text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, a)| a).collect();
        assert!(!actions.is_empty(), "{name}");
        for action in actions {
            let (action, version) = action.split_once(" # v").unwrap_or((action, ""));
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{name}: {action}");
            assert!(!version.is_empty(), "{name}: {action}");
        }
    }
}

#[test]
fn a_mac_builds_what_only_a_mac_can_and_make_release_the_rest() {
    let built = &workflow("release.yml")["jobs"]["macos"]["strategy"]["matrix"]["target"];
    let (mac, others): (Vec<_>, Vec<_>) = TARGETS.into_iter().partition(|target| target.os == Os::Darwin);
    let triples = |targets: Vec<imgop_release::target::Target>| -> Vec<&str> {
        targets.into_iter().map(|target| target.triple).collect()
    };
    assert_eq!(*built, Value::from(triples(mac)));
    let makefile = text("Makefile");
    let line = makefile.lines().find_map(|line| line.strip_prefix("RELEASE_TARGETS ?= ")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), triples(others));
}

#[test]
fn no_workflow_may_write_by_default() {
    for name in ["ci.yml", "release.yml"] {
        assert_eq!(workflow(name)["permissions"], serde_json::json!({ "contents": "read" }), "{name}");
    }
}

/// Workflows for users, as documents.
const EXAMPLES: [&str; 2] = ["mirror-check.yml", "mirror-update.yml"];

#[test]
fn examples_of_workflows_may_not_write_by_default_and_pin_what_they_run() {
    for name in EXAMPLES {
        let text = text(&format!("docs/workflows/{name}"));
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{name}");
        assert!(workflow["jobs"].as_object().is_some_and(|jobs| !jobs.is_empty()), "{name}");
        for (_, action) in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            assert!(commit.len() > 40 && commit[40..].starts_with(" # v"), "{name}: {action}");
        }
    }
    let all = std::fs::read_dir(repository().join("docs/workflows")).unwrap().count();
    assert_eq!(all, EXAMPLES.len());
}
