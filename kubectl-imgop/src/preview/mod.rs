//! What a copy would do: from the answers of both registries to a table or a document.

mod absent;
pub mod inspect;
pub mod page;
pub mod report;
pub mod targets;
