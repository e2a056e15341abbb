//! `config.yaml` of rancher/artifact-mirror (formerly image-mirror), in both of its schemas.

mod content;
mod creds;
mod read;
mod rows;
mod write;

pub use read::read;
pub(super) use read::read_each;
pub use rows::{Row, Rows};

use crate::formats::FormatError;

/// What `config.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How its fields are named.
    pub schema: Schema,
    /// The list `Images` or `Artifacts`, in its order.
    pub entries: Vec<Entry>,
    /// The list `Repositories`, in its order.
    pub repositories: Vec<Target>,
}

/// How the fields of a file are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// `Images`, `SourceImage`, `TargetImageName`.
    Images,
    /// `Artifacts`, `SourceArtifact`, `TargetArtifactName`.
    Artifacts,
}

/// Which repositories entries go to that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKey {
    /// `Target`: what an entry names narrows these down.
    Target,
    /// `DefaultTarget`: what an entry names replaces these.
    DefaultTarget,
}

/// A repository with tags that are mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// The repository as it is written, without a tag.
    pub source: Source,
    /// The tags, as they are written.
    pub tags: Vec<String>,
    /// A name at the target other than the default one.
    pub target_name: Option<String>,
    /// What of it is not mirrored.
    pub exclusion: Exclusion,
    /// The repositories that it goes to, by their `BaseUrl`. Empty: the default ones.
    pub targets: Vec<String>,
}

/// A source repository as it is written, of which the name at the target is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(String);

/// What of an entry is not mirrored (`DoNotMirror`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// The field is not there.
    Unset,
    /// `true`: nothing is mirrored. `false` is kept when the file is formatted.
    All(bool),
    /// These tags.
    Tags(Vec<String>),
}

/// A repository that entries go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// Its prefix: `docker.io/acme`.
    pub base_url: String,
    /// The registry that credentials are for.
    pub registry: String,
    /// The template of a user, as it is written. It is never evaluated.
    pub username: String,
    /// The template of a password, as it is written.
    pub password: String,
    /// Whether entries go there that name no target.
    pub is_default: bool,
    /// Which of the two names this field has.
    pub key: TargetKey,
    /// regsync's `repoAuth`.
    pub repo_auth: bool,
    /// regsync's `reqConcurrent`; 0 where it is not there.
    pub req_concurrent: u64,
}

impl Source {
    /// Returns a source, if a name at the target can be made of it.
    ///
    /// # Errors
    /// Where it has one part only, a tag or a digest, or is no legal repository; the text says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<imgop_registry::reference::Repository>().map_err(|error| error.to_string())?;
        if !text.contains('/') {
            return Err(format!("{text:?} has one part; write at least two, as in library/{text}"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns it as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name that it has at a target by default: `mirrored-ORG-NAME`, of the last two parts.
    pub fn default_name(&self) -> String {
        let mut parts = self.0.rsplit('/');
        let (name, org) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if self.0.starts_with("dp.apps.rancher.io/") {
            return format!("appco-{name}");
        }
        format!("mirrored-{org}-{name}")
    }
}

impl Entry {
    /// Returns the name that it has at its targets.
    pub fn effective_name(&self) -> String {
        self.target_name.clone().unwrap_or_else(|| self.source.default_name())
    }

    /// Returns the tags that are mirrored, in their order.
    pub fn mirrored_tags(&self) -> impl Iterator<Item = &str> {
        let tags = self.tags.iter().map(String::as_str);
        tags.filter(|tag| match &self.exclusion {
            Exclusion::Unset | Exclusion::All(false) => true,
            Exclusion::All(true) => false,
            Exclusion::Tags(excluded) => !excluded.iter().any(|excluded| excluded == tag),
        })
    }
}

/// A file, and what was read otherwise than the original tool reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What the file says.
    pub config: Config,
    /// What is worth a look: each would be an error if it kept the file from being used.
    pub warnings: Vec<FormatError>,
}

#[cfg(test)]
mod tests;
