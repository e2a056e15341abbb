//! What an `ImageMirror` means: its entries, those of files with them, and the Images that they become. Pure; agent and
//! plugin come to the same answer.
//!
//! ```text
//!  spec ─┐
//!        ├─ Inventory::read ──▶ Inventory ── expand ──▶ Expansion { children, conflicts }
//!  files ┘   names, targets                  rows           │
//!                                                           └─▶ Image specs (child.rs)
//! ```

mod child;
mod containerd;
mod division;
mod error;
mod expand;
mod image_spec;
mod naming;
mod read;
mod recorded;
mod updates;

pub(crate) use child::child_name;
pub use child::{Child, Selected, is_child_name, mirror_label};
pub use containerd::ContainerdHosts;
pub use error::{InventoryError, InventoryProblem, Place};
pub use expand::{Conflict, Expansion, Row};
pub use image_spec::source_endpoint;
pub(crate) use image_spec::{endpoint_among, mirrored_source};
pub use naming::{NameError, Names, Template, TemplateError};
pub use read::{FileEntry, FilePart, Inventory, MAX_ROWS};
pub use updates::{KeptTags, MirrorUpdateRequest, Reached};

#[cfg(test)]
mod tests;
