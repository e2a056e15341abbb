//! `images-list` of rancher/image-mirror: a line for each tag, of source, target and tag.

use imgop_registry::reference::{Repository, Tag};

use super::pairs::{self, Pair};
use super::{Content, FormatError, Problem, version_order};

/// What an images-list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagesList {
    /// The lines before the first one with an image.
    header: Vec<String>,
    lines: Vec<Line>,
    /// The comments between them, which are not kept.
    lost: Vec<FormatError>,
}

/// A tag that is mirrored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The line, from 1.
    pub number: usize,
    /// The source repository, as it is written.
    pub source: String,
    /// The destination repository, as it is written: Docker Hub is implied.
    pub target: String,
    /// The tag.
    pub tag: String,
}

/// Reads an images-list. Lines that begin with `#` or `//` are comments.
///
/// # Errors
/// The first line that is wrong, with its field.
pub fn read(text: &str) -> Result<ImagesList, FormatError> {
    read_each(text, Err)
}

/// Reads what of it can be used: a line that is wrong is left out, and what is wrong is handed to `wrong`.
pub(super) fn read_each(
    text: &str,
    mut wrong: impl FnMut(FormatError) -> Result<(), FormatError>,
) -> Result<ImagesList, FormatError> {
    let (mut header, mut lines, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for (at, text) in text.lines().enumerate() {
        if is_comment(text) || text.trim().is_empty() {
            if lines.is_empty() {
                header.push(text.to_owned());
            } else if is_comment(text) {
                lost.push(lost_comment(at + 1));
            }
            continue;
        }
        match line(at + 1, text) {
            Ok(line) => lines.push(line),
            Err(error) => wrong(error)?,
        }
    }
    Ok(ImagesList { header, lines, lost })
}

fn lost_comment(line: usize) -> FormatError {
    let problem =
        "this comment is left out when the file is written; only those above the first image are kept";
    FormatError { line, field: String::new(), problem: Problem::Value(problem.to_owned()) }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.starts_with("//")
}

fn line(number: usize, text: &str) -> Result<Line, FormatError> {
    let error = |field: &str, problem: String| FormatError {
        line: number,
        field: field.to_owned(),
        problem: Problem::Value(problem),
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [source, target, tag] = fields.as_slice() else {
        let problem =
            format!("a line has three fields, SOURCE TARGET TAG, and this one has {}", fields.len());
        return Err(error("", problem));
    };
    for (field, text) in [("SOURCE", source), ("TARGET", target)] {
        text.parse::<Repository>().map_err(|problem| error(field, problem.to_string()))?;
    }
    tag.parse::<Tag>().map_err(|problem| error("TAG", problem.to_string()))?;
    let [source, target, tag] = [source, target, tag].map(|text| (*text).to_owned());
    Ok(Line { number, source, target, tag })
}

/// Whether a text is an images-list: its first line that is no comment has three fields, and no colon behind the first.
pub(super) fn looks_like_one(text: &str) -> bool {
    let first = text.lines().find(|line| !is_comment(line) && !line.trim().is_empty());
    first.is_some_and(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields.as_slice(), [source, target, _] if target.contains('/') && !source.ends_with(':') && *source != "-")
    })
}

impl ImagesList {
    /// Returns the list of these tags, without a header.
    pub fn of(lines: Vec<Line>) -> Self {
        Self { header: Vec::new(), lines, lost: Vec::new() }
    }

    /// Returns its tags.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Returns the comments that are left out when it is written.
    pub fn lost(&self) -> &[FormatError] {
        &self.lost
    }

    /// Adds a tag.
    pub fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Returns the canonical form: its header, and the rest in the order of `sort -V` where bytes are compared. Other comments
    /// are dropped.
    pub fn formatted(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("{} {} {}", line.source, line.target, line.tag));
        let mut lines: Vec<String> = lines.collect();
        lines.sort_by(|a, b| version_order::compare(a, b));
        self.header.iter().chain(&lines).fold(String::new(), |text, line| text + line + "\n")
    }

    pub(super) fn into_content(self) -> Content {
        let pairs = self.lines.into_iter().map(|line| Pair {
            line: line.number,
            source: line.source,
            destination: with_registry(&line.target),
            tags: vec![line.tag],
        });
        pairs::content(pairs.collect())
    }
}

/// Returns a repository with its registry, as it is written else.
fn with_registry(repository: &str) -> String {
    if Repository::names_registry(repository) {
        repository.to_owned()
    } else {
        format!("docker.io/{repository}")
    }
}
