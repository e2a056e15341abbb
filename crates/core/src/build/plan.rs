//! What is to be built, and why. Pure: no clock, no I/O.
//!
//! ```text
//! request + observed inputs + last build ─ start ─▶ begin a build, go on, wait
//! the build's Jobs                        ─ parts ─▶ for each platform: build, wait, built, failed
//! all parts + the registry's tags         ─ publish ─▶ the content, then the tags in their order
//! ```

mod parts;
mod publish;
mod start;

pub use parts::{PartAction, PartRun, PartState, PlannedPart, parts};
pub use publish::{BuiltContent, Publication, TagSeen, publication};
pub use start::{Asked, BuildEnd, Decision, LastBuild, Occasion, Start, decide};

#[cfg(test)]
mod tests;
