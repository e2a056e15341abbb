//! Readers find what pages promise them: links lead somewhere, and every page can be found.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use imgop_documents::{Page, root};

/// How long the first page may be: what one reads before one decides.
const LONGEST_README: usize = 200;
/// How pages say that tags stay. Where `destination.prune` says so, they do not.
const PROMISES: [&str; 5] =
    ["deletes no tag", "no tag in any registry", "deletes nothing in", "is ever deleted", "never deleted"];

/// Returns a path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, component| {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
        plain
    })
}

/// Returns where a link within the project leads, with its anchor; none for links to elsewhere.
fn target(page: &Page, link: &str) -> Option<(PathBuf, Option<String>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    let path = match path {
        "" => page.path.clone(),
        path => plain(&page.path.parent().unwrap_or(Path::new("")).join(path)),
    };
    Some((path, anchor))
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let pages = Page::all();
    let mut broken = Vec::new();
    for page in &pages {
        for link in page.links() {
            let Some((path, anchor)) = target(page, &link) else { continue };
            let is_anchor = |anchor: &String| {
                let to = pages.iter().find(|page| page.path == path);
                to.is_some_and(|page| page.anchors().contains(anchor))
            };
            if !root().join(&path).exists() || !anchor.as_ref().is_none_or(is_anchor) {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_can_be_reached_from_the_index_of_the_documentation() {
    let pages = Page::all();
    let mut reached = BTreeSet::new();
    let mut next = vec![PathBuf::from("docs/README.md")];
    while let Some(path) = next.pop() {
        // A link to a folder shows the pages in it.
        let shown = pages.iter().filter(|page| page.path == path || page.path.parent() == Some(&path));
        for page in shown.filter(|page| reached.insert(page.path.clone())) {
            next.extend(page.links().iter().filter_map(|link| Some(target(page, link)?.0)));
        }
    }
    let unreached: Vec<String> = pages
        .iter()
        .filter(|page| !reached.contains(&page.path))
        .map(|page| page.path.display().to_string())
        .collect();
    assert!(unreached.is_empty(), "no link leads to {}", unreached.join(", "));
}

#[test]
fn who_promises_that_no_tag_is_deleted_names_the_exception() {
    let mut promised = Vec::new();
    for page in Page::all() {
        let paragraphs =
            page.text.split("\n\n").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        let broken = paragraphs.filter(|text| {
            let text = text.to_lowercase();
            PROMISES.iter().any(|promise| text.contains(promise)) && !text.contains("prune")
        });
        promised.extend(broken.map(|text| format!("{}: {text}", page.path.display())));
    }
    assert!(promised.is_empty(), "{}", promised.join("\n"));
}

#[test]
fn the_first_page_begins_with_two_commands_and_is_short() {
    let readme = Page::read("README.md");
    let lines = readme.text.lines().count();
    assert!(lines < LONGEST_README, "{lines} lines");
    let first = readme.blocks().remove(0);
    assert!(first.line <= 3 && first.text.starts_with("make demo "), "{first:?}");
    assert!(first.text.lines().nth(1).is_some_and(|line| line.starts_with("make test ")), "{first:?}");
}
