//! What a wait for objects says of those that are not ready.

use std::cell::Cell;

use super::agent::hint_to_enable;
use super::connection::Cluster;
use super::objects::FoundObject;
use crate::cli_error::{CliError, Outcome};
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
    /// How it was said that the namespace is enabled: once is enough, however many objects wait for that.
    named_enables: Cell<Vec<String>>,
}

impl<'a> Waiting<'a> {
    /// Nothing was printed yet.
    pub fn new(ui: Ui, cluster: &'a Cluster, goals: &'a [(ObjectRef, Goal)], again: &'a [String]) -> Self {
        let (shows_log, named_enables) = (Cell::new(false), Cell::default());
        Self { ui, cluster, goals, again, shows_log, named_enables }
    }

    /// Returns the hint that says how the namespace is enabled, if an object waits for that and nothing has said so yet.
    pub fn hint_to_enable(&self, object: &FoundObject) -> Option<String> {
        let hint = hint_to_enable(self.cluster, object)?;
        let mut named = self.named_enables.take();
        let is_new = !named.contains(&hint);
        named.extend(is_new.then(|| hint.clone()));
        self.named_enables.set(named);
        is_new.then_some(hint)
    }

    /// Returns what is waited for of an object.
    fn goal_of(&self, object: &ObjectRef) -> Option<&'a Goal> {
        self.goals.iter().find(|(one, _)| one == object).map(|(_, goal)| goal)
    }

    /// Returns `x is not ready`, or what else `x` is while it is waited for.
    pub fn unmet(&self, object: &ObjectRef) -> String {
        let unmet = self.goal_of(object).map_or_else(|| "not ready".to_owned(), Goal::unmet);
        format!("{object} is {unmet}")
    }

    /// Prints that an object is what it was waited for to be.
    pub fn note_met(&self, object: &ObjectRef, message: &str) {
        if let Some(goal) = self.goal_of(object) {
            self.ui.note(&goal.met(&object.to_string(), message));
        }
    }

    /// Prints an error that ends the wait for an object: with its hints where it is the only one that is waited for.
    pub fn print(&self, error: &CliError) -> Outcome {
        if self.goals.len() == 1 {
            self.ui.error(error);
        } else {
            self.ui.error_of_several(error);
        }
        Outcome::NotReady
    }

    /// Prints that an object is not ready, and will not become so by itself soon. Of several only the message is printed,
    /// and how the namespace is enabled: nothing else helps before.
    pub fn end(&self, object: &FoundObject, message: &str) -> Outcome {
        let outcome = self.print(&self.not_ready(object, message));
        let hint = if self.goals.len() > 1 { self.hint_to_enable(object) } else { None };
        if let Some(hint) = hint {
            self.ui.hint(&hint);
        }
        outcome
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
        // The error of the only one has all its hints, also where one was said while it was waited for.
        let hint = if self.goals.len() == 1 { hint_to_enable(self.cluster, object) } else { None };
        hint.into_iter().fold(error, CliError::hinted)
    }

    /// Returns the same by the message alone.
    fn not_ready_object(&self, object: &ObjectRef, message: &str) -> CliError {
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

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageBuilder;
    use kube::{Client, Config};
    use serde_json::json;

    use super::*;
    use crate::cluster::awaited::Awaited;
    use crate::kinds::{DEFAULT_KIND, Erased};

    /// A cluster that is asked for nothing.
    fn cluster() -> Cluster {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        Cluster { client, namespace: "ci".to_owned(), server: String::new(), flags: String::new() }
    }

    /// An Image in a namespace that is not enabled.
    fn not_enabled(is_suspended: bool) -> FoundObject {
        let conditions = json!([{ "type": "Ready", "status": "False", "reason": "NamespaceNotEnabled",
            "message": "not here", "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
        let object = serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "x", "generation": 1 },
            "spec": { "mode": "OneShot", "suspend": is_suspended, "source": { "name": "a/b", "version": "1" },
                "destination": { "name": "c/d" } },
            "status": { "observedGeneration": 1, "conditions": conditions },
        }))
        .unwrap();
        FoundObject { kind: DEFAULT_KIND, object }
    }

    #[tokio::test]
    async fn what_stays_blocked_ends_with_all_that_is_known_of_it() {
        let (cluster, object) = (cluster(), not_enabled(false));
        let goals = [(object.reference(), Goal::Generation(1))];
        let waiting = Waiting::new(Ui::new(false), &cluster, &goals, &[]);
        let ended = |object: &FoundObject| {
            let mut awaited = Awaited::new(&goals);
            awaited.seen(&object.reference(), &object.object);
            let (object, message) = awaited.end_blocks().pop().unwrap();
            waiting.not_ready(&object, &message)
        };
        assert!(waiting.hint_to_enable(&object).is_some() && waiting.hint_to_enable(&object).is_none());
        let error = ended(&object);
        assert_eq!(error.message, "x is not ready: not here");
        assert!(error.hints.iter().any(|hint| hint.contains("kubectl imgop enable ci; ")), "{error:?}");
        assert_eq!(ended(&not_enabled(true)).message, "x is suspended");
    }

    #[tokio::test]
    async fn the_error_of_one_of_several_leaves_how_the_namespace_is_enabled_to_be_said_once() {
        let (cluster, object) = (cluster(), not_enabled(false));
        let goal = (object.reference(), Goal::Generation(1));
        let goals = [goal.clone(), goal];
        let waiting = Waiting::new(Ui::new(false), &cluster, &goals, &[]);
        let error = waiting.not_ready(&object, "not here");
        assert!(error.hints.iter().all(|hint| !hint.contains("kubectl imgop enable")), "{error:?}");
        assert_eq!(waiting.end(&object, "not here"), Outcome::NotReady);
        assert!(waiting.hint_to_enable(&object).is_none(), "it is said");
    }

    #[tokio::test]
    async fn builds_are_enabled_by_their_option_which_is_said_beside_that_of_copies() {
        let (cluster, copies) = (cluster(), not_enabled(false));
        let builds = FoundObject { kind: Erased::<ImageBuilder>::REF, ..not_enabled(false) };
        let waiting = Waiting::new(Ui::new(false), &cluster, &[], &[]);
        let commands = [&copies, &builds, &copies, &builds].map(|object| {
            let hint = waiting.hint_to_enable(object)?;
            hint.split(';').next().map(str::to_owned)
        });
        let said = |command: &str| Some(format!("an administrator's command: {command}"));
        assert_eq!(
            commands,
            [said("kubectl imgop enable ci"), said("kubectl imgop enable ci --builds"), None, None]
        );
    }
}
