//! What a wait for objects says of those that are not ready.

use std::cell::Cell;

use super::agent::hint_to_enable;
use super::connection::Cluster;
use super::objects::FoundObject;
use crate::cli_error::CliError;
use crate::kinds::ObjectRef;
use crate::kinds::progress::{Goal, QuotedFailure};
use crate::output::Ui;

/// A wait, and what was printed of it.
pub struct Waiting<'a> {
    /// Prints.
    pub ui: Ui,
    /// Where the objects are.
    pub cluster: &'a Cluster,
    /// The objects, each with its goal.
    pub goals: &'a [(ObjectRef, Goal)],
    /// What is to be done once what was wrong is corrected, where it is not a sync alone.
    pub again: &'a [String],
    /// Whether the user sees what is logged, so that errors need not quote it.
    pub shows_log: Cell<bool>,
    /// Whether it was said how the namespace is enabled: once is enough, however many objects wait for that.
    has_named_enable: Cell<bool>,
}

impl<'a> Waiting<'a> {
    /// Nothing was printed yet.
    pub fn new(ui: Ui, cluster: &'a Cluster, goals: &'a [(ObjectRef, Goal)], again: &'a [String]) -> Self {
        let (shows_log, has_named_enable) = (Cell::new(false), Cell::new(false));
        Self { ui, cluster, goals, again, shows_log, has_named_enable }
    }

    /// Returns the hint that says how the namespace is enabled, if an object waits for that and nothing has said so yet.
    pub fn hint_to_enable(&self, object: &FoundObject) -> Option<String> {
        let hint = hint_to_enable(self.cluster, object)?;
        (!self.has_named_enable.replace(true)).then_some(hint)
    }

    /// Returns what to do about an object that is not ready, and will not become so by itself soon.
    pub fn not_ready(&self, object: &FoundObject, message: &str) -> CliError {
        let (name, place) = (object.reference(), self.cluster.place());
        if object.is_suspended() {
            return CliError::failed(format!("{name} is suspended"))
                .hinted(format!("resume it with: kubectl imgop resume {name}{place}"));
        }
        let error = match quoted_failure(object) {
            Some(failure) if self.shows_log.get() => self.not_ready_object(&name, &failure.why),
            Some(QuotedFailure { why, printed }) => {
                self.not_ready_object(&name, &format!("{why}\n  {}", printed.join("\n  ")))
            }
            None => self.not_ready_object(&name, message),
        };
        // Of several only the messages are printed.
        let hint = if self.goals.len() == 1 { self.hint_to_enable(object) } else { None };
        hint.into_iter().fold(error, CliError::hinted)
    }

    /// Returns the same by the message alone.
    pub fn not_ready_object(&self, object: &ObjectRef, message: &str) -> CliError {
        let sync = format!("once it is fixed: kubectl imgop sync {object} --retry{}", self.cluster.place());
        let again = if self.again.is_empty() { std::slice::from_ref(&sync) } else { self.again };
        let error = CliError::failed(format!("{object} is not ready: {message}"));
        again.iter().fold(error.hinted(describe(self.cluster, object)), CliError::hinted)
    }
}

/// Returns why something failed that printed lines before, if that is what is wrong with an object.
pub fn quoted_failure(object: &FoundObject) -> Option<QuotedFailure> {
    object.kind.quoted_failure(&object.object)
}

/// Returns the command that shows more of an object.
pub fn describe(cluster: &Cluster, object: &ObjectRef) -> String {
    format!("kubectl imgop describe {object}{}", cluster.place())
}
