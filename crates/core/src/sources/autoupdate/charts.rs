//! The charts of an entry, and the values that they are rendered with.

use crate::formats::yaml::{Node, Value};
use crate::formats::{FormatError, Problem};
use crate::sources::{Chart, Environment};

/// Reads a chart: its environments by name, each with a list of values.
pub(super) fn chart(name: String, node: Node, path: &str) -> Result<Chart, FormatError> {
    let path = format!("{path}.{name}");
    let line = node.line;
    let environments = maps(node, &path)?.into_iter().map(|(environment, node)| {
        let path = format!("{path}.{environment}");
        let line = node.line;
        let list = match node.value {
            Value::List(list) => list,
            Value::Scalar { is_plain: true, ref text } if matches!(text.as_str(), "" | "~" | "null") => {
                Vec::new()
            }
            other => {
                let problem = Problem::Type { expected: "a list of values", found: other.kind() };
                return Err(FormatError { line, field: path, problem });
            }
        };
        Ok(Environment { name: environment, values: texts(&list, &path)?, kube_version: None })
    });
    let environments = environments.collect::<Result<Vec<_>, _>>()?;
    if environments.is_empty() {
        let problem = Problem::Missing("an environment, which may have an empty list of values,");
        return Err(FormatError { line, field: path, problem });
    }
    Ok(Chart { name, environments, ..Chart::default() })
}

/// Reads an object whose keys are data.
pub(super) fn maps(node: Node, path: &str) -> Result<Vec<(String, Node)>, FormatError> {
    match node.value {
        Value::Map(map) => Ok(map.into_iter().map(|(key, node)| (key.name, node)).collect()),
        other => {
            let problem = Problem::Type { expected: "an object", found: other.kind() };
            Err(FormatError { line: node.line, field: path.to_owned(), problem })
        }
    }
}

/// Reads a list of texts.
pub(super) fn texts(list: &[Node], path: &str) -> Result<Vec<String>, FormatError> {
    let texts = list.iter().enumerate().map(|(at, node)| text(node, &format!("{path}[{at}]")));
    texts.map(|text| text.map(str::to_owned)).collect()
}

/// Reads text.
pub(super) fn text<'a>(node: &'a Node, path: &str) -> Result<&'a str, FormatError> {
    match &node.value {
        Value::Scalar { text, .. } => Ok(text),
        other => {
            let problem = Problem::Type { expected: "text", found: other.kind() };
            Err(FormatError { line: node.line, field: path.to_owned(), problem })
        }
    }
}
