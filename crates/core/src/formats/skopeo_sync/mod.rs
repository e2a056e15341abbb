//! The file of `skopeo sync --src yaml`: repositories with their tags, by registry. Where they go to is an argument there.

mod read;
mod write;

pub(super) use read::read;
pub use write::{Written, written};
