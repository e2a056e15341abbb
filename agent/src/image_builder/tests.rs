//! Whole passes over an ImageBuilder.

mod ending;
pub mod fixtures;
mod refusals;
mod stage;
mod watching;

pub use stage::job_of_build;
