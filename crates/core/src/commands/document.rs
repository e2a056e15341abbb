//! A document in the arguments of a container.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of one argument; Linux takes 128 KiB (`MAX_ARG_STRLEN`).
pub(crate) const MAX_PART_BYTES: usize = 96 << 10;

/// Why arguments are no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the arguments are no document that this version reads: {problem}; agent and Job image must be of one version"
)]
pub struct DocumentError {
    problem: String,
}

impl DocumentError {
    fn new(error: &serde_json::Error) -> Self {
        Self { problem: error.to_string() }
    }
}

/// Returns a document as arguments of a container, each short enough for Linux. They hold no `$`: Kubernetes replaces
/// `$(NAME)` and `$$` in arguments.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn to_arguments(document: &impl Serialize) -> Result<Vec<String>, DocumentError> {
    let text = serde_json::to_string(document).map_err(|error| DocumentError::new(&error))?;
    // In JSON a dollar sign stands only within texts.
    Ok(split(&text.replace('$', "\\u0024")))
}

/// Reads what [`to_arguments`] returned.
///
/// # Errors
/// If it is another document.
pub fn from_arguments<T: DeserializeOwned>(arguments: &[String]) -> Result<T, DocumentError> {
    serde_json::from_str(&arguments.concat()).map_err(|error| DocumentError::new(&error))
}

/// Splits a text between characters.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = (0..=rest.len().min(MAX_PART_BYTES)).rev().find(|at| rest.is_char_boundary(*at));
        let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
        parts.push(part.to_owned());
        rest = behind;
    }
    parts
}
