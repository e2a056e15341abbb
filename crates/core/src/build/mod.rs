//! From what an `ImageBuilder` asks for to what is built.
//!
//! ```text
//! request     a spec, parsed                      reference  an image with tag and digest
//! dockerfile  what a Dockerfile says, before any pod: stages, images, mistakes
//! ignore_file which files of a context are left out
//! key         what a build is made from, as one hash
//! part_record which part a Job is                 machine    the platform of this process
//! plan        what is to be built, and why        failure    what is tried again
//! context_image the image of a context that is gone
//! step        what the agent and the containers of a build hand each other
//! ```

mod context_image;
pub mod dockerfile;
mod failure;
mod ignore_file;
mod key;
mod machine;
mod part_record;
mod plan;
mod reference;
mod request;
mod spec_checks;
pub mod step;

pub use context_image::context_not_found;
pub use failure::{BuildFailure, Retry};
pub use ignore_file::{IgnoreFile, IgnoreFileError};
pub use key::{BuildKey, ObservedInputs};
pub use machine::own_platform;
pub use part_record::PartRecord;
pub use plan::{
    Asked, BuildEnd, BuiltContent, Decision, LastBuild, Occasion, PartAction, PartRun, PartState,
    PlannedPart, Publication, Start, TagSeen, decide, parts, publication,
};
pub use reference::ImageReference;
pub use request::{
    ArgValue, BuildCache, BuildContext, BuildRequest, Destination, DestinationKey, DockerfilePlace,
    SpecError, Timestamp,
};
