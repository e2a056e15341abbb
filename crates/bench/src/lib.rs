//! What the benchmark's programs share.

pub mod results;
