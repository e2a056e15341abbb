//! Whole passes over an ImageBuilder.

mod ending;
pub mod fixtures;
mod git;
mod parts;
mod publishing;
mod refusals;
mod requests;
mod stage;
mod watching;

pub use stage::job_of_build;
