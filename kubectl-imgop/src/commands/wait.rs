//! `kubectl imgop wait`.

use std::str::FromStr;

use clap::Args;
use imgop_core::api::conditions::READY;

use crate::args::{Selected, selected};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::{Found, FoundObject};
use crate::cluster::wait_until_ready::{check_all, wait_for_all};
use crate::cluster::{ConnectionArgs, WaitLimit};
use crate::kinds::object_name::parse_selector;
use crate::kinds::progress::Goal;
use crate::kinds::{KINDS, ObjectRef, TypedName};
use crate::output::Ui;

/// Wait until Images and ImageBuilders are ready: every tag is at its destination
///
/// Nothing is triggered. What the agent retries by itself is waited for; what needs a change first, and tags
/// that are too young (--min-age), end the waiting with exit code 1, as does having nothing to wait for. A
/// namespace that is not enabled is waited for until the agent has had the time to notice.
///
/// A terminal shows on one line how long the wait lasts and which tags are being copied, or which platforms are being built; elsewhere that is a line a
/// minute. How many bytes are copied is shown where the engine is Native and its log may be read; Skopeo tells that only to a terminal of
/// its own.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Images and ImageBuilders (kind/NAME where both have one) to wait for, by default all Images in the namespace; with --selector or --all
    /// the kind to select from, if it is not Image
    #[arg(value_name = "NAME", value_parser = TypedName::parse)]
    names: Vec<TypedName>,

    /// Select by labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "all", value_parser = parse_selector)]
    selector: Option<String>,

    /// Select all in the namespace
    #[arg(long)]
    all: bool,

    /// What to wait for: Ready, or another condition as condition=NAME or condition=NAME=STATUS
    #[arg(long = "for", value_name = "CONDITION", default_value = READY)]
    condition: Awaited,

    /// How long to wait; 0 checks once, and -1s means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", allow_hyphen_values = true)]
    timeout: WaitLimit,
}

/// The condition that is waited for, and its status.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Awaited {
    condition: String,
    status: String,
}

impl FromStr for Awaited {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let condition = text.strip_prefix("condition=").unwrap_or(text);
        let (condition, status) = condition.split_once('=').unwrap_or((condition, "True"));
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_ready = text.eq_ignore_ascii_case(READY);
        if !is_word(condition) || !is_word(status) || !(is_ready || text.starts_with("condition=")) {
            return Err("write Ready, condition=NAME or condition=NAME=STATUS".to_owned());
        }
        Ok(Self { condition: condition.to_owned(), status: status.to_owned() })
    }
}

impl Awaited {
    /// Returns the goal of an object whose spec is this generation.
    fn goal(&self, generation: i64) -> Goal {
        if self.condition.eq_ignore_ascii_case(READY) && self.status.eq_ignore_ascii_case("true") {
            return Goal::Generation(generation);
        }
        Goal::Condition { generation, condition: self.condition.clone(), status: self.status.clone() }
    }
}

/// Waits.
pub async fn run(ui: Ui, args: &WaitArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let are_named = !args.names.is_empty() && args.selector.is_none() && !args.all;
    let selected = selected(&args.names, are_named, &KINDS)?;
    let cluster = connection.connect().await?;
    let Found { objects, outcome } = match selected {
        Selected::Named(names) => cluster.get_all(ui, &names).await?,
        Selected::OfKind(kind) => cluster.find(ui, kind, args.selector.as_deref()).await?,
    };
    let goal = |object: &FoundObject| {
        // The spec as it is now.
        let generation = object.object.metadata.generation.unwrap_or_default();
        (object.reference(), args.condition.goal(generation))
    };
    let goals: Vec<(ObjectRef, Goal)> = objects.iter().map(goal).collect();
    if goals.is_empty() {
        // Scripts that rely on this must not mistake none for a ready one.
        return Ok(Outcome::NotReady);
    }
    Ok(outcome.and(match args.timeout {
        WaitLimit::Once => check_all(ui, &cluster, &objects, &goals)?,
        WaitLimit::Within(limit) => wait_for_all(ui, &cluster, &goals, limit).await?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_written_as_for_kubectl_wait() {
        let goal = |text: &str| text.parse::<Awaited>().map(|awaited| awaited.goal(2));
        for ready in ["Ready", "ready", "condition=Ready", "condition=ready=true"] {
            assert_eq!(goal(ready), Ok(Goal::Generation(2)), "{ready}");
        }
        let other = |condition: &str, status: &str| {
            Ok(Goal::Condition { generation: 2, condition: condition.into(), status: status.into() })
        };
        assert_eq!(goal("condition=Stalled"), other("Stalled", "True"));
        assert_eq!(goal("condition=Ready=False"), other("Ready", "False"));
        for bad in ["", "Stalled", "delete", "condition=", "condition=Ready=", "jsonpath={.a}"] {
            assert!(goal(bad).is_err(), "{bad}");
        }
    }
}
