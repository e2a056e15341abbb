//! An earlier state of a file: another file, or what git has where a branch began.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::file::InputFile;
use crate::cli_error::CliError;

/// Returns the text of an earlier state; empty where the file is new.
pub fn text(file: &InputFile, base: &str) -> Result<String, CliError> {
    let path = Path::new(base);
    if path.is_file() {
        return InputFile::read(path).map(|file| file.text);
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
    let merge_base = git(&["merge-base", commit.trim(), "HEAD"])?;
    let object = format!("{}:./{name}", merge_base.trim());
    if git(&["cat-file", "-e", &object]).is_err() {
        return Ok(String::new());
    }
    git(&["show", &object])
}

fn place(path: &Path) -> Result<(PathBuf, String), CliError> {
    let unreadable = |why: String| CliError::failed(format!("cannot read {}: {why}", path.display()));
    let whole = path.canonicalize().map_err(|error| unreadable(error.to_string()))?;
    match (whole.parent(), whole.file_name().and_then(OsStr::to_str)) {
        (Some(folder), Some(name)) => Ok((folder.to_owned(), name.to_owned())),
        _ => Err(unreadable("its name is no text".to_owned())),
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, CliError> {
    let output =
        Command::new("git").arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).output().map_err(
            |error| CliError::failed(format!("git is needed for --base, and does not start: {error}")),
        )?;
    let said = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| CliError::failed("git answered with what is no UTF-8"))
    };
    if !output.status.success() {
        let why = said(output.stderr)?;
        return Err(CliError::failed(format!("git {}: {}", arguments[0], why.trim())));
    }
    said(output.stdout)
}
