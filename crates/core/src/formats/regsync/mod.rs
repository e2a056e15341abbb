//! `regsync.yaml` of regclient: steps, each with a source and a target.

mod defaults;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::document;
pub use write::{Step, written};
