//! Constraints as the Go library finds them that rancher's tool uses: `github.com/Masterminds/semver/v3`, compiled here.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use imgop_core::sources::{Constraint, read_version};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Pairs that are compared.
const PAIRS: usize = 8_000;

#[test]
#[ignore = "needs Go: make test-registries"]
fn constraints_match_what_the_go_library_finds_that_they_match() {
    let pairs = pairs();
    let found = found_by_the_library(&pairs);
    assert_eq!(found.len(), pairs.len());
    let mut verdicts = std::collections::BTreeMap::new();
    for ((constraint, version), theirs) in pairs.iter().zip(&found) {
        assert_eq!(ours(constraint, version), *theirs, "constraint {constraint:?}, version {version:?}");
        *verdicts.entry(theirs.as_str()).or_insert(0) += 1;
    }
    // Else nothing would be compared.
    for verdict in ["true", "false", "no constraint", "no version"] {
        assert!(verdicts.get(verdict).is_some_and(|number| *number > PAIRS / 100), "{verdicts:?}");
    }
}

fn ours(constraint: &str, version: &str) -> String {
    let Ok(constraint) = constraint.parse::<Constraint>() else { return "no constraint".to_owned() };
    let Some(version) = read_version(version) else { return "no version".to_owned() };
    constraint.matches(&version).to_string()
}

fn pairs() -> Vec<(String, String)> {
    let mut runner = TestRunner::deterministic();
    let pair = (constraint(), version());
    let mut next = || pair.new_tree(&mut runner).unwrap().current();
    (0..PAIRS).map(|_| next()).collect()
}

/// Small numbers, so that many versions are equal or beside each other.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[0-3]", 1 => "1[0-2]", 1 => "0[12]"]
}

fn prerelease() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 1 => "-(0|1|10|a|rc[.]?[12]|beta-1|01)", 1 => Just("-alpha.1".to_owned())]
}

fn version() -> impl Strategy<Value = String> {
    let build = prop_oneof![9 => Just(""), 1 => Just("+b1.2")];
    let full = ("v?", number(), number(), number(), prerelease(), build)
        .prop_map(|(v, a, b, c, pre, build)| format!("{v}{a}.{b}.{c}{pre}{build}"));
    let short = ("v?", number(), "([.][0-3])?").prop_map(|(v, a, b)| format!("{v}{a}{b}"));
    prop_oneof![16 => full, 3 => short, 1 => "[v0-2.+-]{1,6}"]
}

fn written() -> impl Strategy<Value = String> {
    let open = || prop_oneof![8 => number(), 1 => "[xX*]"];
    let two = (number(), open()).prop_map(|(a, b)| format!("{a}.{b}"));
    let three = ("v?", number(), open(), open(), prerelease());
    let three = three.prop_map(|(v, a, b, c, pre)| format!("{v}{a}.{b}.{c}{pre}"));
    prop_oneof![2 => open(), 3 => two, 8 => three]
}

fn comparator() -> impl Strategy<Value = String> {
    let operator = "(|=|!=|>|<|>=|=>|<=|=<|~|~>|\\^)";
    let one = (operator, " ?", written())
        .prop_map(|(operator, space, version)| format!("{operator}{space}{version}"));
    let range = (written(), written()).prop_map(|(low, high)| format!("{low} - {high}"));
    prop_oneof![10 => one, 2 => range, 1 => "[=><~^ ,.x0-2-]{0,5}"]
}

/// Alternatives are written with spaces around `||`: without one the library takes `1||2 - 3` for one range.
fn constraint() -> impl Strategy<Value = String> {
    let separator = "( |,|, | , |  )";
    let group =
        (comparator(), prop::collection::vec((separator, comparator()), 0..3)).prop_map(|(first, rest)| {
            rest.into_iter().fold(first, |text, (separator, next)| format!("{text}{separator}{next}"))
        });
    prop::collection::vec(group, 1..3).prop_map(|groups| groups.join(" || "))
}

fn found_by_the_library(pairs: &[(String, String)]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masterminds");
    let mut child = Command::new("go")
        .args(["run", "-mod=readonly", "."])
        .env("CGO_ENABLED", "0")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input: String =
        pairs.iter().flat_map(|(constraint, version)| [constraint.as_str(), "\t", version, "\n"]).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
