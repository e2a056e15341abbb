//! What runs in the three containers of a build's pod, one after the other.
//!
//! ```text
//! prepare  context, Dockerfile, base images ─▶ /work: files, storage, pinned Dockerfile    /prepared: what push trusts
//! build    buildah build                    ─▶ /work/out: an image that nobody vouches for
//! push     checks it, gives the base its own layers back, skopeo copy by digest
//! ```
//!
//! Programs are started with argument vectors and an environment of our own; no shell reads a text of a user.

pub mod access;
pub mod bases;
pub mod build;
pub mod buildah;
pub mod context;
pub mod dockerfile;
mod failed;
mod handover;
mod places;
mod prepare;
mod program;
pub mod push;
pub mod refusal;

pub use failed::Failed;
pub use handover::{BuildHandover, HandedBase, PushHandover};
pub use places::Places;
pub use prepare::prepare;
pub use program::{Finished, Program};
