//! Files of other tools that say which image goes where: read, and written again as those tools write them. Pure.

mod error;
pub mod rancher;
mod yaml;

pub use error::{FormatError, Problem};
