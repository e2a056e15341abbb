//! What a copy would do: both registries are asked from this machine, and the agent's plan is worked out.

pub mod absent;
pub mod cluster_images;
pub mod default_destination;
pub mod details;
pub mod document;
pub mod files;
pub mod inspect;
pub mod inventory;
pub mod page;
pub mod previews;
mod report;
mod rows;
pub mod sides;
pub mod targets;
mod unknown_fields;
