//! Pull requests, one for each entry: commits in a working tree of its own, pushed, proposed.

use std::path::Path;

use imgop_core::formats::rancher::{self, Config};
use imgop_core::sources::{GithubRepository, Proposal, Reviewer, Update, propose};

use super::entries::{Look, Missing, ended};
use super::git::Git;
use super::github::{Github, GithubError};
use super::proposals::{Decision, decide, repository_of};
use super::{Reopen, UpdateArgs};
use crate::cli_error::{CliError, Outcome};
use crate::commands::mirror::file::InputFile;
use crate::output::Ui;

/// Where pull requests are made.
struct Target<'a> {
    ui: Ui,
    github: &'a Github,
    /// The working tree that commits are made in.
    git: &'a Git,
    /// The commit that branches begin at.
    commit: &'a str,
    base: &'a str,
    remote: &'a str,
    reopen: Reopen,
    /// The name of the inventory within the folder of that working tree.
    file: &'a Path,
}

/// Makes a pull request for each entry that misses tags. All are looked at, also if one fails.
pub async fn make(args: &UpdateArgs, look: &Look<'_>, updates: &[Update]) -> Result<Outcome, CliError> {
    let (git, name) = tree(args).await?;
    git.require_clean().await?;
    let github = github(args, look, &git).await?;
    let base = github.default_branch().await.map_err(failed)?;
    let commit = git.fetch(&args.remote, &base).await?;
    let prefix = git.prefix().await?;
    let folder = tempfile::Builder::new().prefix("imgop-update-").tempdir();
    let folder = folder.map_err(|error| CliError::failed(format!("no temporary folder: {error}")))?;
    let top = folder.path().join("tree");
    let tree = git.worktree(&top, &commit).await?;
    let file = Path::new(&prefix).join(name);
    let target = Target {
        ui: look.ui,
        github: &github,
        git: &tree,
        commit: &commit,
        base: &base,
        remote: &args.remote,
        reopen: args.reopen,
        file: &file,
    };
    let result = target.all(look, updates).await;
    git.remove_worktree(&top).await?;
    result
}

/// Returns the working tree of the inventory, and the inventory's name in its folder.
async fn tree(args: &UpdateArgs) -> Result<(Git, &std::ffi::OsStr), CliError> {
    let no_tree = || CliError::usage("--pull-request: FILE is not in a working tree of git");
    let git = Git::of_file(&args.file).await.ok_or_else(no_tree)?;
    Ok((git, args.file.file_name().ok_or_else(no_tree)?))
}

async fn github(args: &UpdateArgs, look: &Look<'_>, git: &Git) -> Result<Github, CliError> {
    let token = look.outside.github_token.clone();
    let token =
        token.ok_or_else(|| CliError::usage("--pull-request: set GITHUB_TOKEN to a token that may write"))?;
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

impl Target<'_> {
    async fn all(&self, look: &Look<'_>, updates: &[Update]) -> Result<Outcome, CliError> {
        let file = InputFile::read(&self.path())?;
        let config = rancher::read(&file.text).map_err(|error| file.error(&error))?.config;
        let mut failures = 0;
        for update in updates {
            let Missing { additions, is_complete } = look.missing(&config, update).await;
            let mut is_done = is_complete;
            if !additions.is_empty() {
                let proposal = propose(&update.name, &config, &additions);
                if let Err(error) = self.propose(&update.name, &proposal, &update.reviewers).await {
                    let error = CliError { message: format!("{}: {}", update.name, error.message), ..error };
                    self.ui.error_of_several(&error);
                    is_done = false;
                }
            }
            failures += usize::from(!is_done);
        }
        ended(failures, updates.len())?;
        Ok(Outcome::Done)
    }

    async fn propose(&self, name: &str, proposal: &Proposal, reviewers: &[Reviewer]) -> Result<(), CliError> {
        let pulls = self.github.pull_requests(&proposal.branch, self.base).await.map_err(failed)?;
        match decide(&pulls, self.reopen, !reviewers.is_empty()) {
            Decision::Leave(pull) => {
                self.ui.note(&format!("{name}: there is a pull request: {}", pull.html_url));
            }
            Decision::AskReviewers(pull) => {
                self.ui.note(&format!("{name}: there is a pull request: {}", pull.html_url));
                self.ask(name, pull.number, reviewers).await;
            }
            Decision::Make => {
                self.push(proposal).await?;
                let pull = self.github.create(proposal, self.base).await.map_err(failed)?;
                self.ui.data(&format!("{name}: created pull request {}", pull.html_url))?;
                if !reviewers.is_empty() {
                    self.ask(name, pull.number, reviewers).await;
                }
            }
        }
        Ok(())
    }

    /// Asks for reviews. That some cannot be asked does not make the pull request worthless.
    async fn ask(&self, name: &str, number: u64, reviewers: &[Reviewer]) {
        if let Err(error) = self.github.request_reviews(number, reviewers).await {
            let repository = self.github.repository();
            self.ui
                .warning(&format!("{name}: the reviewers of {repository}#{number} were not asked: {error}"));
        }
    }

    async fn push(&self, proposal: &Proposal) -> Result<(), CliError> {
        self.git.begin(&proposal.branch, self.commit).await?;
        for commit in &proposal.commits {
            let files = self.write(&commit.config)?;
            let files: Vec<&Path> = files.iter().map(std::path::PathBuf::as_path).collect();
            self.git.commit(&commit.subject, &files).await?;
        }
        self.git.push(self.remote, &proposal.branch).await
    }

    /// Writes the inventory, and `regsync.yaml` beside it if it is there. Returns both, as git names them.
    fn write(&self, config: &Config) -> Result<Vec<std::path::PathBuf>, CliError> {
        let mut written = vec![self.file.to_owned()];
        InputFile::read(&self.path())?.replace(&config.formatted())?;
        let regsync = self.file.with_file_name("regsync.yaml");
        let path = self.git.folder().join(&regsync);
        if path.exists() {
            InputFile::read(&path)?.replace(&config.regsync(None))?;
            written.push(regsync);
        }
        Ok(written)
    }

    fn path(&self) -> std::path::PathBuf {
        self.git.folder().join(self.file)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: GithubError) -> CliError {
    CliError::failed(error.to_string())
}
