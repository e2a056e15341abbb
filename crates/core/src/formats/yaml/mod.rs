//! YAML as the tools write it whose files are read here: a tree in which every value knows its line and whether it was
//! quoted, and the writer of go-yaml, byte for byte. No library has either: serde loses lines and quotes, and quotes
//! differently.

mod fields;
mod quoting;
mod read;
mod write;

pub(super) use fields::{Fields, as_bool};
pub(super) use quoting::is_read_as_text;
pub(super) use read::{Node, Value, read};
pub(super) use write::Out;

#[cfg(test)]
mod tests;
