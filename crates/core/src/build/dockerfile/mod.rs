//! What a Dockerfile says, worked out before any pod.
//!
//! ```text
//! bytes ─ text_source ─▶ text ─ logical_line ─▶ instructions in one line ─ reader ─▶ Instruction
//!       stages           which stages there are, and which of them a target needs
//!       resolve          the images that those need on one platform, with arguments replaced
//!       pin              the same file with each of these images by its digest
//! ```
//!
//! Nothing stops at the first mistake, and each has a place and a fix. What is refused here would fail later, after
//! minutes, or would be built and be wrong: old versions of Buildah leave out what follows a long line, and build on
//! files of another platform ([`Feature`], docs/decisions/0015-dockerfiles-are-read-by-own-code.md).

mod buildah_version;
mod here_document;
mod instruction;
mod logical_line;
mod pin;
mod problem;
mod reader;
mod resolve;
mod scope;
mod stages;
mod substitution;
mod text_source;
mod words;

pub use buildah_version::{BuildahVersion, BuildahVersionError, Feature};
pub use instruction::{Instruction, Keyword};
pub use problem::{Position, Problem, Severity};
pub use resolve::{BuildInputs, NeededImage, Resolved};
pub use stages::Stage;

use logical_line::{Directives, directives, logical_lines};
use reader::{Language, read};
use text_source::TextSource;

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What builds it.
    buildah: BuildahVersion,
    source: TextSource,
    directives: Directives,
    instructions: Vec<Instruction>,
    stages: Vec<Stage>,
    /// What is wrong with it, whatever is built of it, in the order of the file.
    problems: Vec<Problem>,
}

impl Dockerfile {
    /// Reads a Dockerfile for a version of Buildah.
    pub fn parse(bytes: &[u8], buildah: BuildahVersion) -> Self {
        let mut problems = Vec::new();
        let source = TextSource::read(bytes).unwrap_or_else(|problem| {
            problems.push(problem);
            TextSource::default()
        });
        let is_readable = problems.is_empty();
        let directives = directives(&source, &mut problems);
        let lines = logical_lines(&source, directives.escape, buildah, &mut problems);
        let language = Language { source: &source, escape: directives.escape, buildah };
        let instructions: Vec<Instruction> =
            lines.iter().filter_map(|line| read(language, line, &mut problems)).collect();
        let stages = stages::stages(&instructions, &mut problems);
        if is_readable && stages.is_empty() && problems.iter().all(|problem| !problem.is_error()) {
            let what = if lines.is_empty() { "there is no instruction" } else { "there is no FROM" };
            let fix = "begin it with FROM image:tag, or FROM scratch";
            problems.push(Problem::invalid(Position { line: 1, column: 1 }, what, fix));
        }
        problems.sort_by_key(|problem| problem.position);
        Self { buildah, source, directives, instructions, stages, problems }
    }

    /// Reads the ONBUILD triggers of an image, which run in front of the other instructions of a stage that builds
    /// on it. The first of them is line 2 of what is returned.
    pub fn of_triggers(triggers: &[String], buildah: BuildahVersion) -> Self {
        let lines = triggers.iter().map(|trigger| trigger.replace(['\n', '\r'], " "));
        let text: Vec<String> = std::iter::once("FROM scratch".to_owned()).chain(lines).collect();
        Self::parse(text.join("\n").as_bytes(), buildah)
    }

    /// Returns what is wrong with it, whatever is built of it, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns its stages.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Returns the instructions of a stage, FROM first.
    pub fn instructions(&self, stage: &Stage) -> &[Instruction] {
        self.instructions.get(stage.instructions.clone()).unwrap_or_default()
    }

    /// Returns the instructions in front of the first FROM.
    fn preamble(&self) -> &[Instruction] {
        let end = self.stages.first().map_or(self.instructions.len(), |stage| stage.instructions.start);
        self.instructions.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
