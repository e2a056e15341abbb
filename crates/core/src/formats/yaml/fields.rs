//! The fields of an object, taken one by one, so that one that is left over is a mistake that is named.

use imgop_registry::reference::{RegistryHost, Repository};

use super::read::{Key, Node, Value};
use crate::formats::{FormatError, Problem};

/// The fields of an object in a file. Names are compared without case, as Go's JSON does.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Where the object stands: `Images[3]`, or empty for the whole file.
    path: String,
    line: usize,
    left: Vec<(Key, Node)>,
    asked: Vec<&'static str>,
}

impl Fields {
    /// Returns the fields of a value that has to be an object.
    pub(crate) fn of(node: Node, path: impl Into<String>) -> Result<Self, FormatError> {
        let (path, line) = (path.into(), node.line);
        match node.value {
            Value::Map(left) => Ok(Self { path, line, left, asked: Vec::new() }),
            other => Err(FormatError {
                line,
                field: path,
                problem: Problem::Type { expected: "an object", found: other.kind() },
            }),
        }
    }

    /// The line in which the object begins.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Returns the path of a field.
    pub(crate) fn path(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }

    /// Returns an error about a field.
    pub(crate) fn error(&self, line: usize, name: &str, problem: Problem) -> FormatError {
        FormatError { line, field: self.path(name), problem }
    }

    /// Takes a field, unless it is absent or null.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Option<Node>, FormatError> {
        self.asked.push(name);
        let mut found = None;
        while let Some(at) = self.left.iter().position(|(key, _)| key.name.eq_ignore_ascii_case(name)) {
            let (key, node) = self.left.remove(at);
            if let Some((first, _)) = found {
                return Err(self.error(key.line, name, Problem::DuplicateKey { name: key.name, first }));
            }
            found = Some((key.line, node));
        }
        Ok(found.map(|(_, node)| node).filter(|node| !is_null(node)))
    }

    /// Takes a field with text. Numbers and truth values stay as they are written.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<(usize, String)>, FormatError> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        match node.value {
            Value::Scalar { text, .. } => Ok(Some((node.line, text))),
            other => {
                Err(self.error(node.line, name, Problem::Type { expected: "text", found: other.kind() }))
            }
        }
    }

    /// Takes a field with text that has to be there.
    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<(usize, String), FormatError> {
        self.text(name)?.ok_or_else(|| self.error(self.line, "", Problem::Missing(name)))
    }

    /// Takes a field with a registry that has to be there.
    pub(crate) fn required_registry(&mut self, name: &'static str) -> Result<String, FormatError> {
        let (line, text) = self.required_text(name)?;
        check_registry(&text).map_err(|problem| self.error(line, name, problem))?;
        Ok(text)
    }

    /// Takes a field with a list; an absent one is empty.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Node>, FormatError> {
        let Some(node) = self.take(name)? else { return Ok(Vec::new()) };
        match node.value {
            Value::List(list) => Ok(list),
            other => {
                Err(self.error(node.line, name, Problem::Type { expected: "a list", found: other.kind() }))
            }
        }
    }

    /// Takes a field with `true` or `false`.
    pub(crate) fn bool(&mut self, name: &'static str) -> Result<Option<bool>, FormatError> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        match as_bool(&node.value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error(
                node.line,
                name,
                Problem::Type { expected: "true or false", found: node.value.kind() },
            )),
        }
    }

    /// Takes a field with a whole number.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<u64>, FormatError> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        let number = match &node.value {
            Value::Scalar { text, is_plain: true } => text.parse().ok(),
            _ => None,
        };
        let problem = || Problem::Type { expected: "a whole number", found: node.value.kind() };
        number.map(Some).ok_or_else(|| self.error(node.line, name, problem()))
    }

    /// Takes a field with a list of texts, each with its line.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<(usize, String)>, FormatError> {
        let path = self.path(name);
        let texts = self.list(name)?.into_iter().enumerate().map(|(at, node)| match node.value {
            Value::Scalar { text, .. } => Ok((node.line, text)),
            other => Err(FormatError {
                line: node.line,
                field: format!("{path}[{at}]"),
                problem: Problem::Type { expected: "text", found: other.kind() },
            }),
        });
        texts.collect()
    }

    /// Takes the fields of an object; an absent one has none.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Self>, FormatError> {
        let path = self.path(name);
        self.take(name)?.map(|node| Self::of(node, path)).transpose()
    }

    /// Takes all fields that are left, by the names that they have in the file.
    pub(crate) fn rest(&mut self) -> Vec<(String, Node)> {
        std::mem::take(&mut self.left).into_iter().map(|(key, node)| (key.name, node)).collect()
    }

    /// Takes fields of which the text says why they are not carried, and returns a note for each that says something.
    pub(crate) fn not_carried(
        &mut self,
        reasons: &[(&'static str, &str)],
    ) -> Result<Vec<FormatError>, FormatError> {
        let mut notes = Vec::new();
        for (name, reason) in reasons {
            let Some(node) = self.take(name)?.filter(|node| !is_zero(&node.value)) else { continue };
            let problem = Problem::NotCarried((*reason).to_owned());
            notes.push(self.error(node.line, name, problem));
        }
        Ok(notes)
    }

    /// Returns an error about the first field that was not taken.
    pub(crate) fn finish(self) -> Result<(), FormatError> {
        let Some((key, _)) = self.left.first() else { return Ok(()) };
        let lower = key.name.to_ascii_lowercase();
        let distance = |known: &&&str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &lower);
        let nearest = self.asked.iter().min_by_key(distance).filter(|known| distance(known) <= 3);
        let problem =
            Problem::UnknownKey { name: key.name.clone(), nearest: nearest.map(|known| (*known).to_owned()) };
        Err(FormatError { line: key.line, field: self.path, problem })
    }
}

/// Fails where a text is no registry in front of a path, but would be read as a part of that.
pub(crate) fn check_registry(text: &str) -> Result<(), Problem> {
    if text.parse::<RegistryHost>().is_ok() && Repository::names_registry(&format!("{text}/name")) {
        return Ok(());
    }
    let problem = format!("{text:?} is no registry; write its host, such as quay.io or localhost:5000");
    Err(Problem::Value(problem))
}

/// Returns `true` and `false` in any of YAML 1.1's words, unquoted.
pub(crate) fn as_bool(value: &Value) -> Option<bool> {
    let Value::Scalar { text, is_plain: true } = value else { return None };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// Whether a value is none.
pub(crate) fn is_null(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, is_plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
}

/// Whether a value says what its absence says.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Scalar { text, is_plain } => {
            text.is_empty() || *is_plain && text == "0" || as_bool(value) == Some(false)
        }
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
    }
}
