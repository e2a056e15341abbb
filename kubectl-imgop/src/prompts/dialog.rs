//! A dialog: questions in a row, each of which stands for an argument. Which of them apply may depend on the
//! answers so far, so all of them work on one draft.

use futures::future::LocalBoxFuture;

use super::{Answer, Terminal};
use crate::cli_error::CliError;

/// What asking a question comes to.
pub type Asking<'a> = LocalBoxFuture<'a, Result<Answer<()>, CliError>>;

/// A question of a dialog that fills a draft.
pub struct Question<D> {
    /// The argument that it stands for.
    pub argument: &'static str,
    /// Whether it must be answered, by the argument or by the user.
    pub is_required: bool,
    /// Whether it is open: neither given as an argument nor without meaning after the answers so far.
    pub is_open: fn(&D) -> bool,
    /// Asks it and writes the answer into the draft.
    pub ask: for<'a> fn(&'a mut D, &'a Terminal) -> Asking<'a>,
}

/// Asks all questions that are open. Esc takes the last answer back, and the draft is as it was before it.
pub async fn ask_all<D: Clone>(
    questions: &[Question<D>],
    draft: &mut D,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let mut asked: Vec<(usize, D)> = Vec::new();
    let mut next = 0;
    while let Some(question) = questions.get(next) {
        if !(question.is_open)(draft) {
            next += 1;
            continue;
        }
        let before = draft.clone();
        match (question.ask)(draft, terminal).await? {
            Answer::Given(()) => {
                asked.push((next, before));
                next += 1;
            }
            Answer::Back => {
                // The first question has none before it, and is asked again.
                let (last, state) = asked.pop().unwrap_or((next, before));
                (next, *draft) = (last, state);
            }
        }
    }
    Ok(())
}

/// Returns the arguments that are required and neither given nor asked for.
pub fn missing<D>(questions: &[Question<D>], draft: &D) -> Vec<&'static str> {
    let is_missing = |question: &&Question<D>| question.is_required && (question.is_open)(draft);
    questions.iter().filter(is_missing).map(|question| question.argument).collect()
}
