//! The Markdown pages of the project, for tests: links and anchors, manifests and commands in them, and pages that are
//! made from the code.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what panics here fails its test")]

mod commands;
mod page;

use std::path::{Path, PathBuf};

pub use page::{Block, Call, Page};

/// Returns the folder that the project is in.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Fails unless a file of the project has this text. With `IMGOP_UPDATE` it is written instead, which `make docs` does.
pub fn assert_current(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var_os("IMGOP_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let on_disk = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(on_disk == text, "{path} is out of date; run `make docs`");
}

/// Fails if a folder of pages that are made from code holds another page than these: what it was made from is gone.
pub fn assert_only(folder: &str, names: &[String]) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{folder}/{name} is of nothing that there is; delete it");
    }
}
