//! Instructions as they are spread over lines: continuations, comments, directives, here-documents.

use std::ops::Range;

use super::here_document::{HereDocument, here_documents};
use super::problem::{Position, Problem};
use super::text_source::TextSource;
use super::{BuildahVersion, Feature};

/// The longest line that every version of Buildah reads.
const MAX_LINE: usize = 65_535;

/// What stands in front of the first instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directives {
    /// What continues a line and escapes a character.
    pub(super) escape: char,
    /// Where the line begins that says so, unless it is the first: Buildah then does not see it.
    pub(super) late_escape: Option<Range<usize>>,
}

/// An instruction in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogicalLine {
    /// The instruction without its continuations.
    pub(super) text: String,
    /// Where parts of it begin, and where that is in the file.
    parts: Vec<(usize, usize)>,
    /// Where it is in the file, with its here-documents, without the last line's end.
    pub(super) span: Range<usize>,
    /// Where `<<` stands in it, for each here-document.
    pub(super) here_documents: Vec<usize>,
}

impl LogicalLine {
    /// Returns where a place of the instruction is in the file.
    pub(super) fn source(&self, at: usize) -> usize {
        let part = self.parts.partition_point(|(begin, _)| *begin <= at).saturating_sub(1);
        self.parts.get(part).map_or(self.span.start, |(begin, source)| source + (at - begin))
    }
}

/// Reads the parser directives: comments at the very beginning that are `name=value`.
pub(super) fn directives(source: &TextSource, problems: &mut Vec<Problem>) -> Directives {
    let mut found = Directives { escape: '\\', late_escape: None };
    let mut names: Vec<String> = Vec::new();
    for (start, line) in source.lines() {
        let comment = line.trim_start().strip_prefix('#').map(str::trim_start);
        let Some((name, value)) = comment.and_then(|text| text.split_once('=')) else { break };
        let name = name.trim().to_ascii_lowercase();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_name {
            break;
        }
        if name == "escape" {
            match value.trim() {
                _ if names.contains(&name) => problems.push(Problem::invalid(
                    source.position(start),
                    "the directive escape stands here for the second time",
                    "leave one of them out",
                )),
                "\\" | "`" => {
                    found.escape = if value.trim() == "`" { '`' } else { '\\' };
                    found.late_escape = (start > 0 && found.escape == '`').then(|| start..start + line.len());
                }
                _ => problems.push(Problem::invalid(
                    source.position(start),
                    "the directive escape must be a backslash or a backtick",
                    "write # escape=\\ or # escape=`",
                )),
            }
        }
        names.push(name);
    }
    found
}

/// Divides a file into instructions.
pub(super) fn logical_lines(
    source: &TextSource,
    escape: char,
    buildah: BuildahVersion,
    problems: &mut Vec<Problem>,
) -> Vec<LogicalLine> {
    for (start, _) in source.lines().filter(|(_, line)| line.len() > MAX_LINE) {
        if !buildah.has(Feature::LongLines) {
            problems.push(too_long(source, start));
        }
    }
    let mut instructions = Vec::new();
    let mut lines = source.lines();
    while let Some((start, line)) = lines.next() {
        if is_empty_or_comment(line) {
            continue;
        }
        let mut instruction = LogicalLine {
            text: String::new(),
            parts: Vec::new(),
            span: start..start + line.len(),
            here_documents: Vec::new(),
        };
        let indent = line.len() - line.trim_start().len();
        let mut goes_on = instruction.push(start + indent, &line[indent..], escape);
        while goes_on && let Some((start, line)) = lines.next() {
            if !is_empty_or_comment(line) {
                goes_on = instruction.push(start, line, escape);
                instruction.span.end = start + line.len();
            }
        }
        for document in here_documents(&instruction.text, escape) {
            instruction.here_documents.push(document.start);
            if !instruction.take(&document, &mut lines) {
                problems.push(endless(source.position(instruction.source(document.start)), document.end()));
            }
        }
        instructions.push(instruction);
    }
    instructions
}

/// Returns that a here-document has no end.
fn endless(position: Position, end: &str) -> Problem {
    let message = format!("the here-document that begins here has no end: no line is {end:?}");
    Problem::invalid(position, message, format!("put {end} on a line of its own behind it"))
}

impl LogicalLine {
    /// Adds a line. Returns whether the next one belongs to it.
    fn push(&mut self, start: usize, line: &str, escape: char) -> bool {
        let trimmed = line.trim_end_matches([' ', '\t']);
        let (text, goes_on) = match trimmed.strip_suffix(escape) {
            Some(text) => (text, true),
            None => (line, false),
        };
        self.parts.push((self.text.len(), start));
        self.text.push_str(text);
        goes_on
    }

    /// Adds the lines of a here-document. Returns whether it ends.
    fn take<'a>(
        &mut self,
        document: &HereDocument,
        lines: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> bool {
        lines.any(|(start, line)| {
            self.span.end = start + line.len();
            document.ends_with(line)
        })
    }
}

fn is_empty_or_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn too_long(source: &TextSource, start: usize) -> Problem {
    Problem::unsupported(
        source.position(start),
        Some(Feature::LongLines.since()),
        format!("this line has more than {MAX_LINE} bytes, and everything behind it would be left out"),
        "divide it, or put the text into a file and COPY it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let source = TextSource::read(text.as_bytes()).unwrap();
        let mut problems = Vec::new();
        let escape = directives(&source, &mut problems).escape;
        let buildah = BuildahVersion { major: 1, minor: 28 };
        let lines = logical_lines(&source, escape, buildah, &mut problems);
        for line in &lines {
            assert!(line.span.end <= source.text.len());
            for at in (0..line.text.len()).filter(|at| line.text.is_char_boundary(*at)) {
                let (here, there) = (&line.text[at..], &source.text[line.source(at)..]);
                assert_eq!(here.chars().next(), there.chars().next(), "{at} of {:?}", line.text);
            }
        }
        let texts = lines.into_iter().map(|line| line.text).collect();
        (texts, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lines_go_on_over_comments_and_empty_lines() {
        let (lines, problems) = read("  RUN a \\ \n# no\n\n  # no\n  && b \\\r\n c\nRUN d");
        assert_eq!(
            (lines.as_slice(), problems.len()),
            (&["RUN a   && b  c".to_owned(), "RUN d".into()][..], 0)
        );
        assert_eq!(read("RUN a \\").0, ["RUN a "]);
        assert_eq!(read("# escape=`\nRUN a `\n \\b\n").0, ["RUN a  \\b"]);
    }

    #[test]
    fn directives_stand_first_and_once() {
        assert_eq!(read("# syntax=docker/dockerfile:1\n# escape=`\nRUN a `\nb").0, ["RUN a b"]);
        assert_eq!(read("# a comment\n# escape=`\nRUN a `\nRUN b").0, ["RUN a `", "RUN b"]);
        assert!(read("# escape=`\n# escape=\\\nRUN a").1[0].contains("second time"));
        assert!(read("#escape=x\nRUN a").1[0].contains("must be a backslash or a backtick"));
        assert_eq!(read("# unknown=1\n# check=skip=all\nRUN a").1, Vec::<String>::new());
    }

    #[test]
    fn a_here_document_is_part_of_its_instruction() {
        let (lines, problems) = read("RUN <<A cat <<-B\nFROM x\nA\n\tB\nRUN b");
        assert_eq!((lines.len(), problems.len()), (2, 0), "{lines:?} {problems:?}");
        assert_eq!(
            read("RUN <<A\nFROM x").1[0],
            "line 1, column 5: the here-document that begins here has no end: no line is \"A\"; put A on a line of its own behind it"
        );
    }

    #[test]
    fn a_line_that_old_versions_take_for_the_end_of_the_file_is_named() {
        let just = "x".repeat(MAX_LINE - 4);
        assert_eq!(read(&format!("FROM a\nRUN {just}\nRUN b")).1, Vec::<String>::new());
        let (lines, problems) = read(&format!("FROM a\nRUN x{just}\nRUN b"));
        assert_eq!(lines.len(), 3);
        assert!(
            problems[0].starts_with("line 2, column 1: this line has more than 65535 bytes"),
            "{problems:?}"
        );
        assert!(problems[0].contains("(needs Buildah 1.33 or newer)"));
        let short = "x \\\n".repeat(40_000);
        assert_eq!(read(&format!("FROM a\nRUN {short} y")).1, Vec::<String>::new(), "many short lines");
    }
}
