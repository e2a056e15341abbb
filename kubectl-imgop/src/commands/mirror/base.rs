//! An earlier state of a file: another file, or what git has where a branch began.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::file::InputFile;
use crate::cli_error::CliError;

/// Why git did not answer.
#[derive(Debug, thiserror::Error)]
enum GitError {
    /// It does not start.
    #[error("git is needed for --base, and does not start: {0}")]
    NotStarted(std::io::Error),
    /// It failed.
    #[error("git {verb}: {said}")]
    Failed {
        /// What it was asked.
        verb: String,
        /// What it said, which may be nothing.
        said: String,
    },
    /// An answer that is no text.
    #[error("git answered with what is no UTF-8")]
    NoText(#[from] std::string::FromUtf8Error),
}

impl From<GitError> for CliError {
    fn from(error: GitError) -> Self {
        Self::failed(error.to_string())
    }
}

/// An earlier state of a file.
#[derive(Debug)]
pub struct Base {
    /// Its name in messages: that of the file, or `COMMIT:FILE`.
    pub name: String,
    /// What it says; empty where the file is new.
    pub text: String,
}

/// Reads an earlier state.
pub fn read(file: &InputFile, base: &str) -> Result<Base, CliError> {
    let path = Path::new(base);
    if path.is_file() {
        return InputFile::read(path).map(|file| Base { name: file.name(), text: file.text });
    }
    if file.is_stdin() {
        return Err(CliError::usage(
            "of the standard input the base is a file, and there is none of that name",
        ));
    }
    let (folder, name) = place(file.path())?;
    let git = |arguments: &[&str]| git(&folder, arguments);
    // What begins with a dash would be an option.
    let commit =
        git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{base}^{{commit}}")])
            .map_err(|_| {
                CliError::failed(format!("--base {base}: there is no file and no commit of that name"))
            })?;
    let merge_base = git(&["merge-base", commit.trim(), "HEAD"]).map_err(|error| no_common(base, error))?;
    let merge_base = merge_base.trim();
    // Nothing where the file is new, and an error where git cannot tell.
    let is_there = !git(&["ls-tree", merge_base, "--", &name])?.is_empty();
    let text = if is_there { git(&["show", &format!("{merge_base}:./{name}")])? } else { String::new() };
    Ok(Base { name: format!("{base}:{}", file.name()), text })
}

/// Says why git finds no commit in common, of which it says nothing itself.
fn no_common(base: &str, error: GitError) -> CliError {
    match error {
        GitError::Failed { said, .. } if said.is_empty() => CliError::failed(format!(
            "--base {base}: it has no commit in common with HEAD here"
        ))
        .hinted("fetch the whole history: git fetch --unshallow, or fetch-depth: 0 of actions/checkout"),
        other => other.into(),
    }
}

fn place(path: &Path) -> Result<(PathBuf, String), CliError> {
    let unreadable = |why: String| CliError::failed(format!("cannot read {}: {why}", path.display()));
    let whole = path.canonicalize().map_err(|error| unreadable(error.to_string()))?;
    match (whole.parent(), whole.file_name().and_then(OsStr::to_str)) {
        (Some(folder), Some(name)) => Ok((folder.to_owned(), name.to_owned())),
        _ => Err(unreadable("its name is no text".to_owned())),
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let mut git = Command::new("git");
    let output = git.arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(GitError::NotStarted)?;
    if !output.status.success() {
        let (verb, said) = (arguments[0].to_owned(), String::from_utf8(output.stderr)?);
        return Err(GitError::Failed { verb, said: said.trim().to_owned() });
    }
    Ok(String::from_utf8(output.stdout)?)
}
