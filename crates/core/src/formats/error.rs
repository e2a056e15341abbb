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
    /// A value that cannot be used.
    #[error("{0}")]
    Value(String),
}
