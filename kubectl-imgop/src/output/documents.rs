//! What `-o` prints.

use std::fmt::Write as _;

use clap::ValueEnum;
use imgop_core::text::is_invisible;
use kube::core::{ApiResource, DynamicObject, TypeMeta};
use serde::Serialize;
use serde_json::Value;

use super::Ui;
use crate::cli_error::CliError;

/// Formats of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// Whole objects
    Json,
    /// Whole objects
    Yaml,
    /// Kind and name, a line each
    Name,
}

/// Formats of a preview.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PreviewFormat {
    /// A table
    #[default]
    Table,
    /// A table with whole digests
    Wide,
    /// A document of apiVersion imgop.preview/v1
    Json,
    /// A document of apiVersion imgop.preview/v1
    Yaml,
    /// The references that would be written, a line each
    Name,
}

/// Formats of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectFormat {
    /// The whole object
    Json,
    /// The whole object
    Yaml,
    /// Kind and name
    Name,
}

/// Formats of things that have no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DocumentFormat {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Returns an object as kubectl shows it: without the record of who set which field, and with its kind,
/// which lists leave out.
pub fn document(mut object: DynamicObject, resource: &ApiResource) -> Result<Value, CliError> {
    object.metadata.managed_fields = None;
    let types = object.types.take().filter(|types| !types.kind.is_empty());
    object.types = Some(types.unwrap_or_else(|| TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    }));
    serde_json::to_value(object)
        .map_err(|error| CliError::failed(format!("cannot write the object: {error}")))
}

/// Returns a document as JSON, indented as kubectl does it.
pub fn json(value: &impl Serialize) -> Result<String, CliError> {
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
    value
        .serialize(&mut serializer)
        .map_err(|error| CliError::failed(format!("cannot write JSON: {error}")))?;
    let text = String::from_utf8_lossy(&text);
    // JSON escapes only the characters below a space. The others that a terminal acts on can stand
    // in strings only, where `\u` is an escape as well.
    let mut safe = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_invisible(c) && c != '\n' {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe.push('\n');
    Ok(safe)
}

/// Returns a document as YAML.
pub fn yaml(value: &impl Serialize) -> Result<String, CliError> {
    serde_saphyr::to_string(value).map_err(|error| CliError::failed(format!("cannot write YAML: {error}")))
}

impl DocumentFormat {
    /// Prints a document.
    pub fn print(self, ui: Ui, value: &impl Serialize) -> Result<(), CliError> {
        ui.data(&match self {
            Self::Json => json(value)?,
            Self::Yaml => yaml(value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_and_holds_no_terminal_escapes() {
        let value = serde_json::json!({ "message": "a\u{1b}[31m\u{9b}2J\u{202e}\u{7f} é" });
        let text = json(&value).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7f}']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn yaml_that_readers_of_yaml_1_1_would_misread_is_quoted() {
        let value =
            serde_json::json!({ "a": "1.10", "b": "on", "c": "v2.13.x", "d": "12:30", "e": "sha256:00" });
        insta::assert_snapshot!(yaml(&value).unwrap(), @r#"
        a: "1.10"
        b: "on"
        c: v2.13.x
        d: "12:30"
        e: sha256:00
        "#);
    }
}
