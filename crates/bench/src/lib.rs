//! What the benchmark's programs share.

pub mod proxy;
pub mod results;
