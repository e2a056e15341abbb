//! A tree as go-yaml writes it: two spaces a level, the dash of a list in the column of its key.

use std::borrow::Cow;

use super::order::{by_key, sorted};
use super::read::{Node, Value};
use super::scalar::{push_key, push_value};
use super::{as_bool, is_null, is_read_as_text};

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Null,
    Text(String),
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    List(Vec<Out>),
    /// Sorted when it is written.
    Map(Vec<(Cow<'static, str>, Out)>),
}

impl Out {
    /// Returns an object with these fields.
    pub(crate) fn fields(fields: impl IntoIterator<Item = (&'static str, Out)>) -> Self {
        Self::Map(fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// Returns a list of texts.
    pub(crate) fn texts(texts: &[String]) -> Self {
        Self::List(texts.iter().cloned().map(Self::Text).collect())
    }

    /// Returns the document.
    pub(crate) fn document(mut self) -> String {
        self.sort();
        let mut out = String::new();
        match &self {
            Self::Map(map) => push_map(&mut out, map, 0, false),
            Self::List(list) => push_list(&mut out, list, 0, false),
            scalar => push_scalar(&mut out, scalar, 2),
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out
    }

    fn sort(&mut self) {
        match self {
            Self::Map(map) => {
                *map = sorted(std::mem::take(map), &mut |(a, _), (b, _)| by_key(a, b));
                for (_, value) in map {
                    value.sort();
                }
            }
            Self::List(list) => list.iter_mut().for_each(Self::sort),
            Self::Null | Self::Text(_) | Self::Bool(_) | Self::Number(_) => {}
        }
    }
}

/// Returns what was read, to be written. Numbers stay as they are written.
pub(crate) fn to_out(node: &Node) -> Out {
    match &node.value {
        _ if is_null(node) => Out::Null,
        Value::Scalar { text, is_plain: true } if !is_read_as_text(text) => match as_bool(&node.value) {
            Some(value) => Out::Bool(value),
            None => Out::Number(text.clone()),
        },
        Value::Scalar { text, .. } => Out::Text(text.clone()),
        Value::List(list) => Out::List(list.iter().map(to_out).collect()),
        Value::Map(map) => {
            Out::Map(map.iter().map(|(key, node)| (Cow::Owned(key.name.clone()), to_out(node))).collect())
        }
    }
}

fn push_scalar(out: &mut String, value: &Out, indent: usize) {
    match value {
        Out::Null => out.push_str("null"),
        Out::Text(text) => push_value(out, text, indent),
        Out::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Out::Number(value) => out.push_str(value),
        Out::List(_) => out.push_str("[]"),
        Out::Map(_) => out.push_str("{}"),
    }
}

/// Writes fields; where the first stands behind a dash, it is not indented.
fn push_map(out: &mut String, map: &[(Cow<'static, str>, Out)], indent: usize, follows_dash: bool) {
    if map.is_empty() {
        return out.push_str("{}\n");
    }
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 || !follows_dash {
            push_indent(out, indent);
        }
        push_key(out, key);
        out.push(':');
        match value {
            Out::List(list) if !list.is_empty() => {
                out.push('\n');
                push_list(out, list, indent, false);
            }
            Out::Map(map) if !map.is_empty() => {
                out.push('\n');
                push_map(out, map, indent + 2, false);
            }
            scalar => {
                out.push(' ');
                push_scalar(out, scalar, indent + 2);
                out.push('\n');
            }
        }
    }
}

/// Writes items; where the first stands behind the dash of another list, it is not indented.
fn push_list(out: &mut String, list: &[Out], indent: usize, follows_dash: bool) {
    if list.is_empty() {
        return out.push_str("[]\n");
    }
    for (at, item) in list.iter().enumerate() {
        if at > 0 || !follows_dash {
            push_indent(out, indent);
        }
        out.push_str("- ");
        match item {
            Out::Map(map) => push_map(out, map, indent + 2, true),
            Out::List(list) if !list.is_empty() => push_list(out, list, indent + 2, true),
            scalar => {
                push_scalar(out, scalar, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}
