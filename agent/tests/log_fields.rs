//! The fields of the log have one name each, which `docs/monitoring.md` lists.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates whose lines the agent writes.
const SOURCES: [&str; 3] = ["agent/src", "crates/core/src", "crates/registry/src"];
/// What a line of the log is written with.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns all source files below a path.
fn sources(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Returns the arguments of a call, of which the text behind the bracket is given, up to its first text.
fn fields(call: &str) -> Vec<String> {
    let (mut depth, mut current, mut fields) = (0, String::new(), Vec::new());
    for character in call.chars() {
        match character {
            ')' if depth == 0 => break,
            '"' if depth == 0 && current.trim().is_empty() => break,
            ',' if depth == 0 => fields.push(std::mem::take(&mut current)),
            _ => {
                depth += i32::from("([{".contains(character)) - i32::from(")]}".contains(character));
                current.push(character);
            }
        }
    }
    let name = |field: &String| {
        let field = field.trim().trim_start_matches(['%', '?']);
        field.split([' ', '=', '.']).next().unwrap_or_default().to_owned()
    };
    fields.iter().map(name).collect()
}

/// Returns the fields of all lines, each with a file that has it.
fn used() -> BTreeMap<String, PathBuf> {
    let mut used = BTreeMap::new();
    for file in SOURCES.iter().flat_map(|folder| sources(&root().join(folder))) {
        let text = fs::read_to_string(&file).unwrap();
        for call in LEVELS.map(|level| format!("tracing::{level}!(")) {
            let calls = text.split(&call).skip(1).flat_map(fields);
            used.extend(calls.map(|field| (field, file.clone())));
        }
    }
    used
}

/// Returns the names in the first column of the table below a heading.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/monitoring.md")).unwrap();
    let section = text.split("\n## The log\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    section.lines().filter_map(cell).collect()
}

#[test]
fn the_fields_of_all_lines_are_those_of_the_documents() {
    let (used, documented) = (used(), documented());
    assert!(used.len() > 10, "{used:?}");
    let unknown: Vec<_> = used.iter().filter(|(field, _)| !documented.contains(*field)).collect();
    assert!(unknown.is_empty(), "docs/monitoring.md does not list {unknown:?}");
    let unused: Vec<_> = documented.iter().filter(|field| !used.contains_key(*field)).collect();
    assert!(unused.is_empty(), "no line has {unused:?}, which docs/monitoring.md lists");
}

#[test]
fn fields_of_a_call_are_read_as_they_are_written() {
    let call = "kind = %K::kind(&()), name, error = %f(a, \"b\"), ?others, \"message {x}\", y)";
    assert_eq!(fields(call), ["kind", "name", "error", "others"]);
}
