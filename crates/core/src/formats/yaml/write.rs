//! A tree as go-yaml writes it: two spaces a level, the dash of a list in the column of its key.

use super::quoting::quoted;

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Text(String),
    Bool(bool),
    Number(u64),
    List(Vec<Out>),
    /// Sorted when it is written.
    Map(Vec<(&'static str, Out)>),
}

impl Out {
    /// Returns the document.
    pub(crate) fn document(mut self) -> String {
        self.sort();
        let mut out = String::new();
        match &self {
            Self::Map(map) => write_map(&mut out, map, 0, false),
            Self::List(list) => write_list(&mut out, list, 0),
            scalar => {
                write_scalar(&mut out, scalar);
            }
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out
    }

    fn sort(&mut self) {
        match self {
            Self::Map(map) => {
                map.sort_by_key(|(key, _)| *key);
                for (_, value) in map {
                    value.sort();
                }
            }
            Self::List(list) => list.iter_mut().for_each(Self::sort),
            Self::Text(_) | Self::Bool(_) | Self::Number(_) => {}
        }
    }
}

fn write_scalar(out: &mut String, value: &Out) {
    match value {
        Out::Text(text) => out.push_str(&quoted(text)),
        Out::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Out::Number(value) => out.push_str(&value.to_string()),
        Out::List(_) => out.push_str("[]"),
        Out::Map(_) => out.push_str("{}"),
    }
}

/// Writes fields; where the first stands behind a dash, it is not indented.
fn write_map(out: &mut String, map: &[(&'static str, Out)], indent: usize, follows_dash: bool) {
    if map.is_empty() {
        return out.push_str("{}\n");
    }
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 || !follows_dash {
            push_indent(out, indent);
        }
        out.push_str(&quoted(key));
        out.push(':');
        match value {
            Out::List(list) if !list.is_empty() => {
                out.push('\n');
                write_list(out, list, indent);
            }
            Out::Map(map) if !map.is_empty() => {
                out.push('\n');
                write_map(out, map, indent + 2, false);
            }
            scalar => {
                out.push(' ');
                write_scalar(out, scalar);
                out.push('\n');
            }
        }
    }
}

fn write_list(out: &mut String, list: &[Out], indent: usize) {
    if list.is_empty() {
        return out.push_str("[]\n");
    }
    for item in list {
        push_indent(out, indent);
        out.push_str("- ");
        match item {
            Out::Map(map) => write_map(out, map, indent + 2, true),
            Out::List(list) if !list.is_empty() => write_list(out, list, indent + 2),
            scalar => {
                write_scalar(out, scalar);
                out.push('\n');
            }
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}
