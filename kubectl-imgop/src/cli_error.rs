//! The one error of this program, and its exit codes.

use std::fmt;
use std::process::ExitCode;

/// Why a verb did not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// Its kind, which decides the exit code.
    pub kind: Kind,
    /// What is wrong, in one sentence without a period or in several lines.
    pub message: String,
    /// Hints, each a line of its own.
    pub hints: Vec<String>,
}

/// The kinds of errors that differ in what the process returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work could not be done.
    Failed,
    /// The API server does not let this user do it.
    Forbidden,
    /// The work of a verb whose exit code 1 means "there are differences" could not be done.
    FailedComparison,
    /// The command line is wrong.
    Usage,
    /// The reader of the output closed it.
    BrokenPipe,
    /// The user pressed Ctrl-C.
    Cancelled,
    /// Another program ended this one, by SIGTERM.
    Terminated,
}

/// How a verb ended that completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, and something would be copied (`preview --exit-code`).
    Differences,
    /// Done, and a target has other content than its source (`mirror plan --exit-code`, `mirror verify`).
    Drift,
    /// What was waited for ended badly, which is printed already.
    NotReady,
}

impl Outcome {
    /// Returns how both ended: done only if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }
}

impl CliError {
    /// The work could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), hints: Vec::new() }
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::failed(message) }
    }

    /// The reader of the output closed it.
    pub fn broken_pipe() -> Self {
        Self { kind: Kind::BrokenPipe, ..Self::failed("") }
    }

    /// The user pressed Ctrl-C.
    pub fn cancelled() -> Self {
        Self { kind: Kind::Cancelled, ..Self::failed("") }
    }

    /// Another program ended this one.
    pub fn terminated() -> Self {
        Self { kind: Kind::Terminated, ..Self::failed("") }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds which of several things it is about; one alone needs no name.
    #[must_use]
    pub fn of(mut self, name: &str, number: usize) -> Self {
        if number > 1 && !name.is_empty() {
            self.message = format!("{name}: {}", self.message);
        }
        self
    }

    /// For verbs whose exit code 1 means differences.
    #[must_use]
    pub fn of_comparison(mut self) -> Self {
        if matches!(self.kind, Kind::Failed | Kind::Forbidden) {
            self.kind = Kind::FailedComparison;
        }
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

/// Returns the exit code: 0 done, 1 failed (or differences, where asked for), 2 usage and, as
/// with `kubectl diff`, a comparison that could not be made, 3 drift, 130 Ctrl-C, 143 SIGTERM.
pub fn exit_code(result: &Result<Outcome, CliError>) -> ExitCode {
    ExitCode::from(match result {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Differences | Outcome::NotReady) => 1,
        Ok(Outcome::Drift) => 3,
        Err(error) => match error.kind {
            Kind::BrokenPipe => 0,
            Kind::Failed | Kind::Forbidden => 1,
            Kind::FailedComparison | Kind::Usage => 2,
            // As of programs that the signals end.
            Kind::Cancelled => 130,
            Kind::Terminated => 143,
        },
    })
}

/// Returns the last of a chain of causes: what really went wrong.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
