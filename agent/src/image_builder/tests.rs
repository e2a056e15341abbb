//! Whole passes over an ImageBuilder.

mod created_repositories;
mod ending;
pub mod fixtures;
mod git;
mod interruptions;
mod over_ssh;
mod parts;
mod pods;
mod publishing;
mod refusals;
mod requests;
mod schedules;
pub mod stage;
mod tries;
mod watching;
mod world;

pub use stage::job_of_build;
