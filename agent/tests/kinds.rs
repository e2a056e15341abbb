//! What serves all kinds names none.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders that serve any kind.
const SHARED: [&str; 7] =
    ["agent.rs", "controller.rs", "controller", "schedule.rs", "cluster", "jobs", "registry_access"];

/// Returns all source files below a path.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flat_map(|entry| sources(&entry.unwrap().path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// Returns whether a line of code names a kind, or the folder of one.
fn names_a_kind(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = code.split(|c| !is_part_of_a_name(c)).collect();
    let kinds = ["Image", "Images", "ImageSpec", "ImageStatus"];
    words.iter().any(|word| kinds.contains(word)) || code.contains("crate::image")
}

#[test]
fn the_shared_parts_of_the_agent_name_no_kind() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Vec<PathBuf> = SHARED.iter().flat_map(|part| sources(&folder.join(part))).collect();
    assert!(files.len() > 20, "{files:?}");
    let mut found = Vec::new();
    for file in files {
        let is_test = file.ends_with("tests.rs") || file.ends_with("fixtures.rs");
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().enumerate().filter(|(_, line)| !is_test && names_a_kind(line));
        found.extend(lines.map(|(n, line)| format!("{}:{}: {line}", file.display(), n + 1)));
    }
    assert_eq!(found, Vec::<String>::new());
}
