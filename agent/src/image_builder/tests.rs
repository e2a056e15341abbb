//! Whole passes over an ImageBuilder.

pub mod fixtures;
mod ending;
mod refusals;
mod stage;
mod watching;

pub use stage::job_of_build;
