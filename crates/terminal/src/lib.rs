//! A terminal that a test or the demo types into, and pictures of what it shows.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what panics here fails its test, or the demo"
)]

mod keep;
mod names;
mod picture;
mod shape;
mod terminal;

pub use keep::keep;
pub use names::NAMES_VARIABLE;
pub use picture::picture;
pub use terminal::{CTRL_C, CTRL_U, DOWN, ENTER, ESC, Left, Terminal};
