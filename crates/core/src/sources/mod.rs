//! Where new versions of images are announced: GitHub, registries, Helm charts; and which tags of them an inventory
//! lacks.
//!
//! ```text
//! autoupdate.yaml, config.json ──▶ Update ──find──▶ Found ──missing──▶ Additions ──propose──▶ Proposal
//! ```
//!
//! What leaves the process is handed in ([`Fetch`]); all else is pure, so that the plugin and the agent come to the same.

pub mod autoupdate;
pub mod charts;
mod constraint;
mod fetch;
mod find;
mod found;
pub mod github;
mod missing;
mod proposal;
mod registry;
mod release_rule;
pub mod retrieve_image_tags;
mod tag_regex;

pub use charts::{Chart, ChartLimits, ChartLocation, ChartRun, Environment, HelmCharts, ImageTier, OCI};
pub use constraint::{Constraint, ConstraintError, read_version};
pub use fetch::{Answer, ArtifactPart, Fetch, FetchError, Get};
pub use find::{FindError, Finder};
pub use found::{Found, FoundImage, Note};
pub use github::{GithubRepository, GithubUrls};
pub use missing::{Addition, Matching, lacking, missing};
pub use proposal::{Added, Commit, Proposal, add_tags, propose};
pub use registry::{Pick, RegistryTags};
pub use release_rule::{ReleaseRule, Taken};
pub use tag_regex::TagRegex;

use crate::formats::rancher::Source;

/// What keeps entries of an inventory up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its name, part of the names of branches.
    pub name: String,
    /// Where new versions are announced.
    pub source: VersionSource,
    /// The entries that receive them. None: whatever entry has the source that was found.
    pub entries: Option<Vec<EntryRef>>,
    /// Who looks at pull requests: `user` or `org/team`.
    pub reviewers: Vec<Reviewer>,
}

/// Fails where no branch can be named after an update, as git names them.
///
/// # Errors
/// What is wrong with the name.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_legal = |c: char| !c.is_whitespace() && !c.is_control() && !"~^:?*[\\".contains(c);
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.strip_suffix(".lock").is_none()
    };
    let is_name = name.chars().all(is_legal)
        && !name.contains("..")
        && !name.contains("@{")
        && name.split('/').all(is_part);
    if is_name {
        return Ok(());
    }
    Err("this is no name: branches are named after it, so write letters, digits, '-', '_' and '.'".to_owned())
}

/// An entry of an inventory, by its source. Several may have one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRef {
    /// The source repository, as the entry writes it.
    pub source: Source,
    /// The name at the target; none for the default one.
    pub target_name: Option<String>,
}

/// Where new versions are announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSource {
    /// Releases of a repository of GitHub: their tags are the images' tags.
    GithubRelease(GithubRelease),
    /// A file of a repository of GitHub that lists images, as it is at each release.
    GithubFile(GithubFile),
    /// The tags of a repository of a registry.
    Registry(RegistryTags),
    /// The images that Helm charts use.
    HelmChart(HelmCharts),
}

/// Releases of a repository of GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubRelease {
    /// The repository.
    pub repository: GithubRepository,
    /// Only the release that GitHub calls the latest.
    pub is_latest_only: bool,
    /// Which releases count, and which tag each stands for.
    pub rule: ReleaseRule,
}

/// A file of a repository of GitHub, a `REPOSITORY:TAG` a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubFile {
    /// The repository.
    pub repository: GithubRepository,
    /// The path within it.
    pub path: String,
    /// Which releases count.
    pub rule: ReleaseRule,
}

/// Who looks at a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reviewer {
    /// A user.
    User(String),
    /// A team of an organisation.
    Team {
        /// The organisation.
        organisation: String,
        /// The team, as in its address.
        team: String,
    },
}

impl EntryRef {
    /// Returns the name at the target.
    pub fn effective_name(&self) -> String {
        self.target_name.clone().unwrap_or_else(|| self.source.default_name())
    }
}

impl std::str::FromStr for Reviewer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("{text:?} is no reviewer; write a user, or a team as in org/team");
        match text.split_once('/') {
            None if text.is_empty() => Err(error()),
            None => Ok(Self::User(text.to_owned())),
            Some((organisation, team))
                if organisation.is_empty() || team.is_empty() || team.contains('/') =>
            {
                Err(error())
            }
            Some((organisation, team)) => {
                Ok(Self::Team { organisation: organisation.to_owned(), team: team.to_owned() })
            }
        }
    }
}

impl std::fmt::Display for Reviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(user) => f.write_str(user),
            Self::Team { organisation, team } => write!(f, "{organisation}/{team}"),
        }
    }
}
