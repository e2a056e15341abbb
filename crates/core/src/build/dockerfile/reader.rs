//! Reads one instruction, and notes what is wrong with it.

use std::ops::Range;

use super::instruction::{Detail, Instruction, Keyword, Located};
use super::logical_line::LogicalLine;
use super::substitution::{SubstitutionError, expand};
use super::text_source::TextSource;
use super::words::{Flag, Word, between_spaces, flags, json_array};
use super::{BuildahVersion, Feature, Position, Problem};

mod files;
mod run;
mod stage_base;
mod values;

/// What a file says for all its instructions.
#[derive(Clone, Copy)]
pub(super) struct Language<'a> {
    pub(super) source: &'a TextSource,
    pub(super) escape: char,
    pub(super) buildah: BuildahVersion,
}

/// Reads one instruction.
pub(super) struct Reader<'a> {
    pub(super) language: Language<'a>,
    pub(super) line: &'a LogicalLine,
    /// Where what the instruction is given begins.
    pub(super) from: usize,
    pub(super) keyword: Keyword,
    pub(super) problems: &'a mut Vec<Problem>,
}

/// Reads the instruction of a line; none if there is no such instruction.
pub(super) fn read(
    language: Language<'_>,
    line: &LogicalLine,
    problems: &mut Vec<Problem>,
) -> Option<Instruction> {
    let instruction = read_at(language, line, 0, problems);
    if !language.buildah.has(Feature::HereDocuments) {
        for start in &line.here_documents {
            problems.push(Problem::unsupported(
                language.source.position(line.source(*start)),
                Some(Feature::HereDocuments.since()),
                "here-documents are not known",
                "write RUN with && and continued lines, and files that COPY takes",
            ));
        }
    }
    instruction
}

/// Reads the instruction that begins here in a line.
pub(super) fn read_at(
    language: Language<'_>,
    line: &LogicalLine,
    from: usize,
    problems: &mut Vec<Problem>,
) -> Option<Instruction> {
    let word = between_spaces(&line.text, from).into_iter().next()?;
    let position = language.source.position(line.source(word.start));
    let Some(keyword) = Keyword::of(&word.text) else {
        problems.push(unknown(position, &word.text));
        return None;
    };
    let rest = &line.text[word.end..];
    let from = word.end + (rest.len() - rest.trim_start().len());
    let mut reader = Reader { language, line, from, keyword, problems };
    let detail = reader.detail();
    let text = line.text[word.start..].trim_end().to_owned();
    Some(Instruction { keyword, position, text, span: line.span.clone(), detail })
}

/// Returns that there is no such instruction, with the nearest one.
fn unknown(position: Position, word: &str) -> Problem {
    let upper = word.to_ascii_uppercase();
    let distance = |keyword: &Keyword| strsim::damerau_levenshtein(keyword.as_str(), &upper);
    let nearest = Keyword::ALL.into_iter().min_by_key(distance).filter(|keyword| distance(keyword) <= 2);
    let shown: String = word.chars().take(40).collect();
    let fix = match nearest {
        Some(keyword) => format!("did you mean {keyword}?"),
        None => "if it belongs to the line above, that line must end with a backslash".to_owned(),
    };
    Problem::invalid(position, format!("there is no instruction {shown}"), fix)
}

impl Reader<'_> {
    fn detail(&mut self) -> Detail {
        match self.keyword {
            Keyword::From => self.stage_base(),
            Keyword::Run => self.run(),
            Keyword::Copy | Keyword::Add => self.copy(),
            Keyword::Arg => self.arguments(),
            Keyword::Env => self.variables(),
            Keyword::Label => {
                self.variables();
                Detail::Plain
            }
            Keyword::Onbuild => self.trigger(),
            Keyword::Healthcheck => self.health_check(),
            Keyword::Shell => self.shell(),
            Keyword::Cmd | Keyword::Entrypoint => {
                self.check_json(self.from);
                Detail::Plain
            }
            Keyword::Expose | Keyword::Volume => self.list(),
            Keyword::User | Keyword::Workdir | Keyword::Stopsignal | Keyword::Maintainer => self.one_text(),
        }
    }

    /// Returns what the instruction is given.
    pub(super) fn rest(&self) -> &str {
        self.line.text.get(self.from..).unwrap_or_default()
    }

    /// Returns where a place of the instruction is.
    pub(super) fn position(&self, at: usize) -> Position {
        self.language.source.position(self.line.source(at))
    }

    /// Returns a part of a word, with the whole word's place.
    pub(super) fn located(&self, text: &str, word: Range<usize>) -> Located {
        let end = self.line.source(word.end.saturating_sub(1)) + 1;
        Located {
            text: text.to_owned(),
            position: self.position(word.start),
            word: self.line.source(word.start)..end.max(self.line.source(word.start)),
        }
    }

    /// Notes a mistake.
    pub(super) fn invalid(&mut self, at: usize, message: impl Into<String>, fix: impl Into<String>) {
        let position = self.position(at);
        self.problems.push(Problem::invalid(position, message, fix));
    }

    /// Notes what the version of Buildah cannot do.
    pub(super) fn unsupported(
        &mut self,
        at: usize,
        feature: Option<Feature>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let position = self.position(at);
        let needs = feature.map(Feature::since);
        self.problems.push(Problem::unsupported(position, needs, message, fix));
    }

    /// Notes that the instruction needs more than it is given.
    pub(super) fn too_little(&mut self, what: &str, fix: &str) {
        let at = self.from.min(self.line.text.len()).saturating_sub(1);
        let at = (0..=at).rev().find(|at| self.line.text.is_char_boundary(*at)).unwrap_or_default();
        self.invalid(at, format!("{} needs {what}", self.keyword), fix);
    }

    /// Takes the flags that the instruction may have.
    pub(super) fn flags(&mut self, known: &[FlagRule]) -> Vec<Flag> {
        let (flags, rest) = flags(&self.line.text, self.from, self.language.escape);
        self.from = rest;
        flags.into_iter().filter(|flag| self.is_known(flag, known)).collect()
    }

    fn is_known(&mut self, flag: &Flag, known: &[FlagRule]) -> bool {
        let keyword = self.keyword;
        let shown: String = flag.name.chars().take(40).collect();
        let Some(rule) = known.iter().find(|rule| rule.name == flag.name) else {
            let names: Vec<String> =
                known.iter().filter(|r| !r.is_never()).map(|r| format!("--{}", r.name)).collect();
            let fix =
                if names.is_empty() { "remove it".into() } else { format!("it has {}", names.join(", ")) };
            self.invalid(flag.start, format!("{keyword} has no flag --{shown}"), fix);
            return false;
        };
        if rule.takes_value && flag.value.as_deref().unwrap_or_default().is_empty() {
            let next = between_spaces(&self.line.text, flag.end).into_iter().next();
            let value = next.map_or_else(|| "value".to_owned(), |word| word.text);
            let message = format!("--{shown} needs its value behind an equals sign");
            self.invalid(flag.start, message, format!("write --{shown}={value}"));
            return false;
        }
        match rule.needs {
            Needs::Any => true,
            Needs::Feature(feature) if self.language.buildah.has(feature) => true,
            Needs::Feature(feature) => {
                let fix = format!("leave --{shown} out, or use a newer Buildah");
                self.unsupported(flag.start, Some(feature), format!("{keyword} --{shown} is not known"), fix);
                false
            }
            Needs::Another => {
                self.unsupported(
                    flag.start,
                    None,
                    format!("Buildah has no {keyword} --{shown}"),
                    "leave it out",
                );
                false
            }
        }
    }

    /// Returns a JSON array, or the words between spaces.
    pub(super) fn texts(&mut self) -> Vec<Word> {
        if self.is_json() {
            return json_array(self.rest().trim_end())
                .unwrap_or_default()
                .into_iter()
                .map(|text| Word { text, start: self.from, end: self.from })
                .collect();
        }
        self.check_json(self.from);
        between_spaces(&self.line.text, self.from)
    }

    pub(super) fn is_json(&self) -> bool {
        json_array(self.rest().trim_end()).is_some()
    }

    /// Warns of what was to be a JSON array.
    pub(super) fn check_json(&mut self, from: usize) {
        let text = self.line.text.get(from..).unwrap_or_default().trim();
        let looks_like_json =
            text.strip_prefix('[').is_some_and(|inside| inside.trim_start().starts_with(['"', '\'']));
        if looks_like_json && json_array(text).is_none() {
            let position = self.position(from);
            self.problems.push(Problem::warning(
                position,
                "this begins as a JSON array and is none, so that it is taken as plain words",
                "write [\"a\", \"b\"] with double quotes, and \\\\ for a backslash",
            ));
        }
    }

    /// Notes what is wrong with the variables and the quotes of a word.
    pub(super) fn check_word(&mut self, word: &Word) {
        let Err(error) = expand(&word.text, &|_| Some(String::new())) else { return };
        let (message, fix) = (error.to_string(), error.fix());
        match error {
            SubstitutionError::Pattern(_) if self.language.buildah.has(Feature::Patterns) => {}
            SubstitutionError::Pattern(_) => {
                let message = format!("{message} is not known");
                self.unsupported(word.start, Some(Feature::Patterns), message, fix);
            }
            SubstitutionError::NoColon(_) => self.unsupported(word.start, None, message, fix),
            _ => self.invalid(word.start, message, fix),
        }
    }
}

/// A flag that an instruction may have.
pub(super) struct FlagRule {
    name: &'static str,
    takes_value: bool,
    needs: Needs,
}

enum Needs {
    /// Any Buildah.
    Any,
    /// One that has this.
    Feature(Feature),
    /// Another builder.
    Another,
}

impl FlagRule {
    /// A flag with a value.
    pub(super) const fn value(name: &'static str) -> Self {
        Self { name, takes_value: true, needs: Needs::Any }
    }

    /// A flag that is there or not.
    pub(super) const fn switch(name: &'static str) -> Self {
        Self { name, takes_value: false, needs: Needs::Any }
    }

    /// The same for a Buildah that has this.
    pub(super) const fn since(self, feature: Feature) -> Self {
        Self { name: self.name, takes_value: self.takes_value, needs: Needs::Feature(feature) }
    }

    /// A flag that only other builders have.
    pub(super) const fn of_others(name: &'static str) -> Self {
        Self { name, takes_value: false, needs: Needs::Another }
    }

    const fn is_never(&self) -> bool {
        matches!(self.needs, Needs::Another)
    }
}
