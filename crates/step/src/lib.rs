//! What runs in the three containers of a build's pod, one after the other.
//!
//! ```text
//! prepare  context, Dockerfile, base images ─▶ /work: files, storage, pinned Dockerfile    /prepared: what push trusts
//! build    buildah build                    ─▶ /work/out: an image that is not trusted
//! push     checks it, gives the base its own layers back, skopeo copy by digest
//! ```
//!
//! Beside them it reads, in a container after Helm's, which images a rendered chart has ([`images_of`]).
//!
//! Programs are started with argument vectors and an environment of our own; no shell reads a text of a user.

pub mod access;
mod added_archives;
pub mod bases;
pub mod build;
pub mod buildah;
pub mod context;
pub mod dockerfile;
mod end_request;
mod failed;
mod handover;
pub mod images_of;
mod places;
mod prepare;
mod process;
mod program;
pub mod push;
pub mod refusal;

use std::fmt;
use std::io::Write as _;

pub use end_request::EndRequest;
pub use failed::Failed;
pub use handover::{BuildHandover, HandedBase, PushHandover, Trigger};
pub use places::Places;
pub use prepare::prepare;
pub use process::process;
pub use program::{Finished, Program};

/// Writes a line to the container's log.
fn note(line: fmt::Arguments<'_>) {
    // Who no longer reads the log does not end the build.
    let _ = writeln!(std::io::stderr(), "{}", imgop_registry::printable(&line.to_string()));
}
