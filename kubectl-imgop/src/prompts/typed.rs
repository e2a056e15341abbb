//! A question whose answer is typed, with what the text stands for below it, from the first key on.

use std::pin::pin;

use console::{Key, StyledObject, style, truncate_str};
use futures::future::LocalBoxFuture;

use super::Answer;
use super::line::Line;
use super::terminal::{Resizes, Terminal};
use crate::cli_error::CliError;
use crate::output::text::{one_line, wrapped};

/// How many rows are shown at most.
const MAX_ROWS: usize = 10;
/// The keys, in the last line.
const KEYS: &str =
    "Enter takes it, up and down choose, Ctrl-U clears the line, Esc goes back, Ctrl-C cancels";

/// What stands below the line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Below {
    /// A sentence on what is typed.
    pub note: String,
    /// What may be chosen, the best first.
    pub rows: Vec<Row>,
}

/// Something that may be chosen in place of what is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The answer that it stands for.
    pub value: String,
    /// What else is known of it.
    pub note: String,
}

/// What a text stands for.
pub trait Typing {
    /// Returns what stands below a text. It is called for each key, so it sends no request.
    fn below(&self, typed: &str) -> Below;

    /// Returns what is wrong with a text as the answer: the check of the flag that it stands for.
    fn check(&self, typed: &str) -> Result<(), String>;

    /// Returns what there is to know before a text is taken that is right as such. A second Enter takes it.
    fn caution(&self, _typed: &str) -> Option<String> {
        None
    }

    /// Looks more up for a text; [`Typing::below`] knows it afterwards. It is dropped at the next key.
    fn look_up<'a>(&'a self, _typed: &'a str) -> LocalBoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

/// A question whose answer is typed.
pub struct TypedQuestion<'a> {
    /// What is asked.
    pub prompt: &'a str,
    /// What stands in the line at the beginning.
    pub initial: &'a str,
    /// What the text stands for.
    pub typing: &'a dyn Typing,
}

/// What is typed and chosen so far.
struct Draft {
    line: Line,
    chosen: Option<usize>,
    problem: Option<String>,
    /// The text that there was a caution about.
    cautioned: Option<String>,
}

/// What a key leads to.
enum Next {
    Same,
    Changed,
    End(Answer<String>),
}

impl TypedQuestion<'_> {
    /// Asks.
    pub async fn ask(&self, terminal: &Terminal) -> Result<Answer<String>, CliError> {
        let mut draft = Draft { line: Line::new(self.initial), chosen: None, problem: None, cautioned: None };
        let mut key = pin!(terminal.key());
        let mut resizes = Resizes::listen();
        loop {
            let text = draft.line.text();
            let mut looking_up = self.typing.look_up(&text);
            let mut is_found = false;
            loop {
                let below = self.typing.below(&text);
                self.draw(terminal, &draft, &below)?;
                let pressed = tokio::select! {
                    pressed = key.as_mut() => pressed?,
                    () = &mut looking_up, if !is_found => {
                        is_found = true;
                        continue;
                    }
                    () = resizes.next() => continue,
                };
                let next = draft.press(&pressed, &below, self.typing);
                match next {
                    Next::End(answer) => {
                        self.finish(terminal, &answer)?;
                        return Ok(answer);
                    }
                    Next::Same => key.set(terminal.key()),
                    Next::Changed => {
                        key.set(terminal.key());
                        break;
                    }
                }
            }
        }
    }

    fn draw(&self, terminal: &Terminal, draft: &Draft, below: &Below) -> Result<(), CliError> {
        let (columns, rows) = terminal.size();
        let (lines, column) = self.lines(draft, below, columns - 1, rows - 1);
        terminal.draw(&lines, column)
    }

    /// Returns the lines, none longer than this, and the column of the cursor in the first one.
    fn lines(&self, draft: &Draft, below: &Below, columns: usize, rows: usize) -> (Vec<String>, usize) {
        let prompt = truncate_str(self.prompt, columns / 2, "…").into_owned();
        let begin = prompt.chars().count() + 4;
        let (text, cursor) = draft.line.window(columns.saturating_sub(begin + 1).max(1));
        let mut lines = vec![format!("{} {}: {text}", style("?").for_stderr().yellow(), bold(&prompt))];
        let note = match &draft.problem {
            Some(problem) => wrapped(&one_line(&format!("! {problem}")), columns),
            None => vec![below.note.clone()],
        };
        let room = rows.saturating_sub(3 + note.len().max(1)).min(MAX_ROWS);
        let first = draft.chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(room));
        for (i, row) in below.rows.iter().enumerate().skip(first).take(room) {
            let mark = if draft.chosen == Some(i) { ">" } else { " " };
            let note = if row.note.is_empty() { String::new() } else { format!("  {}", row.note) };
            lines.push(one_line_of(&format!("{mark} {}{note}", row.value), columns));
        }
        let beyond = below.rows.len().saturating_sub(first + room);
        if beyond > 0 {
            lines.push(one_line_of(&format!("  and {beyond} more"), columns));
        }
        let styled = |line: String| style(line).for_stderr().dim().to_string();
        // A terminal that is too small for all of them shows the keys in any case.
        let left = rows.saturating_sub(lines.len() + 1);
        let texts = note.iter().map(String::as_str).take(left).chain([KEYS]);
        lines.extend(texts.filter(|text| !text.is_empty()).map(|text| styled(one_line_of(text, columns))));
        (lines, begin + cursor)
    }

    fn finish(&self, terminal: &Terminal, answer: &Answer<String>) -> Result<(), CliError> {
        let (columns, _) = terminal.size();
        match answer {
            Answer::Given(text) => {
                let line = one_line_of(&format!("{}: {text}", self.prompt), columns - 3);
                // Truncated within the prompt, all of it is prompt.
                let (prompt, text) = line.split_at_checked(self.prompt.len()).unwrap_or((&line, ""));
                terminal.finish(&format!("{} {}{text}", style("✔").for_stderr().green(), bold(prompt)))
            }
            Answer::Back => terminal.finish(&one_line_of(&format!("< {}", self.prompt), columns - 1)),
        }
    }
}

/// Returns a prompt as the questions that are chosen show theirs.
fn bold(prompt: &str) -> StyledObject<&str> {
    style(prompt).for_stderr().bold()
}

impl Draft {
    fn press(&mut self, key: &Key, below: &Below, typing: &dyn Typing) -> Next {
        let number = below.rows.len();
        match key {
            Key::Escape => return Next::End(Answer::Back),
            Key::Enter => return self.enter(below, typing),
            Key::ArrowDown if number > 0 => {
                self.chosen = Some(self.chosen.map_or(0, |chosen| (chosen + 1).min(number - 1)));
            }
            Key::ArrowUp => self.chosen = self.chosen.and_then(|chosen| chosen.checked_sub(1)),
            // As in a shell: what is chosen, or the best, is taken into the line.
            Key::Tab => {
                let Some(row) = below.rows.get(self.chosen.unwrap_or(0)) else { return Next::Same };
                self.line = Line::new(&row.value);
                (self.chosen, self.problem, self.cautioned) = (None, None, None);
                return Next::Changed;
            }
            key if self.line.press(key) => {
                (self.chosen, self.problem, self.cautioned) = (None, None, None);
                return Next::Changed;
            }
            _ => {}
        }
        Next::Same
    }

    fn enter(&mut self, below: &Below, typing: &dyn Typing) -> Next {
        let chosen = self.chosen.and_then(|chosen| below.rows.get(chosen)).map(|row| row.value.clone());
        let text = chosen.unwrap_or_else(|| self.line.text().trim().to_owned());
        let is_cautioned = self.cautioned.as_ref() == Some(&text);
        let caution = |()| typing.caution(&text).filter(|_| !is_cautioned);
        self.problem = match typing.check(&text).map(caution) {
            Ok(None) => return Next::End(Answer::Given(text)),
            Ok(Some(caution)) => {
                self.cautioned = Some(text);
                Some(caution)
            }
            Err(problem) => Some(problem),
        };
        Next::Same
    }
}

/// Returns a text of others on one line, safe for a terminal and no wider than this.
fn one_line_of(text: &str, columns: usize) -> String {
    truncate_str(&one_line_keeping_indent(text), columns, "…").into_owned()
}

fn one_line_keeping_indent(text: &str) -> String {
    let indent = text.len() - text.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), one_line(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fruits that begin with what is typed.
    struct Fruits;

    impl Typing for Fruits {
        fn below(&self, typed: &str) -> Below {
            let fruits = ["apple", "apricot", "banana"].into_iter().filter(|fruit| fruit.starts_with(typed));
            let rows: Vec<Row> =
                fruits.map(|fruit| Row { value: fruit.to_owned(), note: "a\u{1b}[2J".to_owned() }).collect();
            Below { note: format!("{} fruits", rows.len()), rows }
        }

        fn check(&self, typed: &str) -> Result<(), String> {
            if typed.is_empty() { Err("type a fruit".to_owned()) } else { Ok(()) }
        }

        fn caution(&self, typed: &str) -> Option<String> {
            typed.starts_with('q').then(|| "a rare fruit".to_owned())
        }
    }

    fn typed(keys: &[Key]) -> (Draft, Option<Answer<String>>) {
        let mut draft = Draft { line: Line::new(""), chosen: None, problem: None, cautioned: None };
        for key in keys {
            let below = Fruits.below(&draft.line.text());
            if let Next::End(answer) = draft.press(key, &below, &Fruits) {
                return (draft, Some(answer));
            }
        }
        (draft, None)
    }

    fn given(text: &str) -> Answer<String> {
        Answer::Given(text.to_owned())
    }

    #[test]
    fn what_is_typed_is_the_answer_unless_a_row_is_chosen() {
        assert_eq!(typed(&[Key::Char('k'), Key::Enter]).1, Some(given("k")));
        assert_eq!(
            typed(&[Key::Char('a'), Key::ArrowDown, Key::ArrowDown, Key::ArrowDown, Key::Enter]).1,
            Some(given("apricot"))
        );
        let back_to_the_line = [Key::Char('a'), Key::ArrowDown, Key::ArrowUp, Key::Enter];
        assert_eq!(typed(&back_to_the_line).1, Some(given("a")));
        assert_eq!(typed(&[Key::Char('b'), Key::Tab, Key::Enter]).1, Some(given("banana")));
        assert_eq!(typed(&[Key::Char('b'), Key::Escape]).1, Some(Answer::Back));
        assert_eq!(
            typed(&[Key::ArrowDown, Key::Char('b'), Key::Enter]).1,
            Some(given("b")),
            "a new text, nothing chosen"
        );
    }

    #[test]
    fn an_answer_that_its_flag_would_refuse_is_not_taken() {
        let (draft, answer) = typed(&[Key::Enter]);
        assert_eq!((answer, draft.problem.as_deref()), (None, Some("type a fruit")));
        assert_eq!(typed(&[Key::Enter, Key::Char('k')]).0.problem, None);
    }

    #[test]
    fn what_there_is_a_caution_about_is_taken_by_a_second_enter() {
        let (draft, answer) = typed(&[Key::Char('q'), Key::Enter]);
        assert_eq!((answer, draft.problem.as_deref()), (None, Some("a rare fruit")));
        assert_eq!(typed(&[Key::Char('q'), Key::Enter, Key::Enter]).1, Some(given("q")));
        let changed = [Key::Char('q'), Key::Enter, Key::Char('u'), Key::Enter];
        assert_eq!(typed(&changed).1, None, "another text");
    }

    fn lines(draft: &Draft, columns: usize, rows: usize) -> String {
        let question = TypedQuestion { prompt: "Which fruit do you like", initial: "", typing: &Fruits };
        let (lines, _) = question.lines(draft, &Fruits.below(&draft.line.text()), columns, rows);
        assert!(lines.len() <= rows && lines.iter().all(|line| console::measure_text_width(line) <= columns));
        lines.iter().map(|line| console::strip_ansi_codes(line).into_owned() + "\n").collect()
    }

    #[test]
    fn what_is_wrong_is_shown_whole() {
        let (mut draft, _) = typed(&[Key::Char('a')]);
        draft.problem = Some("a fruit has lower case letters, and no digit in front of them".to_owned());
        let shown = lines(&draft, 30, 12).replace('\n', " ");
        assert!(shown.contains("! a fruit has lower case letters, and no digit in front of them"), "{shown}");
    }

    #[test]
    fn the_page_fits_the_terminal_whatever_its_size() {
        let (draft, _) = typed(&[Key::Char('a'), Key::ArrowDown, Key::ArrowDown]);
        insta::assert_snapshot!(lines(&draft, 100, 20), @r"
        ? Which fruit do you like: a
          apple  a\u{1b}[2J
        > apricot  a\u{1b}[2J
        2 fruits
        Enter takes it, up and down choose, Ctrl-U clears the line, Esc goes back, Ctrl-C cancels
        ");
        insta::assert_snapshot!(lines(&draft, 30, 5), @r"
        ? Which fruit do…: a
        > apricot  a\u{1b}[2J
        2 fruits
        Enter takes it, up and down c…
        ");
        for (columns, rows) in [(19, 4), (60, 4), (25, 6)] {
            lines(&draft, columns, rows);
        }
    }
}
