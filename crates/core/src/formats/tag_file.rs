//! Files to whose entries tags are added: rancher's configuration and images-list.

use super::adding::is_same;
use super::images_list::{self, ImagesList};
use super::rancher::{self, Config, Schema};
use super::{AddError, Format, FormatError, NewEntry, Problem, Wanted, detect, yaml};

/// A file to whose entries tags are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFile {
    /// Rancher's `config.yaml`.
    Config(Box<Config>),
    /// Rancher's images-list.
    List(ImagesList),
}

impl TagFile {
    /// Reads a file, and what in it is worth a look.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and field; also where it is another tool's file.
    pub fn read(text: &str) -> Result<(Self, Vec<FormatError>), FormatError> {
        match detect(text)? {
            Format::Rancher => {
                let rancher::Read { config, warnings } = rancher::read(text)?;
                Ok((Self::Config(Box::new(config)), warnings))
            }
            Format::ImagesList => Ok((Self::List(images_list::read(text)?), Vec::new())),
            _ => {
                let problem = Problem::Value("tags are added to config.yaml and images-list only".to_owned());
                Err(FormatError { line: 1, field: String::new(), problem })
            }
        }
    }

    /// Returns the comments of the text that it was read from which it has not when it is written.
    pub fn lost_comments(&self, text: &str) -> Vec<FormatError> {
        match self {
            Self::Config(_) => lost_comments(text),
            Self::List(images) => images.lost().to_vec(),
        }
    }

    /// Adds tags to the entry of a source. Returns the tags that were not there.
    ///
    /// # Errors
    /// Where not exactly one entry is found. The file is as it was then.
    pub fn add(&mut self, wanted: &Wanted, new: Option<&NewEntry>) -> Result<Vec<String>, AddError> {
        match self {
            Self::Config(config) => config.add(wanted, new),
            Self::List(list) => list.add(wanted, new),
        }
    }

    /// Whether an entry mirrors a tag of a source: `DoNotMirror` keeps some from that.
    pub fn mirrors(&self, source: &str, tag: &str) -> bool {
        match self {
            Self::Config(config) => {
                let mut of_source =
                    config.entries.iter().filter(|entry| is_same(entry.source.as_str(), source));
                of_source.any(|entry| entry.mirrored_tags().any(|mirrored| mirrored == tag))
            }
            Self::List(_) => true,
        }
    }

    /// Returns its canonical form.
    pub fn formatted(&self) -> String {
        match self {
            Self::Config(config) => config.formatted(),
            Self::List(list) => list.formatted(),
        }
    }

    /// Returns the `regsync.yaml` that its own tool generates of it, if there is one: of what it has sorted.
    pub fn regsync(&self) -> Option<String> {
        match self {
            Self::Config(config) => {
                let mut sorted = Config::clone(config);
                sorted.sort();
                Some(sorted.regsync(None))
            }
            Self::List(_) => None,
        }
    }

    /// Returns what its own tool calls what it mirrors.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Config(config) if config.schema == Schema::Artifacts => "artifact",
            Self::Config(_) | Self::List(_) => "image",
        }
    }
}

/// Returns the comments of YAML that is written anew from what was read of it.
pub fn lost_comments(text: &str) -> Vec<FormatError> {
    let lost = |line: usize| {
        let problem = Problem::Value("this comment is left out when the file is written".to_owned());
        FormatError { line, field: String::new(), problem }
    };
    yaml::comments(text).into_iter().map(lost).collect()
}
