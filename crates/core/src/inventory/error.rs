//! What is wrong in an inventory, and where.

use std::fmt;

/// Why an inventory cannot be used: every problem, each with its place and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InventoryError {
    /// At least one.
    pub problems: Vec<InventoryProblem>,
}

/// Problems that a message shows.
const MAX_SHOWN: usize = 5;

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(MAX_SHOWN).enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        match self.problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// One thing that is wrong with an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryProblem {
    /// Where it is.
    pub place: Place,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for InventoryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A place in an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A field of the spec: `entries[3].source`.
    Spec(String),
    /// A line of a file.
    File {
        /// Which file, as users know it.
        file: String,
        /// The line, from 1.
        line: usize,
    },
}

impl Place {
    /// Returns the place of a field below this one.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        match self {
            Self::Spec(path) => Self::Spec(format!("{path}.{name}")),
            Self::File { .. } => self.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(path) => write!(f, "spec.{path}"),
            Self::File { file, line } => write!(f, "{file}, line {line}"),
        }
    }
}
