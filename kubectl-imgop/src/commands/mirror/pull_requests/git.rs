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

    /// Adds a working tree of its own at a commit, on no branch.
    pub async fn worktree(&self, folder: &Path, commit: &str) -> Result<Self, CliError> {
        let add = ["worktree", "add", "--quiet", "--force", "--detach", "--"].map(OsStr::new);
        self.run(add.into_iter().chain([folder.as_os_str(), OsStr::new(commit)])).await?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Removes a working tree that was added. It waits: what is interrupted cannot be asked again.
    pub fn remove_worktree(&self, folder: &Path) -> Result<(), CliError> {
        let mut git = std::process::Command::new("git");
        // Twice: also one that git was still making.
        git.args(["worktree", "remove", "--force", "--force", "--"]).arg(folder);
        git.current_dir(&self.folder).env("LC_ALL", "C").stdin(Stdio::null());
        let output = git.output().map_err(|error| not_started("worktree", &error))?;
        answered("worktree", output).map(drop)
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

    /// Goes to a commit, on no branch, so that no branch of the user moves. What was not committed is dropped.
    pub async fn begin(&self, commit: &str) -> Result<(), CliError> {
        self.run(["switch", "--quiet", "--detach", "--discard-changes", commit]).await.map(drop)
    }

    /// Commits these files.
    pub async fn commit(&self, message: &str, files: &[&Path]) -> Result<(), CliError> {
        let commit = ["commit", "--quiet", "--message", message, "--"].map(OsStr::new);
        self.run(commit.into_iter().chain(files.iter().map(|file| file.as_os_str()))).await.map(drop)
    }

    /// Pushes what is committed here to a branch. One that is left there from before, without a pull request, is replaced if all
    /// its commits make the same changes.
    pub async fn push(&self, remote: &str, branch: &str) -> Result<(), CliError> {
        let branch_ref = format!("refs/heads/{branch}");
        let left = self.text(["ls-remote", "--refs", "--", remote, &branch_ref]).await?;
        let left =
            left.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == branch_ref);
        let left = left.map_or("", |(commit, _)| commit);
        if !left.is_empty() {
            self.require_no_others(remote, branch).await?;
        }
        // Only if it is still what was looked at.
        let lease = format!("--force-with-lease={branch_ref}:{left}");
        let refs = format!("HEAD:{branch_ref}");
        self.run(["push", "--quiet", &lease, "--", remote, &refs]).await.map(drop)
    }

    /// Fails where a branch at a remote has a commit of which this working tree has none with the same changes.
    async fn require_no_others(&self, remote: &str, branch: &str) -> Result<(), CliError> {
        let there = self.fetch(remote, branch).await?;
        let between = format!("HEAD...{there}");
        let theirs = self.text(["rev-list", "--cherry-pick", "--right-only", &between]).await?;
        if theirs.is_empty() {
            return Ok(());
        }
        let problem = format!(
            "the branch {branch} at {remote} has commits that were not made here, and is left as it is"
        );
        Err(CliError::failed(problem)
            .hinted("make a pull request of it by hand, or delete it there and run this again"))
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
        answered(&verb, output.map_err(|error| not_started(&verb, &error))?)
    }
}

fn not_started(verb: &str, error: &std::io::Error) -> CliError {
    match error.kind() {
        std::io::ErrorKind::NotFound => CliError::failed("git is not installed, and pull requests need it"),
        _ => CliError::failed(format!("git {verb}: {error}")),
    }
}

/// Returns what git answered, if it did what it was asked for.
fn answered(verb: &str, output: Output) -> Result<Output, CliError> {
    if output.status.success() {
        return Ok(output);
    }
    // Some of its verbs say on stdout why they do nothing.
    let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    let said = String::from_utf8_lossy(said);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // Without the userinfo of addresses.
    let said = imgop_registry::printable(&said.join("; "));
    Err(CliError::failed(format!("git {verb}: {said}")))
}
