//! Questions to the user of a terminal, for verbs of any kind.
//!
//! ```text
//! dialog     a list of questions, taken one after the other and back again
//! typed      a line, with what it stands for below it while it is typed     line   what keys do to it
//! chosen     one of several, some of several, yes or no (dialoguer)
//! terminal   keys, drawing, and the state that the terminal had before
//! ```

mod chosen;
pub mod dialog;
mod line;
mod terminal;
mod typed;

pub use terminal::{Terminal, can_ask};
pub use typed::{Below, Row, TypedQuestion, Typing};

/// What the user did with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Answered it.
    Given(T),
    /// Wants the question before it again.
    Back,
}

impl<T> Answer<T> {
    /// Returns the same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Given(value) => Answer::Given(change(value)),
            Self::Back => Answer::Back,
        }
    }
}
