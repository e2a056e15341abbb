//! Prunes the API server's JSON while it arrives: of each object only the fields that are kept are ever in
//! memory, however large it is. It knows the two shapes of answers, a list and the events of a watch.

use std::collections::VecDeque;

use super::keep::Keep;

/// The longest key that is compared; longer ones are of no field that is kept.
const MAX_KEY: usize = 512;
/// Fields of the metadata that are kept.
const METADATA: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "ownerReferences",
];
/// Fields of a `Status`, which a watch sends as an event when it fails.
const STATUS: [&str; 4] = ["code", "message", "reason", "details"];

/// The shape of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list of objects.
    List,
    /// Events, one after the other, each with an object.
    Events,
}

/// A part of an answer, as JSON.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// The metadata of a list: its version, and the token of the next page.
    ListMetadata(Vec<u8>),
    /// An object of a list, or an event with its object.
    Object {
        /// The object, without what is not kept.
        json: Vec<u8>,
        /// Whether fields that are kept had to be left out.
        is_too_large: bool,
    },
}

/// The answer is not JSON of the shape that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the API server's answer is not a list or a watch")]
pub struct Malformed;

/// Reads an answer, chunk by chunk.
#[derive(Debug)]
pub struct Pruner {
    keep: Keep,
    shape: Shape,
    levels: Vec<Level>,
    state: State,
    key: Vec<u8>,
    out: Vec<u8>,
    is_too_large: bool,
    is_complete: bool,
}

/// A container whose members are chosen one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    List,
    Items,
    Event,
    Object,
    Metadata,
    Labels,
    Annotations,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Copy,
    Enter(Level),
    Drop,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a member, an element, or the end of a container.
    Between,
    /// In a key.
    Key { is_escaped: bool },
    /// Between a key and its value.
    Colon,
    /// In a value that is copied or dropped as a whole.
    Value(Value),
}

#[derive(Debug, Clone, Copy)]
struct Value {
    /// Where its member begins in the output; none if it is dropped.
    copied_from: Option<usize>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Pruner {
    /// Reads an answer of this shape from its beginning.
    pub fn new(shape: Shape, keep: Keep) -> Self {
        Self {
            keep,
            shape,
            levels: Vec::new(),
            state: State::Between,
            key: Vec::new(),
            out: Vec::new(),
            is_too_large: false,
            is_complete: false,
        }
    }

    /// Returns whether the answer may end here.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Reads the next bytes; adds the parts that end in them.
    pub fn push(&mut self, bytes: &[u8], parts: &mut VecDeque<Part>) -> Result<(), Malformed> {
        for &byte in bytes {
            // A byte that ends a number or a word belongs to what comes after it.
            while !self.step(byte, parts)? {}
        }
        Ok(())
    }

    /// Returns whether the byte is done with.
    fn step(&mut self, byte: u8, parts: &mut VecDeque<Part>) -> Result<bool, Malformed> {
        match self.state {
            State::Between => self.between(byte, parts)?,
            State::Key { is_escaped } => self.in_key(byte, is_escaped),
            State::Colon if byte == b':' || byte.is_ascii_whitespace() => {}
            State::Colon => return self.begin_member(byte, parts),
            State::Value(value) => return Ok(self.in_value(byte, value, parts)),
        }
        Ok(true)
    }

    fn between(&mut self, byte: u8, parts: &mut VecDeque<Part>) -> Result<(), Malformed> {
        let level = self.levels.last().copied();
        match (byte, level) {
            (b',', _) => {}
            (byte, _) if byte.is_ascii_whitespace() => {}
            (b'{', None) => self.enter(if self.shape == Shape::List { Level::List } else { Level::Event }),
            (b'{', Some(Level::Items)) => self.enter(Level::Object),
            (b'"', Some(level)) if level != Level::Items => {
                self.key.clear();
                self.state = State::Key { is_escaped: false };
            }
            (b'}' | b']', Some(level)) => self.leave(level, parts),
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn enter(&mut self, level: Level) {
        let begins = self.levels.is_empty() || level == Level::Object && self.shape == Shape::List;
        if begins {
            self.out.clear();
            self.is_too_large = false;
            self.is_complete = false;
        }
        if !matches!(level, Level::List | Level::Items) {
            self.out.push(b'{');
        }
        self.levels.push(level);
        self.state = State::Between;
    }

    fn leave(&mut self, level: Level, parts: &mut VecDeque<Part>) {
        self.levels.pop();
        if !matches!(level, Level::List | Level::Items) {
            self.out.push(b'}');
        }
        let is_whole =
            level == Level::Event || level == Level::Object && self.levels.last() == Some(&Level::Items);
        if is_whole {
            let json = std::mem::take(&mut self.out);
            parts.push_back(Part::Object { json, is_too_large: self.is_too_large });
        }
        self.is_complete = self.levels.is_empty();
    }

    fn in_key(&mut self, byte: u8, is_escaped: bool) {
        if byte == b'"' && !is_escaped {
            self.state = State::Colon;
            return;
        }
        if self.key.len() < MAX_KEY {
            self.key.push(byte);
        }
        self.state = State::Key { is_escaped: byte == b'\\' && !is_escaped };
    }

    /// Decides what becomes of a member, by its key and the first byte of its value.
    fn begin_member(&mut self, byte: u8, parts: &mut VecDeque<Part>) -> Result<bool, Malformed> {
        let level = *self.levels.last().ok_or(Malformed)?;
        let choice = choice(level, &self.key, self.keep);
        let is_container = byte == if choice == Choice::Enter(Level::Items) { b'[' } else { b'{' };
        if let Choice::Enter(inner) = choice
            && is_container
        {
            if inner != Level::Items {
                self.write_key();
            }
            self.enter(inner);
            return Ok(true);
        }
        let has_room = self.out.len() + self.key.len() < self.keep.max_bytes;
        self.is_too_large |= choice == Choice::Copy && !has_room;
        let copied_from = (choice == Choice::Copy && has_room).then_some(self.out.len());
        if copied_from.is_some() && level != Level::List {
            self.write_key();
        }
        let value = Value { copied_from, depth: 0, in_string: false, is_escaped: false };
        self.state = State::Value(value);
        Ok(self.in_value(byte, value, parts))
    }

    fn write_key(&mut self) {
        if self.out.last().is_some_and(|last| *last != b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(&self.key);
        self.out.extend_from_slice(b"\":");
    }

    /// Returns whether the byte belongs to the value.
    fn in_value(&mut self, byte: u8, mut value: Value, parts: &mut VecDeque<Part>) -> bool {
        let (mut ends, mut belongs) = (false, true);
        if value.in_string {
            value.in_string = byte != b'"' || value.is_escaped;
            value.is_escaped = byte == b'\\' && !value.is_escaped;
            ends = !value.in_string && value.depth == 0;
        } else {
            match byte {
                b'"' => value.in_string = true,
                b'{' | b'[' => value.depth += 1,
                b'}' | b']' | b',' if value.depth == 0 => (ends, belongs) = (true, false),
                b'}' | b']' => {
                    value.depth -= 1;
                    ends = value.depth == 0;
                }
                byte if byte.is_ascii_whitespace() && value.depth == 0 => (ends, belongs) = (true, false),
                _ => {}
            }
        }
        if belongs {
            self.copy(byte, &mut value);
        }
        self.state = if ends { State::Between } else { State::Value(value) };
        if ends && self.levels.last() == Some(&Level::List) && value.copied_from.is_some() {
            parts.push_back(Part::ListMetadata(std::mem::take(&mut self.out)));
        }
        belongs
    }

    /// A member that does not fit is left out as a whole, so that what is there stays JSON.
    fn copy(&mut self, byte: u8, value: &mut Value) {
        let Some(from) = value.copied_from else { return };
        if self.out.len() < self.keep.max_bytes {
            self.out.push(byte);
        } else {
            self.out.truncate(from);
            self.is_too_large = true;
            value.copied_from = None;
        }
    }
}

fn choice(level: Level, key: &[u8], keep: Keep) -> Choice {
    let Ok(key) = std::str::from_utf8(key) else { return Choice::Drop };
    let copied = |is_kept| if is_kept { Choice::Copy } else { Choice::Drop };
    match (level, key) {
        (Level::List, "items") => Choice::Enter(Level::Items),
        (Level::List, _) => copied(key == "metadata"),
        (Level::Event, "object") => Choice::Enter(Level::Object),
        (Level::Event, _) => copied(key == "type"),
        (Level::Object, "metadata") => Choice::Enter(Level::Metadata),
        (Level::Object, "apiVersion" | "kind") => Choice::Copy,
        (Level::Object, _) => copied(keep.fields.contains(&key) || STATUS.contains(&key)),
        (Level::Metadata, "labels") => Choice::Enter(Level::Labels),
        (Level::Metadata, "annotations") => Choice::Enter(Level::Annotations),
        (Level::Metadata, _) => copied(METADATA.contains(&key)),
        (Level::Labels, _) => copied(keep.labels.contains(&key)),
        (Level::Annotations, _) => copied(keep.annotations.contains(&key)),
        (Level::Items, _) => Choice::Drop,
    }
}

#[cfg(test)]
mod tests;
