//! What the benchmark's programs share.

pub mod proxy;
pub mod registry_of_tags;
pub mod results;
