//! What is wrong with a Dockerfile, with the place and the fix.

use std::fmt;

use super::BuildahVersion;

/// A place in a Dockerfile. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// How a problem ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The image is built, and something is other than it looks.
    Warning,
    /// It is a mistake, whatever builds it.
    Invalid,
    /// It is right, and the Buildah that would build it cannot do it.
    Unsupported {
        /// The first version that can; none if no version can.
        needs: Option<BuildahVersion>,
    },
}

/// One thing that is wrong with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub position: Position,
    /// How it ends.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    /// Returns a mistake.
    pub(super) fn invalid(position: Position, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { position, severity: Severity::Invalid, message: message.into(), fix: fix.into() }
    }

    /// Returns something that is other than it looks.
    pub(super) fn warning(position: Position, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::invalid(position, message, fix) }
    }

    /// Returns something that a version of Buildah cannot do.
    pub(super) fn unsupported(
        position: Position,
        needs: Option<BuildahVersion>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Unsupported { needs }, ..Self::invalid(position, message, fix) }
    }

    /// Whether nothing may be built.
    pub fn is_error(&self) -> bool {
        self.severity != Severity::Warning
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)?;
        if let Severity::Unsupported { needs: Some(version) } = self.severity {
            write!(f, " (needs Buildah {version} or newer)")?;
        }
        if self.fix.is_empty() { Ok(()) } else { write!(f, "; {}", self.fix) }
    }
}
