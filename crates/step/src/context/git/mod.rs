//! A context that is a commit.
//!
//! ```text
//! ls-remote ─ revision ─▶ which ref or commit ─ fetch ─▶ commit ─ checkout ─▶ files ─ submodules, LFS ─▶ without .git
//! ```
//!
//! Git runs with a configuration of our own ([`settings`]): http, https and ssh, no hooks, no filters, no templates. A
//! credential is bound to the host of the URL ([`credentials`]): neither a submodule elsewhere nor a redirect gets it.

mod credentials;
mod failures;
mod revision;
mod settings;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::GitSource;

use crate::context::below::open_file;
use crate::{Failed, Finished, Places, Program};
use credentials::Credentials;
use failures::failed;
use revision::{Advertised, Found};

/// The ref under which what is fetched is kept.
const FETCHED: &str = "refs/imgop/source";
/// How many files are named in a warning.
const MAX_NAMED: usize = 3;
/// What a file of Git LFS begins with.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub commit: String,
    /// When it was committed, in seconds since 1970.
    pub committed_at: i64,
    /// What is other than it looks.
    pub warnings: Vec<String>,
}

/// Fetches a commit into a folder. A server that sends nothing for `stall` has failed.
pub fn fetch(
    source: &GitSource,
    folder: &Path,
    stall: Duration,
    places: &Places,
) -> Result<Checkout, Failed> {
    let credentials = Credentials::read(&source.url, places)?;
    let config = settings::write(credentials.as_ref(), stall, places)?;
    let git = Git { source, folder, config, places, credentials: credentials.as_ref() };
    git.init()?;
    let commit = git.fetch_commit()?;
    git.run(&["checkout", "--quiet", "--force", "--detach", &commit], "check out the commit")?;
    let mut warnings: Vec<String> = credentials.iter().filter_map(Credentials::warning).collect();
    warnings.extend(git.submodules()?);
    warnings.extend(git.lfs()?);
    let time = git.run(&["show", "--no-patch", "--format=%ct", &commit], "read the commit")?.text();
    let committed_at = time.trim().parse().unwrap_or_default();
    remove_repositories(folder).map_err(|error| Failed::at("clean", folder, &error))?;
    Ok(Checkout { commit, committed_at, warnings })
}

struct Git<'a> {
    source: &'a GitSource,
    folder: &'a Path,
    config: PathBuf,
    places: &'a Places,
    credentials: Option<&'a Credentials>,
}

impl Git<'_> {
    fn program(&self) -> Program {
        let mut program = Program::new("git", self.places)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", &self.config)
            .env("GIT_ALLOW_PROTOCOL", "http:https:ssh")
            .env("GIT_TERMINAL_PROMPT", "0");
        if let Some(command) = self.credentials.and_then(Credentials::ssh_command) {
            program = program.env("GIT_SSH_COMMAND", command).env("GIT_SSH_VARIANT", "ssh");
        }
        program.arg("-C").arg(self.folder)
    }

    fn try_run(&self, arguments: &[&str]) -> Result<Finished, Failed> {
        self.program().args(arguments).run().map_err(|error| {
            let message = format!("git does not start: {error}; use a Job image that has it");
            Failed::new(BuildFailure::PodNotStarted, message)
        })
    }

    fn run(&self, arguments: &[&str], what: &str) -> Result<Finished, Failed> {
        let finished = self.try_run(arguments)?;
        if finished.is_success() {
            Ok(finished)
        } else {
            Err(failed(self.source, self.folder, what, &finished.errors))
        }
    }

    /// Makes an empty repository. The server stands in its own configuration: in that of all repositories it would
    /// be the server of submodules too.
    fn init(&self) -> Result<(), Failed> {
        let url = self.source.url.as_str();
        // Named here, or a file of the repository could name another place, even a folder of this container.
        let lfs = format!("{}/info/lfs", url.trim_end_matches('/'));
        let what = "prepare the repository";
        self.run(&["init", "--quiet"], what)?;
        self.run(&["config", "remote.origin.url", url], what)?;
        self.run(&["config", "lfs.url", &lfs], what).map(|_| ())
    }

    /// Fetches what the revision names and returns its commit.
    fn fetch_commit(&self) -> Result<String, Failed> {
        let found = match &self.source.commit {
            Some(commit) => Found::Commit(commit.clone()),
            None => self.find()?,
        };
        match found {
            Found::Ref(name) => {
                self.fetch(&format!("+{name}:{FETCHED}"), self.source.depth)?;
                self.commit_of(FETCHED)
            }
            Found::Commit(commit) => self.fetch_by_commit(&commit),
            Found::ShortCommit(start) => {
                self.fetch_all()?;
                self.commit_of(&start)
            }
        }
    }

    /// Asks the server for its refs, and picks the one that the revision means.
    fn find(&self) -> Result<Found, Failed> {
        let revision = self.source.revision.as_deref();
        let mut arguments = vec!["ls-remote", "--quiet", "origin"];
        arguments.extend(revision::patterns(revision));
        let listed = self.run(&arguments, "list the branches and tags")?.text();
        revision::choose(revision, &Advertised::read(&listed)).ok_or_else(|| self.no_revision())
    }

    /// Fetches one commit, or where the server gives none by name, everything.
    fn fetch_by_commit(&self, commit: &str) -> Result<String, Failed> {
        let depth = format!("--depth={}", self.source.depth);
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        if self.source.depth > 0 {
            arguments.push(&depth);
        }
        arguments.extend(["origin", commit]);
        if !self.try_run(&arguments)?.is_success() {
            self.fetch_all()?;
        }
        self.commit_of(commit)
    }

    fn fetch_all(&self) -> Result<(), Failed> {
        let refspecs = ["+refs/heads/*:refs/imgop/heads/*", "+refs/tags/*:refs/imgop/tags/*"];
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "origin"];
        arguments.extend(refspecs);
        self.run(&arguments, "fetch the branches and tags").map(|_| ())
    }

    fn fetch(&self, refspec: &str, depth: u32) -> Result<(), Failed> {
        let depth = if depth > 0 { vec![format!("--depth={depth}")] } else { Vec::new() };
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        arguments.extend(depth.iter().map(String::as_str));
        arguments.extend(["origin", refspec]);
        self.run(&arguments, "fetch the revision").map(|_| ())
    }

    /// Returns the commit that a name stands for: of an annotated tag the commit that it names.
    fn commit_of(&self, name: &str) -> Result<String, Failed> {
        let name = format!("{name}^{{commit}}");
        let finished = self.try_run(&["rev-parse", "--quiet", "--verify", "--end-of-options", &name])?;
        let commit = finished.text().trim().to_owned();
        if finished.is_success() && !commit.is_empty() { Ok(commit) } else { Err(self.no_revision()) }
    }

    fn no_revision(&self) -> Failed {
        let revision = self.source.commit.as_ref().or(self.source.revision.as_ref());
        let what = match revision {
            Some(revision) => format!("{} has no branch, tag or commit {revision}", self.source.url),
            None => format!("{} has no default branch", self.source.url),
        };
        Failed::new(BuildFailure::RevisionNotFound, format!("{what}; correct context.git.revision"))
    }

    /// Fetches submodules. Returns a warning where there are some that are not wanted.
    fn submodules(&self) -> Result<Option<String>, Failed> {
        if !self.source.submodules {
            let staged = self.run(&["ls-files", "--stage", "-z"], "list the files")?.text();
            let paths = staged.split('\0').filter(|line| line.starts_with("160000 "));
            let paths: Vec<&str> = paths.filter_map(|line| Some(line.split_once('\t')?.1)).collect();
            return Ok(warning(&paths, "is a submodule", "are submodules", "submodules"));
        }
        let update = ["submodule", "update", "--init", "--recursive", "--jobs=2"];
        let shallow = [&update[..], &["--depth=1"]].concat();
        // Not every server gives a commit that no branch ends with.
        if !self.try_run(&shallow)?.is_success() {
            self.run(&update, "fetch the submodules")?;
        }
        Ok(None)
    }

    /// Fetches the content of Git LFS. Returns a warning where files are pointers.
    fn lfs(&self) -> Result<Option<String>, Failed> {
        if self.source.lfs {
            self.run(&["lfs", "fetch"], "fetch the content of Git LFS")?;
            // Without a filter it does nothing, and says so with success.
            let filter = "filter.lfs.clean=git-lfs clean -- %f";
            self.run(&["-c", filter, "lfs", "checkout"], "write the content of Git LFS")?;
        }
        let tracked = self.run(&["ls-files", "-z", ":(attr:filter=lfs)"], "list the files")?.text();
        let is_pointer = |path: &&str| is_pointer(self.folder, path);
        let pointers: Vec<&str> = tracked.split_terminator('\0').filter(is_pointer).collect();
        if let (true, Some(pointer)) = (self.source.lfs, pointers.first()) {
            let message = format!("{pointer} has no content at the Git LFS of {}", self.source.url);
            return Err(Failed::new(BuildFailure::SourceUnreachable, message));
        }
        Ok(warning(
            &pointers,
            "is a pointer of Git LFS without its content",
            "are pointers of Git LFS without their content",
            "lfs",
        ))
    }
}

/// Whether a file is what Git LFS leaves in place of content. A link is none, wherever it leads.
fn is_pointer(folder: &Path, path: &str) -> bool {
    let mut start = Vec::new();
    let read = open_file(folder, path).map(|file| file.take(POINTER.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == POINTER
}

fn warning(paths: &[&str], one: &str, many: &str, field: &str) -> Option<String> {
    let named = paths.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    let verb = match paths.len() {
        0 => return None,
        1 => one.to_owned(),
        2..=MAX_NAMED => many.to_owned(),
        count => format!("and {} more {many}", count - MAX_NAMED),
    };
    Some(format!("{named} {verb}; set context.git.{field}: true if the build needs it"))
}

/// Removes git's own folders and files, those of submodules too: no commit can hold anything of that name.
fn remove_repositories(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name().eq_ignore_ascii_case(".git") {
            if kind.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        } else if kind.is_dir() {
            remove_repositories(&entry.path())?;
        }
    }
    Ok(())
}
