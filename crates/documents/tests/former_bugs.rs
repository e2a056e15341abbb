//! `docs/migrate/bugs-of-former-tools.md` explains each identifier in the names of tests, and names tests that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use imgop_documents::{Page, root};

const PAGE: &str = "docs/migrate/bugs-of-former-tools.md";
/// Where tests are.
const FOLDERS: [&str; 4] = ["agent", "crates", "kubectl-imgop", "tests"];

/// Returns the identifiers that a name begins with, such as B6 and B18 of `b6_b18_tags_do_not_collide`.
fn identifiers(name: &str) -> BTreeSet<String> {
    let is_identifier = |part: &&str| {
        let digits = part.strip_prefix(['b', 'c']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts = name.split('_').filter(|part| *part != "and");
    parts.take_while(is_identifier).map(str::to_uppercase).collect()
}

/// Returns the names of the functions in a text.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let end = |name: &str| name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    text.split("fn ").skip(1).filter_map(move |behind| behind.get(..end(behind)))
}

/// Returns the sources in a folder and those within it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.flatten().map(|entry| entry.path()).partition(|path| path.is_dir());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs");
    let within = folders.iter().filter(|path| !path.ends_with("target")).flat_map(|path| sources(path));
    files.into_iter().filter(is_source).chain(within).collect()
}

/// Returns the rows of bugs: of each its identifier, and the tests that it names.
fn bugs() -> Vec<(String, Vec<String>)> {
    let rows = Page::read(PAGE).rows().into_iter();
    rows.map(|row| (row[0].clone(), row[3].split(", ").map(str::to_owned).collect())).collect()
}

#[test]
fn every_identifier_is_explained_once_and_in_order() {
    let expected = (1..=20).map(|n| format!("B{n}")).chain((1..=7).map(|n| format!("C{n}")));
    let explained: Vec<String> = bugs().into_iter().map(|(identifier, _)| identifier).collect();
    assert_eq!(explained, expected.collect::<Vec<_>>());
}

#[test]
fn every_test_that_the_page_names_has_the_identifier_and_is_where_the_link_leads() {
    let folder = root().join(PAGE).parent().map(Path::to_owned).unwrap_or_default();
    let page = Page::read(PAGE);
    for (identifier, tests) in bugs() {
        assert!(!tests.is_empty(), "{identifier}");
        for test in tests {
            assert!(identifiers(&test).contains(&identifier), "{identifier}: {test}");
            let (_, behind) = page.text.split_once(&format!("[`{test}`](")).unwrap_or_default();
            let file = folder.join(behind.split(')').next().unwrap_or_default());
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(functions(&text).any(|name| name == test), "{test} is not in {}", file.display());
        }
    }
}

#[test]
fn no_test_is_named_by_an_identifier_that_the_page_does_not_explain() {
    let explained: BTreeSet<String> = bugs().into_iter().map(|(identifier, _)| identifier).collect();
    let files: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| sources(&root().join(folder))).collect();
    let mut named = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        named.extend(functions(&text).flat_map(identifiers));
    }
    // Each has a test, and each test an explanation.
    assert_eq!(named, explained);
}
