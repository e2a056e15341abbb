//! The verbs, one file each. Each has its arguments, whose comments are its help, and `run`.

pub mod build;
pub mod cancel;
pub mod completion;
pub mod copy;
mod default_destination;
pub mod delete;
pub mod describe;
pub mod history;
pub mod list;
pub mod logs;
pub mod preview;
pub mod quota;
pub mod resume;
pub mod search;
pub mod suspend;
pub mod sync;
pub mod tags;
pub mod verify;
pub mod version;
pub mod wait;
