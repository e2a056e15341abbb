//! Pull requests that add tags to a file: commits in a working tree of its own, pushed, proposed.

mod decision;
pub mod git;
mod github;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use imgop_core::formats::TagFile;
use imgop_core::sources::{GithubRepository, Proposal, Reviewer};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use tempfile::TempDir;
use url::Url;

use crate::cli_error::CliError;
use crate::commands::mirror::file::InputFile;
use crate::interrupts::Uninterrupted;
use crate::output::Ui;
use decision::{Decision, decide, repository_of};
use git::Git;
use github::{Github, GithubError};

/// Flags for pull requests.
#[derive(Debug, Args)]
pub struct PullRequestArgs {
    /// Whether tags are proposed again whose pull request was closed without a merge
    #[arg(long, value_enum, default_value_t = Reopen::Never, ignore_case = true, value_name = "WHEN", requires = "pull_request")]
    reopen: Reopen,

    /// The repository of GitHub that pull requests are made for; by default that of git's remote
    #[arg(long, env = "GITHUB_REPOSITORY", value_name = "OWNER/NAME", help_heading = "GitHub")]
    repository: Option<GithubRepository>,

    /// The remote that branches are pushed to
    #[arg(long, default_value = "origin", value_name = "NAME", help_heading = "GitHub")]
    remote: String,

    /// GitHub's API
    #[arg(
        long,
        env = "GITHUB_API_URL",
        default_value = "https://api.github.com",
        value_name = "URL",
        help_heading = "GitHub"
    )]
    pub github_api: Url,
}

/// Whether tags are proposed again whose pull request was closed without a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reopen {
    /// No
    Never,
    /// Yes
    Closed,
}

/// A pull request that has the tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proposed {
    /// Its address.
    pub url: String,
    /// Whether it was made now.
    pub created: bool,
}

/// Where pull requests are made that change a file.
pub struct PullRequests<'a> {
    ui: Ui,
    args: &'a PullRequestArgs,
    github: Github,
    /// Where commits are made.
    tree: OwnTree,
    /// The commit that branches begin at.
    commit: String,
    base: String,
    /// The name of the file within that working tree.
    file: PathBuf,
    /// The file as the user names it.
    shown: String,
}

/// Returns the token that the environment has for GitHub.
pub fn github_token() -> Option<SecretString> {
    std::env::var("GITHUB_TOKEN").ok().filter(|token| !token.is_empty()).map(Into::into)
}

impl<'a> PullRequests<'a> {
    /// Makes a working tree with the newest commit of the branch that pull requests are for.
    pub async fn open(ui: Ui, args: &'a PullRequestArgs, file: &Path) -> Result<Self, CliError> {
        let no_tree = || CliError::usage("--pull-request: FILE is not in a working tree of git");
        // Of a link, what it stands for is changed.
        let whole = file.canonicalize().map_err(|_| no_tree())?;
        let git = Git::of_file(&whole).await.ok_or_else(no_tree)?;
        let name = whole.file_name().ok_or_else(no_tree)?;
        git.require_clean().await?;
        let github = github(args, &git).await?;
        let base = github.default_branch().await.map_err(failed)?;
        let commit = git.fetch(&args.remote, &base).await?;
        let file_in_tree = Path::new(&git.prefix().await?).join(name);
        let tree = OwnTree::open(git, &commit).await?;
        let shown = format!("{} of {base}", file.display());
        Ok(Self { ui, args, github, tree, commit, base, file: file_in_tree, shown })
    }

    /// Reads the file as it is on that branch.
    pub fn file(&self) -> Result<InputFile, CliError> {
        InputFile::read_as(&self.path(), self.shown.clone())
    }

    /// Makes a pull request, unless there is one. `prefix` stands before what is said of it.
    pub async fn propose(
        &self,
        prefix: &str,
        proposal: &Proposal,
        reviewers: &[Reviewer],
    ) -> Result<Proposed, CliError> {
        let pulls = self.github.pull_requests(&proposal.branch, &self.base).await.map_err(failed)?;
        let (pull, created, asks) = match decide(&pulls, self.args.reopen, !reviewers.is_empty()) {
            Decision::Leave(pull) => (pull.clone(), false, false),
            Decision::AskReviewers(pull) => (pull.clone(), false, true),
            Decision::Make => {
                // A branch without its pull request would be left there.
                let uninterrupted = Uninterrupted::begin();
                self.push(proposal).await?;
                let pull = self.github.create(proposal, &self.base).await.map_err(failed)?;
                drop(uninterrupted);
                (pull, true, !reviewers.is_empty())
            }
        };
        if !created {
            self.ui.note(&format!("{prefix}there is a pull request: {}", pull.html_url));
        }
        if asks {
            self.ask(prefix, pull.number, reviewers).await;
        }
        Ok(Proposed { url: pull.html_url, created })
    }

    /// Removes the working tree.
    pub fn close(self) -> Result<(), CliError> {
        self.tree.close()
    }

    /// Asks for reviews. That some cannot be asked does not make the pull request worthless.
    async fn ask(&self, prefix: &str, number: u64, reviewers: &[Reviewer]) {
        if let Err(error) = self.github.request_reviews(number, reviewers).await {
            let repository = self.github.repository();
            self.ui
                .warning(&format!("{prefix}the reviewers of {repository}#{number} were not asked: {error}"));
        }
    }

    async fn push(&self, proposal: &Proposal) -> Result<(), CliError> {
        let tree = &self.tree.tree;
        tree.begin(&self.commit).await?;
        for commit in &proposal.commits {
            let files = self.write(&commit.file)?;
            let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
            tree.commit(&commit.subject, &files).await?;
        }
        tree.push(&self.args.remote, &proposal.branch).await
    }

    /// Writes the file and what is generated of it. Returns both, as git names them.
    fn write(&self, file: &TagFile) -> Result<Vec<PathBuf>, CliError> {
        let mut written = vec![self.file.clone()];
        self.file()?.replace(&file.formatted())?;
        if write_regsync(&self.path(), file)? {
            written.push(self.file.with_file_name(REGSYNC));
        }
        Ok(written)
    }

    fn path(&self) -> PathBuf {
        self.tree.tree.folder().join(&self.file)
    }
}

/// What rancher's tool generates of its configuration, in the same folder.
const REGSYNC: &str = "regsync.yaml";

/// Writes `regsync.yaml` beside a file anew. Returns whether it is there and generated of such a file.
pub fn write_regsync(beside: &Path, file: &TagFile) -> Result<bool, CliError> {
    let path = beside.with_file_name(REGSYNC);
    match file.regsync().filter(|_| path.exists()) {
        Some(text) => InputFile::read(&path)?.replace(&text).map(|()| true),
        None => Ok(false),
    }
}

/// A working tree of its own, which is gone once this is dropped: also when the work is interrupted.
struct OwnTree {
    /// The working tree of the user, which stays as it is.
    git: Git,
    /// This one.
    tree: Git,
    is_removed: bool,
    _folder: TempDir,
}

impl OwnTree {
    /// Makes one at a commit.
    async fn open(git: Git, commit: &str) -> Result<Self, CliError> {
        let folder = tempfile::Builder::new().prefix("imgop-mirror-").tempdir();
        let folder = folder.map_err(|error| CliError::failed(format!("no temporary folder: {error}")))?;
        // git would keep one that it was still making.
        let uninterrupted = Uninterrupted::begin();
        let tree = git.worktree(&folder.path().join("tree"), commit).await?;
        let own = Self { git, tree, is_removed: false, _folder: folder };
        drop(uninterrupted);
        Ok(own)
    }

    fn close(mut self) -> Result<(), CliError> {
        self.is_removed = true;
        self.git.remove_worktree(self.tree.folder())
    }
}

impl Drop for OwnTree {
    fn drop(&mut self) {
        if !self.is_removed {
            // Nothing else can be done, and the program ends.
            let _ = self.git.remove_worktree(self.tree.folder());
        }
    }
}

async fn github(args: &PullRequestArgs, git: &Git) -> Result<Github, CliError> {
    let no_token = || CliError::usage("--pull-request: set GITHUB_TOKEN to a token that may write");
    let token = github_token().ok_or_else(no_token)?;
    let repository = match &args.repository {
        Some(repository) => repository.clone(),
        None => named_by(&git.address_of(&args.remote).await?)?,
    };
    Github::new(args.github_api.clone(), repository, token).map_err(failed)
}

fn named_by(address: &str) -> Result<GithubRepository, CliError> {
    repository_of(address).ok_or_else(|| {
        CliError::usage("--repository: git's remote names no repository of GitHub; write OWNER/NAME")
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: GithubError) -> CliError {
    CliError::failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_working_tree_is_gone_once_the_work_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| imgop_fakes::git(folder.path(), arguments);
        git(&["init", "--quiet"]);
        git(&["commit", "--quiet", "--allow-empty", "--message=one"]);
        std::fs::write(folder.path().join("config.yaml"), "").unwrap();
        let of_user = Git::of_file(&folder.path().join("config.yaml")).await.unwrap();
        let own = OwnTree::open(of_user, "HEAD").await.unwrap();
        let is_there = own.tree.folder().to_owned();
        assert!(is_there.exists() && git(&["worktree", "list"]).lines().count() == 2);
        drop(own);
        assert!(!is_there.exists());
        assert_eq!(git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    }
}
