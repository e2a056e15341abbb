//! Whole passes over an ImageBuilder.

mod ending;
pub mod fixtures;
mod git;
mod killed;
mod over_ssh;
mod parts;
mod pods;
mod publishing;
mod refusals;
mod requests;
pub mod stage;
mod tries;
mod watching;

pub use stage::job_of_build;
