//! What `-o` prints.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
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

/// Formats of what is copied and built from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// A document of apiVersion imgop.copy/v1; with --watch a line of apiVersion imgop.run/v1 for each event
    Json,
    /// A document of apiVersion imgop.copy/v1
    Yaml,
    /// The references that were written, or would be, a line each
    Name,
}

/// Formats of `copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CopyFormat {
    /// The Image; with --local a document of apiVersion imgop.copy/v1
    Json,
    /// The Image; with --local a document of apiVersion imgop.copy/v1
    Yaml,
    /// Kind and name; with --local the references that were written, or would be, a line each
    Name,
}

impl From<CopyFormat> for RunFormat {
    fn from(format: CopyFormat) -> Self {
        match format {
            CopyFormat::Json => Self::Json,
            CopyFormat::Yaml => Self::Yaml,
            CopyFormat::Name => Self::Name,
        }
    }
}

/// Formats of things that have no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DocumentFormat {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Flags of verbs that print a table, or something else in one of these formats.
#[derive(Debug, Args)]
pub struct PrintedArgs<F: ValueEnum + Send + Sync + 'static = DocumentFormat> {
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<F>,

    /// Print only the rows of the table
    #[arg(long)]
    pub no_headers: bool,
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
    let text = to_yaml(value)?;
    if !text.contains(is_escaped_in_yaml) {
        return Ok(text);
    }
    // What must not reach a terminal as it is can be escaped in double quotes only. A word that needs no quotes
    // stands for each such text until the rest is written.
    let mut value = serde_json::to_value(value)
        .map_err(|error| CliError::failed(format!("cannot write YAML: {error}")))?;
    let mut quoted = Quoted { word: unused_word(&text), texts: Vec::new() };
    quoted.take_from(&mut value);
    Ok(quoted.put_into(&to_yaml(&value)?))
}

fn to_yaml(value: &impl Serialize) -> Result<String, CliError> {
    serde_saphyr::to_string(value).map_err(|error| CliError::failed(format!("cannot write YAML: {error}")))
}

fn is_escaped_in_yaml(c: char) -> bool {
    is_invisible(c) && !matches!(c, '\n' | '\t')
}

/// Returns a word that the text does not have.
fn unused_word(text: &str) -> String {
    let mut word = "quoted".to_owned();
    while text.contains(&word) {
        word.push('q');
    }
    word
}

/// Texts that are written in double quotes, each with a word in its place.
struct Quoted {
    word: String,
    texts: Vec<String>,
}

impl Quoted {
    fn take_from(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => self.take(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.take_from(item)),
            Value::Object(fields) => {
                for (mut name, mut value) in std::mem::take(fields) {
                    self.take(&mut name);
                    self.take_from(&mut value);
                    fields.insert(name, value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn take(&mut self, text: &mut String) {
        if text.contains(is_escaped_in_yaml) {
            let stand_in = self.stand_in(self.texts.len());
            self.texts.push(std::mem::replace(text, stand_in));
        }
    }

    /// Returns the word for a text; none is the beginning of another one.
    fn stand_in(&self, index: usize) -> String {
        format!("{}{index}end", self.word)
    }

    fn put_into(&self, yaml: &str) -> String {
        let texts = self.texts.iter().enumerate();
        texts
            .fold(yaml.to_owned(), |yaml, (i, text)| yaml.replace(&self.stand_in(i), &in_double_quotes(text)))
    }
}

/// Returns a text as a double-quoted scalar of YAML.
fn in_double_quotes(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if is_escaped_in_yaml(c) => {
                let _ = match u32::from(c) {
                    code @ 0..=0xFFFF => write!(quoted, "\\u{code:04X}"),
                    code => write!(quoted, "\\U{code:08X}"),
                };
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
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
    fn yaml_stays_yaml_whatever_it_holds() {
        let invisible = (0..=0x10_FFFF).filter_map(char::from_u32).filter(|c| is_invisible(*c));
        for c in invisible {
            let name = format!("k{c}");
            let value = serde_json::json!({ "plain": format!("👩{c}👧"), "quoted": format!("\"a: '{c}\\u{{200d}}"),
                "lines": format!("a\nb{c}\n"), "list": [format!("{c}"), "quoted0end"], name: "v" });
            let text = yaml(&value).unwrap();
            assert!(!text.contains(is_escaped_in_yaml), "{text:?}");
            assert_eq!(crate::output::text::printable(&text), text, "it is printed as it is");
            assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value, "{:x}", u32::from(c));
        }
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
