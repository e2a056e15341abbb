//! What serves all kinds names none.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders that serve any kind.
const SHARED: [&str; 13] = [
    "agent.rs",
    "controller",
    "schedule.rs",
    "cluster",
    "jobs",
    "registry_access",
    "metrics.rs",
    "metrics",
    "heartbeat.rs",
    "notifications",
    "leader_election",
    "turns",
    "web.rs",
];
/// Names in which an image is none of imgop's objects, or that users rely on.
const ALLOWED: [&str; 10] = [
    // Container images of pods.
    "image: String",
    "image: Some(image)",
    "image_pull_policy",
    "image_pull_secrets",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    // The resource in an administrator's role, and a setting.
    r#"resource: "images""#,
    "max_jobs_per_image",
];

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
    let code = line.split("//").next().unwrap_or_default().to_owned();
    let code = ALLOWED.iter().fold(code, |code, allowed| code.replace(allowed, ""));
    code.to_lowercase().contains("image")
}

#[test]
fn the_shared_parts_of_the_agent_name_no_kind() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Vec<PathBuf> = SHARED.iter().flat_map(|part| sources(&folder.join(part))).collect();
    assert!(files.len() > 20, "{files:?}");
    let mut found = Vec::new();
    for file in files {
        let is_test = ["tests.rs", "fixtures.rs", "testing.rs"].iter().any(|name| file.ends_with(name))
            || file.strip_prefix(&folder).unwrap().iter().any(|part| part == "tests");
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().enumerate().filter(|(_, line)| !is_test && names_a_kind(line));
        found.extend(lines.map(|(n, line)| format!("{}:{}: {line}", file.display(), n + 1)));
    }
    assert_eq!(found, Vec::<String>::new());
}
