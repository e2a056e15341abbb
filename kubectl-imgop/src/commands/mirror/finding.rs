//! Something that is wrong in a file, and where.

use std::fmt;

use imgop_core::formats::FormatError;
use imgop_core::inventory::{InventoryError, InventoryProblem, Place};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli_error::CliError;

/// Something that is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The field as a path, where one is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Finding {
    /// Returns what concerns a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, field: None, message: message.into() }
    }

    /// Returns what concerns a line.
    pub fn of_line(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::of_file(file, message) }
    }

    /// Returns what is wrong in a file of another tool.
    pub fn of_format(file: &str, error: &FormatError) -> Self {
        let field = Some(error.field.clone()).filter(|field| !field.is_empty());
        Self { field, ..Self::of_line(file, error.line, error.problem.to_string()) }
    }

    /// Returns everything that is wrong in an inventory.
    pub fn of_inventory(file: &str, error: &InventoryError) -> Vec<Self> {
        let finding = |InventoryProblem { place, message }: &InventoryProblem| match place {
            Place::File { file, line } => Self::of_line(file, *line, message),
            Place::Spec(field) => {
                Self { field: Some(format!("spec.{field}")), ..Self::of_file(file, message) }
            }
        };
        error.problems.iter().map(finding).collect()
    }
}

impl fmt::Display for Finding {
    /// As compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: ", self.file)?,
            None => write!(f, "{}: ", self.file)?,
        }
        self.field.iter().try_for_each(|field| write!(f, "{field}: "))?;
        f.write_str(&self.message)
    }
}

/// Returns these as the one error of a verb that needs the whole file.
pub fn failed(findings: &[Finding]) -> CliError {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    CliError::failed(lines.join("\n"))
}
