//! From a plan to argument vectors, for Jobs and for local runs. Never a shell string: each value
//! was parsed into a type that can't begin with a dash or hold a space.

pub mod document;
mod progress;
mod skopeo;

pub use progress::{copied_so_far, says_how_far};
pub use skopeo::{Endpoint, SkopeoCopy};
