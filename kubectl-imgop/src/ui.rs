//! The only place that prints: data on stdout, everything else on stderr.
//!
//! Whatever is printed is made safe for a terminal here ([`printable`]), so no caller can forget
//! it; colour is added afterwards and taken out again by `anstream` where nobody sees it
//! (no terminal, `NO_COLOR`, `TERM=dumb`).

#![expect(clippy::unused_self, reason = "having a Ui is the right to print")]

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

use crate::errors::{CliError, Kind};
use crate::table::Table;
use crate::text::printable;

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
        let mut out = anstream::stdout().lock();
        for line in table.lines(headers) {
            let style = line.style;
            written(writeln!(out, "{style}{}{style:#}", line.text))?;
        }
        Ok(())
    }

    /// Says how things go.
    pub fn note(self, text: &str) {
        self.line(Style::new(), "", text);
    }

    /// Says that something is going on, to somebody who watches.
    pub fn progress(self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Says what may surprise.
    pub fn warning(self, text: &str) {
        self.line(WARNING, "warning: ", text);
    }

    /// Says what went wrong and what to do about it.
    pub fn error(self, error: &CliError) {
        if error.kind == Kind::BrokenPipe {
            return;
        }
        self.line(ERROR, "error: ", &error.message);
        if !error.hints.is_empty() {
            self.line(Style::new(), "", "");
        }
        for hint in &error.hints {
            self.hint(hint);
        }
    }

    /// Says what to do about it.
    pub fn hint(self, text: &str) {
        self.line(HINT, "hint: ", text);
    }

    /// Prints what the command line parser has to say: help goes to stdout, a mistake to stderr.
    pub fn usage(self, error: &clap::Error) {
        // Nothing is left to be done when nobody reads it.
        let _ = error.print();
    }

    fn line(self, style: Style, label: &str, text: &str) {
        // Nothing is left to be done when nobody reads it.
        let _ = writeln!(anstream::stderr().lock(), "{style}{label}{style:#}{}", printable(text));
    }
}

fn written(result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::broken_pipe(),
        _ => CliError::failed(format!("cannot write the output: {error}")),
    })
}
