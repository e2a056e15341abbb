//! Copies manifests, indexes and what refers to them from one registry to others, byte for byte.
//!
//! ```text
//! copier      what is copied between which repositories       item, options
//!   ├ read         the manifests of an image, as deep as they go, and few bytes at a time (manifest_memory)
//!   │   └ tree, plan    what of them a destination lacks, children before parents. Pure
//!   ├ blobs        each blob once a destination, whatever refers to it (single_flight)
//!   │   ├ blob_reader   from any place on, again after a break, its digest checked while it flows
//!   │   ├ sending       to several destinations at once, again after a failure (tries)
//!   │   └ receiving     to one of them, as a whole or in chunks (journal)
//!   └ manifests    put by digest, the tag last
//! ```
//!
//! How many requests a registry gets at a time, how often they are tried, and credentials are the matter of
//! `imgop-registry`.

mod blob_reader;
mod blobs;
mod chunked;
mod copier;
mod destination;
mod error;
mod item;
mod journal;
mod manifest_memory;
mod manifests;
mod options;
mod plan;
mod progress;
mod read;
mod receiving;
mod sending;
mod single_flight;
mod tree;
mod tries;

pub use copier::Copier;
pub use destination::DestinationId;
pub use error::CopyError;
pub use item::{Copied, Item, Root, SourceId, Target};
pub use journal::{Journal, OpenUpload};
pub use options::Options;
pub use plan::{Plan, PlannedBlob, plan};
pub use progress::Progress;
pub use tree::{Node, Tree};
