//! The user's git, as it is set up: its credential helpers, its signatures.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::cli_error::CliError;

/// A working tree of git.
#[derive(Debug)]
pub struct Git {
    folder: PathBuf,
}

impl Git {
    /// Returns the working tree that a file is in, if it is in one.
    pub async fn of_file(file: &Path) -> Option<Self> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let git = Self { folder: folder.unwrap_or(Path::new(".")).to_owned() };
        git.text(["rev-parse", "--is-inside-work-tree"]).await.ok().filter(|text| text == "true")?;
        Some(git)
    }

    /// Returns the folder of a working tree of its own with a commit.
    pub async fn worktree(&self, folder: &Path, commit: &str) -> Result<Self, CliError> {
        let add = ["worktree", "add", "--quiet", "--force", "--detach", "--"].map(OsStr::new);
        self.run(add.into_iter().chain([folder.as_os_str(), OsStr::new(commit)])).await?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Removes a working tree that was added.
    pub async fn remove_worktree(&self, folder: &Path) -> Result<(), CliError> {
        let remove = ["worktree", "remove", "--force", "--"].map(OsStr::new);
        self.run(remove.into_iter().chain([folder.as_os_str()])).await.map(drop)
    }

    /// Fails where something is changed and not committed.
    pub async fn require_clean(&self) -> Result<(), CliError> {
        let changed = self.text(["status", "--porcelain", "--untracked-files=no"]).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let error = CliError::failed("the working tree has changes that are not committed");
        Err(error.hinted("commit or stash them first; --diff only lists what is missing"))
    }

    /// Returns the commit that a branch of a remote is at, after fetching it.
    pub async fn fetch(&self, remote: &str, branch: &str) -> Result<String, CliError> {
        self.run(["fetch", "--quiet", "--", remote, &format!("refs/heads/{branch}")]).await?;
        self.text(["rev-parse", "--verify", "FETCH_HEAD"]).await
    }

    /// Returns the address of a remote.
    pub async fn address_of(&self, remote: &str) -> Result<String, CliError> {
        self.text(["remote", "get-url", "--", remote]).await
    }

    /// Returns the path of this folder from the top of the working tree, with a slash behind it unless it is the top.
    pub async fn prefix(&self) -> Result<String, CliError> {
        self.text(["rev-parse", "--show-prefix"]).await
    }

    /// Begins a branch at a commit; one that is left from before begins anew, also if a working tree that was interrupted
    /// still claims it.
    pub async fn begin(&self, branch: &str, commit: &str) -> Result<(), CliError> {
        self.run([
            "switch",
            "--quiet",
            "--no-track",
            "--ignore-other-worktrees",
            "--force-create",
            branch,
            commit,
        ])
        .await
        .map(drop)
    }

    /// Commits these files.
    pub async fn commit(&self, message: &str, files: &[&Path]) -> Result<(), CliError> {
        let commit = ["commit", "--quiet", "--message", message, "--"].map(OsStr::new);
        self.run(commit.into_iter().chain(files.iter().map(|file| file.as_os_str()))).await.map(drop)
    }

    /// Pushes a branch. One that is left there from before, without a pull request, is replaced.
    pub async fn push(&self, remote: &str, branch: &str) -> Result<(), CliError> {
        let refs = format!("+refs/heads/{branch}:refs/heads/{branch}");
        self.run(["push", "--quiet", "--", remote, &refs]).await.map(drop)
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    async fn text<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, CliError> {
        let output = self.run(arguments).await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    async fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Output, CliError> {
        let arguments: Vec<std::ffi::OsString> =
            arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let verb = arguments.first().map(|verb| verb.to_string_lossy().into_owned()).unwrap_or_default();
        let mut git = Command::new("git");
        // There is no terminal to ask on.
        git.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").current_dir(&self.folder);
        let output = git.args(&arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                CliError::failed("git is not installed, and pull requests need it")
            }
            _ => CliError::failed(format!("git {verb}: {error}")),
        })?;
        if output.status.success() {
            return Ok(output);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        // Without the userinfo of addresses.
        let said = imgop_registry::printable(&said.join("; "));
        Err(CliError::failed(format!("git {verb}: {said}")))
    }
}
