//! What git says, as reasons.

use std::path::Path;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::GitSource;
use imgop_core::text::last_bytes;
use imgop_registry::printable;

use crate::Failed;

/// Bytes of git's text that are shown.
const MAX_SHOWN: usize = 500;

/// Texts of git, curl and ssh, in lower case.
const UNAUTHORIZED: [&str; 9] = [
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "permission denied",
    "the requested url returned error: 401",
    "the requested url returned error: 403",
    "host key verification failed",
    "authentication required",
];
const ABSENT: [&str; 3] =
    ["the requested url returned error: 404", "repository not found", "not found: did you run git"];
const NO_REVISION: [&str; 4] =
    ["couldn't find remote ref", "not our ref", "unadvertised object", "did not contain"];

/// Returns what follows from a failed call of git.
pub fn failed(source: &GitSource, folder: &Path, what: &str, errors: &str) -> Failed {
    let errors = &errors.replace(&format!("{}/", folder.display()), "");
    let lower = errors.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let (reason, fix) = if lower.contains("no space left on device") {
        return Failed::out_of_disk(format!("git: {}", shown(errors)));
    } else if says(&UNAUTHORIZED) {
        (BuildFailure::SourceUnauthorized, "; give credentials that may read it in context.git.credentials")
    } else if says(&ABSENT) {
        // A server that hides what it has from strangers says the same.
        (
            BuildFailure::SourceUnauthorized,
            "; correct context.git.url, or give credentials in context.git.credentials",
        )
    } else if says(&NO_REVISION) {
        (BuildFailure::RevisionNotFound, "; correct context.git.revision")
    } else {
        (BuildFailure::SourceUnreachable, "")
    };
    let place = submodule(errors).map_or_else(|| source.url.clone(), |path| format!("the submodule {path}"));
    Failed::new(reason, format!("git cannot {what} of {place}: {}{fix}", shown(errors)))
}

/// Returns the path of the submodule that failed.
fn submodule(errors: &str) -> Option<&str> {
    let behind = errors.split("submodule path '").nth(1)?;
    behind.split('\'').next().filter(|path| !path.is_empty())
}

/// Returns the telling line: the first that names an error, else the last.
fn shown(errors: &str) -> String {
    let is_error = |line: &&str| {
        let line = line.to_lowercase();
        ["fatal:", "error:", "remote:", "batch response:"].iter().any(|start| line.starts_with(start))
    };
    let line =
        errors.lines().find(is_error).or_else(|| errors.lines().rev().find(|line| !line.trim().is_empty()));
    last_bytes(&printable(line.unwrap_or("it says nothing")), MAX_SHOWN).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> GitSource {
        GitSource {
            url: "https://git.example.com/a.git".into(),
            revision: None,
            commit: None,
            submodules: false,
            lfs: false,
            depth: 1,
        }
    }

    #[test]
    fn what_git_says_becomes_a_reason() {
        for (errors, reason) in [
            (
                "fatal: Authentication failed for 'https://git.example.com/a.git/'",
                BuildFailure::SourceUnauthorized,
            ),
            (
                "fatal: could not read Username for 'https://x': terminal prompts disabled",
                BuildFailure::SourceUnauthorized,
            ),
            (
                "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                BuildFailure::SourceUnauthorized,
            ),
            (
                "fatal: repository 'https://x/' not found\nThe requested URL returned error: 404",
                BuildFailure::SourceUnauthorized,
            ),
            ("fatal: couldn't find remote ref refs/heads/x", BuildFailure::RevisionNotFound),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 500",
                BuildFailure::SourceUnreachable,
            ),
            (
                "fatal: unable to access 'https://x/': Could not resolve host: x",
                BuildFailure::SourceUnreachable,
            ),
            ("fatal: the remote end hung up unexpectedly", BuildFailure::SourceUnreachable),
            ("fatal: write error: No space left on device", BuildFailure::OutOfDisk),
        ] {
            assert_eq!(
                failed(&source(), Path::new("/work/context"), "fetch", errors).reason,
                reason,
                "{errors}"
            );
        }
    }

    #[test]
    fn a_submodule_that_cannot_be_had_is_named_by_its_path() {
        let errors = "Cloning into '/work/context/lib/b'...\nfatal: Authentication failed for 'https://x/b.git/'\n\
                      fatal: clone of 'https://x/b.git' into submodule path '/work/context/lib/b' failed";
        let failed = failed(&source(), Path::new("/work/context"), "fetch the submodules", errors);
        assert_eq!(failed.reason, BuildFailure::SourceUnauthorized);
        assert!(failed.message.contains("submodule lib/b"), "{failed}");
    }
}
