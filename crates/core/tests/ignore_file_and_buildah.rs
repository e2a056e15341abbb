//! The rules of ignore files beside what Buildah itself keeps. It needs Buildah and root, so it is asked for:
//! `make test-builds`.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; clippy knows only functions with #[test]"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use imgop_core::build::IgnoreFile;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const FILES: [&str; 9] =
    ["a", "b", "x.txt", "dir/a", "dir/x.txt", "dir/sub/a", "dir/sub/b", "other/dir/a", "other/x.txt"];

/// A context, and where Buildah keeps what it needs.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ignore-file");
        let _ = fs::remove_dir_all(&place);
        for file in FILES {
            let path = place.join("context").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        fs::write(place.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
        Self(place)
    }

    /// Returns the files that Buildah copies.
    fn kept_by_buildah(&self, rules: &str) -> BTreeSet<String> {
        let path = |name: &str| self.0.join(name).into_os_string();
        fs::write(self.0.join("rules"), rules).unwrap();
        let _ = fs::remove_dir_all(self.0.join("out"));
        let mut output = std::ffi::OsString::from("type=local,dest=");
        output.push(path("out"));
        let ran = Command::new("buildah")
            .args([
                "--storage-driver".into(),
                "vfs".into(),
                "--root".into(),
                path("root"),
                "--runroot".into(),
                path("run"),
            ])
            .args([
                "build".into(),
                "--isolation".into(),
                "chroot".into(),
                "--ignorefile".into(),
                path("rules"),
            ])
            .args(["-f".into(), path("Dockerfile"), "--output".into(), output, path("context")])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        FILES.iter().filter(|file| self.0.join("out").join(file).exists()).map(ToString::to_string).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kept(rules: &str) -> BTreeSet<String> {
    let file = IgnoreFile::parse(rules).unwrap();
    FILES.iter().filter(|path| !file.ignores(path)).map(ToString::to_string).collect()
}

#[test]
#[ignore = "needs Buildah, and root"]
fn what_is_kept_is_what_buildah_keeps() {
    let place = Place::new();
    let part = prop_oneof![
        Just("a"),
        Just("b"),
        Just("dir"),
        Just("sub"),
        Just("*"),
        Just("**"),
        Just("?"),
        Just("*.txt"),
        Just("[a-b]"),
        Just("d*"),
        Just("x.txt"),
        Just("."),
    ];
    let pattern = (any::<bool>(), proptest::collection::vec(part, 1..4))
        .prop_map(|(keeps, parts)| format!("{}{}", if keeps { "!" } else { "" }, parts.join("/")));
    let lines = proptest::collection::vec(pattern, 1..4);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&lines, |lines| {
            let rules = lines.join("\n") + "\n";
            prop_assert_eq!(kept(&rules), place.kept_by_buildah(&rules), "rules:\n{}", rules);
            Ok(())
        })
        .unwrap();
}
