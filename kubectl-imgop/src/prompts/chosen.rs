//! Questions whose answer is chosen: dialoguer's, with Esc for the question before.

use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, MultiSelect, Select};

use super::Answer;
use super::terminal::{Terminal, broken};
use crate::cli_error::CliError;
use crate::output::text::one_line;

/// How many rows are shown at most; left and right turn pages.
const MAX_ROWS: usize = 12;

impl Terminal {
    /// Asks for one of several.
    pub async fn choose(
        &self,
        prompt: &str,
        items: &[String],
        default: usize,
    ) -> Result<Answer<usize>, CliError> {
        let (prompt, items) = (prompt.to_owned(), self.fitted(items));
        self.asked(move || {
            let theme = ColorfulTheme::default();
            let question = Select::with_theme(&theme).with_prompt(prompt);
            question.items(items).default(default).max_length(MAX_ROWS).interact_opt()
        })
        .await
    }

    /// Asks for some of several.
    pub async fn choose_some(&self, prompt: &str, items: &[String]) -> Result<Answer<Vec<usize>>, CliError> {
        let (prompt, items) = (format!("{prompt} (space marks, Enter goes on)"), self.fitted(items));
        self.asked(move || {
            let theme = ColorfulTheme::default();
            let question = MultiSelect::with_theme(&theme).with_prompt(prompt);
            question.items(items).max_length(MAX_ROWS).interact_opt()
        })
        .await
    }

    /// Asks for yes or no.
    pub async fn confirm(&self, prompt: &str, default: bool) -> Result<Answer<bool>, CliError> {
        let prompt = prompt.to_owned();
        self.asked(move || {
            let theme = ColorfulTheme::default();
            let question = Confirm::with_theme(&theme).with_prompt(prompt);
            question.default(default).interact_opt()
        })
        .await
    }

    /// Returns texts of others that fit into a row each.
    fn fitted(&self, items: &[String]) -> Vec<String> {
        let (columns, _) = self.size();
        let fitted = |item: &String| console::truncate_str(&one_line(item), columns - 8, "…").into_owned();
        items.iter().map(fitted).collect()
    }

    async fn asked<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> dialoguer::Result<Option<T>> + Send + 'static,
    ) -> Result<Answer<T>, CliError> {
        match self.read(question).await? {
            Ok(Some(value)) => Ok(Answer::Given(value)),
            Ok(None) => Ok(Answer::Back),
            Err(dialoguer::Error::IO(error)) => Err(broken(&error)),
        }
    }
}
