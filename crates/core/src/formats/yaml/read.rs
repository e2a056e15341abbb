//! Text to a tree of values.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::formats::{FormatError, MAX_FILE_BYTES, Problem};

/// Values in a file, those that aliases repeat included.
pub(crate) const MAX_VALUES: usize = 500_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// The line, from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text, a number, a truth value: as it is written.
    Scalar {
        /// The text, without quotes.
        text: String,
        /// Whether it stands without quotes, so that go-yaml may take it for another type than text.
        is_plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) line: usize,
    pub(crate) name: String,
}

/// Reads a file of one document. Returns none for an empty one.
///
/// # Errors
/// Where it is no YAML, has several documents, a key twice in one map, or more than 500,000 values.
pub(crate) fn read(text: &str) -> Result<Option<Node>, FormatError> {
    let mut tree = Tree::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| FormatError {
            line: error.marker().line(),
            field: String::new(),
            problem: Problem::Syntax(error.info().clone()),
        })?;
        tree.take(event, span.start.line())?;
    }
    Ok(tree.document)
}

/// A list or map that is not at its end.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Key>,
    /// The lines of the keys of a map.
    lines: HashMap<String, usize>,
}

#[derive(Default)]
struct Tree {
    document: Option<Node>,
    documents: usize,
    open: Vec<Open>,
    /// By the anchors' numbers.
    anchored: std::collections::BTreeMap<usize, (Node, usize)>,
    values: usize,
    /// Bytes of what anchors keep and aliases repeat.
    repeated: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), FormatError> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(at(line, Problem::SeveralDocuments));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar { text: text.into_owned(), is_plain: style == ScalarStyle::Plain };
                self.complete(Node { line, value }, anchor)
            }
            Event::Alias(anchor) => {
                let Some((known, values)) = self.anchored.get(&anchor) else {
                    return Err(at(
                        line,
                        Problem::Syntax("an alias within the value that it names".to_owned()),
                    ));
                };
                let (values, bytes) = (*values, bytes_in(known));
                // Before anything is copied: a few words may name a long text a hundred thousand times.
                self.repeat(values - 1, bytes, line)?;
                let node = self.anchored.get(&anchor).map(|(node, _)| node.clone());
                node.map_or(Ok(()), |node| self.complete(node, 0))
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(Node { line, value: Value::List(Vec::new()) }, anchor);
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(Node { line, value: Value::Map(Vec::new()) }, anchor);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.complete(open.node, open.anchor),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) {
        self.open.push(Open { node, anchor, key: None, lines: HashMap::new() });
    }

    /// Puts a whole value where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), FormatError> {
        self.count(1, node.line)?;
        if anchor > 0 {
            // Anchors within one another keep what the innermost has once each.
            let values = values_in(&node);
            self.repeat(values, bytes_in(&node), node.line)?;
            self.anchored.insert(anchor, (node.clone(), values));
        }
        let Some(open) = self.open.last_mut() else {
            self.document = Some(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(list) => list.push(node),
            Value::Map(map) => match open.key.take() {
                None => open.key = Some(key(node, &mut open.lines)?),
                Some(key) => map.push((key, node)),
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }

    /// Counts what is about to be copied.
    fn repeat(&mut self, values: usize, bytes: usize, line: usize) -> Result<(), FormatError> {
        self.count(values, line)?;
        self.repeated += bytes;
        if self.repeated > MAX_FILE_BYTES {
            return Err(at(line, Problem::TooLarge(MAX_FILE_BYTES >> 20)));
        }
        Ok(())
    }

    fn count(&mut self, values: usize, line: usize) -> Result<(), FormatError> {
        self.values += values;
        if self.values > MAX_VALUES {
            return Err(at(line, Problem::TooManyValues(MAX_VALUES)));
        }
        Ok(())
    }
}

fn key(node: Node, lines: &mut HashMap<String, usize>) -> Result<Key, FormatError> {
    let Value::Scalar { text: name, .. } = node.value else {
        return Err(at(
            node.line,
            Problem::Type { expected: "the name of a field", found: node.value.kind() },
        ));
    };
    match lines.insert(name.clone(), node.line) {
        Some(first) => Err(at(node.line, Problem::DuplicateKey { name, first })),
        None => Ok(Key { line: node.line, name }),
    }
}

fn values_in(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(list) => list.iter().map(values_in).sum(),
        // Each key counts as well.
        Value::Map(map) => map.iter().map(|(_, node)| 1 + values_in(node)).sum(),
    }
}

fn bytes_in(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { text, .. } => text.len(),
        Value::List(list) => list.iter().map(bytes_in).sum(),
        Value::Map(map) => map.iter().map(|(key, node)| key.name.len() + bytes_in(node)).sum(),
    }
}

fn at(line: usize, problem: Problem) -> FormatError {
    FormatError { line, field: String::new(), problem }
}

impl Value {
    /// Returns what kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar { text, is_plain: true } if !super::is_read_as_text(text) => {
                "a number or a truth value"
            }
            Self::Scalar { .. } => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}
