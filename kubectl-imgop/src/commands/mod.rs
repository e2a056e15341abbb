//! The verbs, one file each. Each has its arguments, whose comments are its help, and `run`.

pub mod copy;
pub mod describe;
pub mod list;
pub mod preview;
pub mod sync;
pub mod version;
