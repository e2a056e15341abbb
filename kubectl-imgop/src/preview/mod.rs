//! What a copy would do: from the answers of both registries to a table or a document.

pub mod look;
pub mod page;
pub mod report;
pub mod targets;
