//! The only place that prints: data on stdout, everything else on stderr.
//!
//! Whatever is printed is made safe for a terminal here ([`printable`]), so no caller can forget
//! it; colour is added afterwards and removed again by `anstream` where it is not wanted
//! (no terminal, `NO_COLOR`, `TERM=dumb`).

#![expect(clippy::unused_self, reason = "having a Ui is the right to print")]

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

use super::table::{Line, Table, terminal_width};
use super::text::printable;
use crate::cli_error::{CliError, Kind};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints. It holds nothing; it stands for the right to print.
#[derive(Debug, Clone, Copy)]
pub struct Ui;

impl Ui {
    /// Prints data. A line break is added unless there is one.
    pub fn data(self, text: &str) -> Result<(), CliError> {
        let text = printable(text);
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        written(write!(anstream::stdout().lock(), "{text}{end}"))
    }

    /// Prints a table as data.
    pub fn table(self, table: &Table, headers: bool) -> Result<(), CliError> {
        table.lines(headers).iter().try_for_each(|line| self.table_line(line))
    }

    /// Prints a table as data; on a terminal its last column is wrapped.
    pub fn wrapped_table(self, table: &Table, headers: bool) -> Result<(), CliError> {
        match terminal_width() {
            Some(width) => self.data(&table.wrapped_lines(headers, width).join("\n")),
            None => self.table(table, headers),
        }
    }

    /// Prints a line of a table as data.
    pub fn table_line(self, line: &Line) -> Result<(), CliError> {
        let style = line.style;
        written(writeln!(anstream::stdout().lock(), "{style}{}{style:#}", line.text))
    }

    /// Reports progress.
    pub fn note(self, text: &str) {
        self.line(Style::new(), "", text);
    }

    /// Reports progress on a terminal only; in a log it is noise.
    pub fn progress(self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Warns.
    pub fn warning(self, text: &str) {
        self.line(WARNING, "warning: ", text);
    }

    /// Warns, with hints.
    pub fn warned(self, error: &CliError) {
        self.line(WARNING, "warning: ", &error.message);
        self.hints(error);
    }

    /// Prints an error with its hints.
    pub fn error(self, error: &CliError) {
        if error.kind == Kind::BrokenPipe {
            return;
        }
        self.line(ERROR, "error: ", &error.message);
        self.hints(error);
    }

    /// Prints an error of one of several objects, a line each; their hints follow together.
    pub fn error_of_several(self, error: &CliError) {
        self.line(ERROR, "error: ", &error.message);
    }

    fn hints(self, error: &CliError) {
        if !error.hints.is_empty() {
            self.line(Style::new(), "", "");
        }
        for hint in &error.hints {
            self.hint(hint);
        }
    }

    /// Prints a hint.
    pub fn hint(self, text: &str) {
        self.line(HINT, "hint: ", text);
    }

    /// Returns whether the user can be asked.
    pub fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks; anything but yes is no.
    pub fn confirm(self, question: &str) -> Result<bool, CliError> {
        let mut err = anstream::stderr().lock();
        written(write!(err, "{}", printable(question)).and_then(|()| err.flush()))?;
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| CliError::failed(format!("cannot read the answer: {error}")))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Prints what the command line parser reports: help on stdout, a mistake on stderr.
    pub fn usage(self, error: &clap::Error) {
        // There is no other place to report that stderr is closed.
        let _ = error.print();
    }

    fn line(self, style: Style, label: &str, text: &str) {
        // There is no other place to report that stderr is closed.
        let _ = writeln!(anstream::stderr().lock(), "{style}{label}{style:#}{}", printable(text));
    }
}

fn written(result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::broken_pipe(),
        _ => CliError::failed(format!("cannot write the output: {error}")),
    })
}
