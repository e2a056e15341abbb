//! The only place that prints: data on stdout, everything else on stderr.
//!
//! Whatever is printed is made safe for a terminal here ([`printable`]), so no caller can forget
//! it; colour is added afterwards and removed again by `anstream` where it is not wanted
//! (no terminal, `NO_COLOR`, `TERM=dumb`).

#![expect(clippy::unused_self, reason = "having a Ui is the right to print")]

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

use super::table::{Line, Table, terminal_width};
use super::text::printable;
use crate::cli_error::{CliError, Kind};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How wide a page is where no terminal shows it.
const PAGE_WIDTH: u16 = 80;

/// Prints. It stands for the right to print, and knows whether the user may be asked.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    may_ask: bool,
    is_aside: bool,
    is_silent: bool,
}

impl Ui {
    /// The user may be asked, or not.
    pub fn new(may_ask: bool) -> Self {
        Self { may_ask, is_aside: false, is_silent: false }
    }

    /// Returns whether the user may be asked, if there is a terminal.
    pub fn may_ask(self) -> bool {
        self.may_ask
    }

    /// Returns the same with data on stderr: beside a question it is not what the command returns.
    #[must_use]
    pub fn aside(self) -> Self {
        Self { is_aside: true, ..self }
    }

    /// Returns the same that reports nothing: a shell that completes a word shows its user nothing else.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { is_silent: true, ..self }
    }

    /// Prints data. A line break is added unless there is one.
    pub fn data(self, text: &str) -> Result<(), CliError> {
        let text = printable(text);
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        written(if self.is_aside {
            write!(anstream::stderr().lock(), "{text}{end}")
        } else {
            write!(anstream::stdout().lock(), "{text}{end}")
        })
    }

    /// Prints a table as data.
    pub fn table(self, table: &Table, headers: bool) -> Result<(), CliError> {
        table.lines(headers).iter().try_for_each(|line| self.table_line(line))
    }

    /// Prints a table as data; on a terminal its last column is wrapped.
    pub fn wrapped_table(self, table: &Table, headers: bool) -> Result<(), CliError> {
        self.table_within(table, headers, terminal_width())
    }

    /// Prints a table of a page as data: its last column is wrapped to the terminal, or to 80 columns.
    pub fn page_table(self, table: &Table, headers: bool) -> Result<(), CliError> {
        self.table_within(table, headers, Some(terminal_width().unwrap_or(PAGE_WIDTH)))
    }

    fn table_within(self, table: &Table, headers: bool, width: Option<u16>) -> Result<(), CliError> {
        match width {
            Some(width) => self.data(&table.wrapped_lines(headers, width).join("\n")),
            None => self.table(table, headers),
        }
    }

    /// Returns whether what was printed as data can be drawn anew.
    pub fn can_redraw(self) -> bool {
        io::stdout().is_terminal() && !std::env::var("TERM").is_ok_and(|term| term == "dumb")
    }

    /// Prints tables over the last `before` lines, as much of them as the terminal has room for. Returns how many
    /// lines they have now.
    pub fn redrawn_tables(self, tables: &[Table], headers: bool, before: usize) -> Result<usize, CliError> {
        let terminal = console::Term::stdout();
        let (rows, columns) = terminal.size();
        let room = usize::from(rows).saturating_sub(2).max(1);
        let mut lines: Vec<Line> = Vec::new();
        for table in tables {
            let is_first = lines.is_empty();
            lines.extend((!is_first).then(|| Line { style: Style::new(), text: String::new() }));
            lines.extend(table.lines(headers));
        }
        let beyond = lines.len().saturating_sub(room);
        lines.truncate(room);
        let mut text = String::new();
        for Line { style, text: line } in &lines {
            let line = console::truncate_str(line, usize::from(columns), "…");
            let _ = writeln!(text, "{style}{line}{style:#}");
        }
        let mut printed = lines.len();
        if beyond > 0 {
            let _ = writeln!(text, "and {beyond} more");
            printed += 1;
        }
        // Without colours anstream would remove these too.
        let up = before.min(usize::from(rows).saturating_sub(1));
        written(terminal.move_cursor_up(up).and_then(|()| terminal.clear_to_end_of_screen()))?;
        let mut out = anstream::stdout().lock();
        written(write!(out, "{text}").and_then(|()| out.flush()))?;
        Ok(printed)
    }

    /// Prints a line of a table as data.
    pub fn table_line(self, line: &Line) -> Result<(), CliError> {
        let style = line.style;
        written(if self.is_aside {
            writeln!(anstream::stderr().lock(), "{style}{}{style:#}", line.text)
        } else {
            writeln!(anstream::stdout().lock(), "{style}{}{style:#}", line.text)
        })
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
        if matches!(error.kind, Kind::BrokenPipe | Kind::Cancelled | Kind::Terminated) {
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

    /// Prints what the command line parser reports: help on stdout, a mistake on stderr.
    pub fn usage(self, error: &clap::Error) {
        // There is no other place to report that stderr is closed.
        let _ = error.print();
    }

    fn line(self, style: Style, label: &str, text: &str) {
        if self.is_silent {
            return;
        }
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
