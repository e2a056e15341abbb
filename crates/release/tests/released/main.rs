//! What `make release` made, used as people use it. `make test-release` starts these with what they need.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod documents;
mod images;
mod installed;
mod programs;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use imgop_release::manifest::Manifest;
use imgop_release::pack::MANIFEST;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A path that `crates/release/test` gives.
fn given(name: &str) -> PathBuf {
    std::env::var_os(name).map_or_else(|| panic!("{name} is not set: use make test-release"), PathBuf::from)
}

/// A file of the release.
fn released(name: &str) -> PathBuf {
    given("IMGOP_RELEASE").join(name)
}

fn manifest() -> Manifest {
    serde_saphyr::from_str(&std::fs::read_to_string(released(MANIFEST)).unwrap()).unwrap()
}

/// Runs a program that must succeed. Returns what it printed.
fn run(program: impl AsRef<OsStr>, args: &[&OsStr]) -> String {
    let output = Command::new(&program).args(args).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {printed}{complained}", program.as_ref().display());
    printed
}
