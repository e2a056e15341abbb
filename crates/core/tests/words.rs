//! Words that no message has, as users know those of kubectl, Flux and Skopeo; and words that say what is done.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

/// What was once said in words of imgop's own. They are no part of sources or snapshots either.
const OUR_OWN: [&str; 4] = [" mended", "that is meant", "nobody can be asked", " / only "];

/// Where users read what `*` selects.
const EXPLANATIONS: [&str; 10] = [
    "docs/cookbook.md",
    "docs/versions.md",
    "manifests/crds/images.skopeo.io.yaml",
    "crates/core/src/api/image/mod.rs",
    "crates/core/src/api/image/rules.rs",
    "crates/core/src/selection/version.rs",
    "kubectl-imgop/src/args/image.rs",
    "kubectl-imgop/tests/cli/snapshots/cli__help__help-copy.snap",
    "kubectl-imgop/tests/cli/snapshots/cli__help__help-preview.snap",
    "kubectl-imgop/tests/cli/snapshots/cli__help__help-verify.snap",
];

/// Where messages stand: in the sources of programs, and as their tests have seen them.
const FOLDERS: [&str; 7] = [
    "agent/src",
    "kubectl-imgop/src",
    "kubectl-imgop/tests",
    "crates/core/src",
    "crates/registry/src",
    "crates/step/src",
    "crates/terminal/src",
];

#[test]
fn no_message_has_a_word_of_our_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| texts_in(&root.join(folder))).collect();
    assert!(files.len() > 300, "{}", files.len());
    for file in files {
        let text = text_of(&file);
        let found = OUR_OWN.iter().find(|words| text.contains(**words));
        assert_eq!(found, None, "{}", file.display());
    }
}

#[test]
fn whatever_explains_every_tag_says_that_it_is_without_pre_releases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in EXPLANATIONS {
        let text = text_of(&root.join(file)).replace(['"', '`'], "").replace("/// ", "");
        assert!(text.contains("every tag but pre-releases"), "{file}");
        let mut explained = text.split("* for every tag").skip(1);
        assert!(explained.all(|behind| behind.starts_with(" but pre-releases")), "{file}");
    }
}

/// Returns the text of a file in one line: a message may go on in the next one.
fn text_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the sources and snapshots in a folder and those within it.
fn texts_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs" || end == "snap");
    let within = folders.iter().flat_map(|folder| texts_in(folder));
    files.into_iter().filter(is_text).chain(within).collect()
}
