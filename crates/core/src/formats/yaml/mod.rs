//! YAML as the tools write it whose files are read here: a tree in which every value knows its line and whether it was
//! quoted, and the writer of go-yaml, byte for byte. No library has either: serde loses lines and quotes, and quotes
//! differently.

mod comments;
mod fields;
mod order;
mod quoting;
mod read;
mod scalar;
mod write;

pub(crate) use comments::comments;
pub(crate) use fields::{Fields, as_bool, check_registry, is_null};
pub(crate) use quoting::is_read_as_text;
pub(crate) use read::{Key, Node, Value, read};
pub(crate) use write::{Out, to_out};

#[cfg(test)]
mod tests;
