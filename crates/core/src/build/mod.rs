//! From what an `ImageBuilder` asks for to what is built.
//!
//! ```text
//! request     a spec, parsed                      reference  an image with tag and digest
//! dockerfile  what a Dockerfile says, before any pod: stages, images, mistakes
//! ```

pub mod dockerfile;
mod quantity;
mod reference;
mod request;
mod spec_checks;

pub use reference::ImageReference;
pub use request::{
    ArgValue, BuildCache, BuildContext, BuildRequest, Destination, DockerfilePlace, SpecError, Timestamp,
};
