//! What is wrong in a file, and where.

use std::fmt;

/// What is wrong in a file. The name of the file is added by whoever has read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FormatError {
    /// The line, from 1.
    pub line: usize,
    /// The field as a path: `Images[3].Tags[0]`. Empty where no field is concerned.
    pub field: String,
    /// What is wrong there.
    pub problem: Problem,
}

impl FormatError {
    /// Returns the message with the name of the file, as compilers write it: `FILE:LINE: FIELD: PROBLEM`.
    pub fn in_file(&self, name: &str) -> String {
        let Self { line, field, problem } = self;
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        format!("{name}:{line}: {field}{problem}")
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        self.problem.fmt(f)
    }
}

/// What is wrong in a file, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No YAML.
    #[error("this is no YAML: {0}")]
    Syntax(String),
    /// A file of several documents.
    #[error("the file has several documents; one is read, so make it several files")]
    SeveralDocuments,
    /// A file that would need too much memory.
    #[error("the file has more than {0} values; split it")]
    TooManyValues(usize),
    /// A key that no field has.
    #[error("there is no field {name:?} here{}", nearest.as_ref().map(|near| format!("; do you mean {near}?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        name: String,
        /// The field whose name is nearest.
        nearest: Option<String>,
    },
    /// One field twice.
    #[error("the field {name:?} is already in line {first}; leave one out")]
    DuplicateKey {
        /// The key.
        name: String,
        /// Where it is the first time.
        first: usize,
    },
    /// A field that has to be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Another type of value.
    #[error("this has to be {expected}, and is {found}")]
    Type {
        /// What is expected.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A file that would need too much memory.
    #[error("the file is larger than {0} MiB; split it")]
    TooLarge(usize),
    /// More than an inventory may have.
    #[error("there are {rows} tags at all targets together, and {most} is the most; split the file")]
    TooManyRows {
        /// How many there are.
        rows: usize,
        /// The most that may be.
        most: usize,
    },
    /// A file that is none of those that are read.
    #[error(
        "whose file this is cannot be told from its fields: rancher's has Artifacts or Images, regsync's sync, dregsy's tasks"
    )]
    UnknownFormat,
    /// A file that says where versions are announced.
    #[error(
        "this file says where new versions are announced; kubectl imgop mirror update takes it as --sources"
    )]
    VersionSources,
    /// What a file says and an `ImageMirror` cannot say.
    #[error("not carried: {0}")]
    NotCarried(String),
    /// An entry of a file, or a tag of one, that an `ImageMirror` does not copy.
    #[error("not carried: {0}")]
    LeftOut(String),
    /// What an `ImageMirror` says otherwise than the file.
    #[error("changed: {0}")]
    Changed(String),
    /// The same of further entries.
    #[error("{0} (and {1} more)")]
    AndMore(Box<Problem>, usize),
    /// A value that cannot be used.
    #[error("{0}")]
    Value(String),
}

impl Problem {
    /// Whether something is not copied because of it.
    pub fn is_left_out(&self) -> bool {
        match self {
            Self::LeftOut(_) => true,
            Self::AndMore(problem, _) => problem.is_left_out(),
            _ => false,
        }
    }
}
