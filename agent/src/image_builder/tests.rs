//! Whole passes over an ImageBuilder.

mod ending;
pub mod fixtures;
mod git;
mod over_ssh;
mod parts;
mod publishing;
mod refusals;
mod requests;
mod schedules;
pub mod stage;
mod tries;
mod watching;

pub use stage::job_of_build;
