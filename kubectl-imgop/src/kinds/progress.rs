//! How far the agent is with what was requested. Pure: from the state of an object to a judgement.

use imgop_core::api::conditions::{READY, RECONCILING, STALLED, find, is_true, reasons};
use imgop_core::api::{LastPass, Phase, REQUESTED_AT_ANNOTATION, Scheduled};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// The outcome of this generation of the spec, retries included. What the status says may be older than the wait.
    Generation(i64),
    /// The same of a generation that was written just before the wait: whatever the status says of it is newer.
    NewGeneration(i64),
    /// The outcome of the sync that this token requested.
    Token(String),
    /// A condition of this status, for this generation of the spec.
    Condition {
        /// The generation.
        generation: i64,
        /// The type of the condition, in any case.
        condition: String,
        /// Its status, in any case.
        status: String,
    },
}

impl Goal {
    /// Returns what an object is that has not reached it: `not ready`.
    pub fn unmet(&self) -> String {
        match self {
            Self::Condition { condition, status, .. } => format!("without condition {condition}={status}"),
            Self::Generation(_) | Self::NewGeneration(_) | Self::Token(_) => "not ready".to_owned(),
        }
    }

    /// Returns what is said of an object that has reached it, with the message of its progress.
    pub fn met(&self, object: &str, message: &str) -> String {
        match self {
            // The message begins with the condition.
            Self::Condition { .. } => format!("{object}: {message}"),
            Self::Generation(_) | Self::NewGeneration(_) | Self::Token(_) => {
                format!("{object} is ready: {message}")
            }
        }
    }
}

/// How far the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The agent has not reconciled it yet.
    Unseen,
    /// It is being reconciled; the message of its Ready condition.
    Working(String),
    /// The agent stopped for want of something that may have been done by now, which it notices by itself;
    /// the message of its Ready condition.
    Blocked(String),
    /// The same, as long as the agent has reported nothing else since the wait began; the message of its Ready
    /// condition.
    Unconfirmed(String),
    /// It is ready; the message of its Ready condition.
    Ready(String),
    /// It ended otherwise; the message of its Ready condition.
    NotReady(String),
}

/// Why something failed that printed lines before: its condition quotes them as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedFailure {
    /// Why.
    pub why: String,
    /// What was printed last.
    pub printed: Vec<String>,
}

/// Reasons that whoever uses the cluster ends, and that the agent checks again every 30 s.
const ENDED_BY_USERS: [&str; 2] = [reasons::SECRET_UNUSABLE, reasons::REGISTRY_UNAUTHORIZED];

/// The state of reconciliation, which every kind has (kstatus, and the requests of `kubectl imgop sync`).
#[derive(Debug, Clone, Copy)]
pub struct ReconcileState<'a> {
    /// The conditions of the status.
    pub conditions: &'a [Condition],
    /// The generation that the status is about.
    pub observed_generation: Option<i64>,
    /// The token of the last sync that was requested.
    pub requested: Option<&'a str>,
    /// The token of the last requested sync that the agent handled.
    pub handled: Option<&'a str>,
    /// Whether the spec suspends it.
    pub is_suspended: bool,
    /// Whether the last sync is complete, so that none of its Jobs runs.
    pub is_completed: bool,
}

impl<'a> ReconcileState<'a> {
    /// Returns the state of an object that is looked at again and again.
    pub fn of(object: &'a impl Scheduled) -> Self {
        let LastPass { conditions, observed_generation, phase, handled_request, .. } = object.last_pass();
        Self {
            conditions,
            observed_generation,
            requested: object.annotations().get(REQUESTED_AT_ANNOTATION).map(String::as_str),
            handled: handled_request,
            is_suspended: object.is_suspended(),
            is_completed: phase == Some(Phase::Completed),
        }
    }

    /// Returns the Ready condition.
    pub fn ready(&self) -> Option<&'a Condition> {
        find(self.conditions, READY)
    }

    /// Returns whether the agent tries again by itself what failed.
    pub fn is_retried(&self) -> bool {
        let reconciling = find(self.conditions, RECONCILING).filter(|condition| condition.status == "True");
        reconciling.is_some_and(|condition| condition.reason == reasons::PROGRESSING_WITH_RETRY)
    }

    /// Returns the status of the Ready condition and its reason, as cells of a list.
    pub fn ready_cells(&self) -> [String; 2] {
        match self.ready() {
            Some(ready) => [ready.status.clone(), ready.reason.clone()],
            None => ["<unknown>".to_owned(), "<pending>".to_owned()],
        }
    }
}

/// Judges an object; `beyond_retries` are the reasons that retries alone do not change.
pub fn judge(state: &ReconcileState<'_>, goal: &Goal, beyond_retries: &[&str]) -> Progress {
    let is_seen = match goal {
        Goal::Generation(generation)
        | Goal::NewGeneration(generation)
        | Goal::Condition { generation, .. } => state.observed_generation.is_some_and(|g| g >= *generation),
        // A later request takes the place of ours, and its sync is as good.
        Goal::Token(token) => {
            state.handled.is_some_and(|handled| handled == token || state.requested == Some(handled))
        }
    };
    if let Goal::Condition { condition, status, .. } = goal {
        return judge_condition(state, is_seen, condition, status);
    }
    // The agent observes no new generation while the object is suspended: it would be waited for in vain.
    if let Some(ready) = state.ready().filter(|c| state.is_suspended && c.reason == reasons::SUSPENDED) {
        return Progress::NotReady(ready.message.clone());
    }
    let Some(ready) = state.ready().filter(|_| is_seen) else { return Progress::Unseen };
    let message = match ready.message.as_str() {
        "" => ready.reason.clone(),
        message => message.to_owned(),
    };
    // The namespace is enabled often enough after the Image is created; nothing tells the agent at once.
    let is_of_spec = matches!(goal, Goal::Generation(_) | Goal::NewGeneration(_));
    if ready.reason == reasons::NAMESPACE_NOT_ENABLED && is_of_spec {
        return Progress::Blocked(message);
    }
    // The agent asks for this right now and then, also when a sync is requested.
    if ready.reason == reasons::WORKLOADS_NOT_ALLOWED {
        return Progress::Blocked(message);
    }
    let is_ended_by_users = ready.status != "True" && ENDED_BY_USERS.contains(&ready.reason.as_str());
    if is_ended_by_users && matches!(goal, Goal::Generation(_)) {
        return Progress::Unconfirmed(message);
    }
    let reconciling = find(state.conditions, RECONCILING).filter(|c| c.status == "True");
    let is_over = match goal {
        _ if ready.status == "True" || is_true(state.conditions, STALLED) => true,
        _ if ready.reason == reasons::SUSPENDED => true,
        _ if reconciling.is_some_and(|c| c.reason == reasons::PROGRESSING) => false,
        // A new spec is waited for through its retries; a sync was requested once.
        Goal::Generation(_) | Goal::NewGeneration(_) => beyond_retries.contains(&ready.reason.as_str()),
        Goal::Token(_) | Goal::Condition { .. } => true,
    };
    match (is_over, ready.status.as_str()) {
        (_, "True") if reconciling.is_some_and(|c| c.reason == reasons::PROGRESSING) => {
            Progress::Working(message)
        }
        (true, "True") => Progress::Ready(message),
        (true, _) => Progress::NotReady(message),
        (false, _) => Progress::Working(message),
    }
}

/// Judges by one condition, as `kubectl wait` does.
fn judge_condition(state: &ReconcileState<'_>, is_seen: bool, type_: &str, status: &str) -> Progress {
    let found = state.conditions.iter().find(|condition| condition.type_.eq_ignore_ascii_case(type_));
    match (found, state.ready()) {
        _ if !is_seen => Progress::Unseen,
        (Some(found), _) if found.status.eq_ignore_ascii_case(status) => {
            Progress::Ready(format!("{} is {}: {}", found.type_, found.status, found.message))
        }
        (_, Some(ready)) => Progress::Working(ready.message.clone()),
        (_, None) => Progress::Unseen,
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
    use serde_json::json;

    use super::*;
    use crate::kinds::Kind as _;

    fn judge(image: &Image, goal: &Goal) -> Progress {
        super::judge(&image.state(), goal, Image::BEYOND_RETRIES)
    }

    /// An Image of generation 2 whose token is `t`, with these conditions: type, status, reason.
    fn image(generation: i64, token: &str, conditions: &[(&str, &str, &str)]) -> Image {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(type_, status, reason)| {
                json!({ "type": type_, "status": status, "reason": reason, "message": format!("{reason}!"),
                        "lastTransitionTime": "2026-01-01T00:00:00Z" })
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "x", "generation": 2 },
            "spec": { "mode": "OneShot", "source": { "name": "a/b", "version": "1" }, "destination": { "name": "c/d" } },
            "status": { "observedGeneration": generation, "lastHandledRequestedAt": token, "conditions": conditions },
        }))
        .unwrap()
    }

    const BUSY: &[(&str, &str, &str)] =
        &[("Ready", "False", "Progressing"), ("Reconciling", "True", "Progressing")];
    const RETRY: &[(&str, &str, &str)] =
        &[("Ready", "False", "CopyFailed"), ("Reconciling", "True", "ProgressingWithRetry")];
    const STUCK: &[(&str, &str, &str)] =
        &[("Ready", "False", "InvalidSpec"), ("Stalled", "True", "InvalidSpec")];
    const THERE: &[(&str, &str, &str)] = &[("Ready", "True", "Succeeded")];
    const SUSPENDED: &[(&str, &str, &str)] = &[("Ready", "False", "Suspended")];

    fn of(conditions: &[(&str, &str, &str)], goal: &Goal) -> Progress {
        judge(&image(2, "t", conditions), goal)
    }

    #[test]
    fn a_suspended_image_is_not_waited_for_whatever_its_generation() {
        let mut image = image(1, "t", &[("Ready", "True", "Suspended")]);
        image.spec.suspend = true;
        assert_eq!(judge(&image, &Goal::Generation(2)), Progress::NotReady("Suspended!".into()));
        image.spec.suspend = false;
        assert_eq!(judge(&image, &Goal::Generation(2)), Progress::Unseen);
    }

    #[test]
    fn an_old_status_does_not_count() {
        let token = Goal::Token("t".into());
        assert_eq!(judge(&image(1, "old", THERE), &Goal::Generation(2)), Progress::Unseen);
        assert_eq!(judge(&image(2, "old", THERE), &token), Progress::Unseen);
        assert_eq!(judge(&image(2, "t", &[]), &token), Progress::Unseen);
        let mut overtaken = image(2, "later", THERE);
        let annotation = |token: &str| Some([(REQUESTED_AT_ANNOTATION.to_owned(), token.to_owned())].into());
        overtaken.metadata.annotations = annotation("later");
        assert_eq!(judge(&overtaken, &token), Progress::Ready("Succeeded!".into()));
        overtaken.metadata.annotations = annotation("t");
        assert_eq!(judge(&overtaken, &token), Progress::Unseen, "it was handled before ours was written");
    }

    #[test]
    fn a_sync_is_over_when_nothing_progresses() {
        let token = Goal::Token("t".into());
        assert_eq!(of(BUSY, &token), Progress::Working("Progressing!".into()));
        assert_eq!(of(THERE, &token), Progress::Ready("Succeeded!".into()));
        assert_eq!(of(RETRY, &token), Progress::NotReady("CopyFailed!".into()));
        assert_eq!(of(STUCK, &token), Progress::NotReady("InvalidSpec!".into()));
        assert_eq!(of(SUSPENDED, &token), Progress::NotReady("Suspended!".into()));
    }

    #[test]
    fn a_namespace_that_is_not_enabled_blocks_a_new_spec_and_ends_a_requested_sync() {
        let disabled =
            [("Ready", "False", "NamespaceNotEnabled"), ("Stalled", "True", "NamespaceNotEnabled")];
        assert_eq!(of(&disabled, &Goal::Generation(2)), Progress::Blocked("NamespaceNotEnabled!".into()));
        let requested = Progress::NotReady("NamespaceNotEnabled!".into());
        assert_eq!(
            of(&disabled, &Goal::Token("t".into())),
            requested,
            "the request makes the agent check again"
        );
    }

    #[test]
    fn workloads_that_may_not_be_seen_block_a_requested_sync_too_as_the_right_is_noticed_later() {
        let hidden = [("Ready", "False", "WorkloadsNotAllowed"), ("Stalled", "True", "WorkloadsNotAllowed")];
        for goal in [Goal::Generation(2), Goal::NewGeneration(2), Goal::Token("t".into())] {
            assert_eq!(of(&hidden, &goal), Progress::Blocked("WorkloadsNotAllowed!".into()), "{goal:?}");
        }
    }

    #[test]
    fn a_cause_that_users_end_is_confirmed_unless_the_spec_is_new_or_a_sync_was_requested() {
        for reason in ENDED_BY_USERS {
            let stalled = [("Ready", "False", reason), ("Stalled", "True", reason)];
            let message = format!("{reason}!");
            assert_eq!(of(&stalled, &Goal::Generation(2)), Progress::Unconfirmed(message.clone()));
            assert_eq!(of(&stalled, &Goal::NewGeneration(2)), Progress::NotReady(message.clone()));
            assert_eq!(of(&stalled, &Goal::Token("t".into())), Progress::NotReady(message));
        }
    }

    #[test]
    fn any_condition_can_be_waited_for() {
        let goal = |condition: &str, status: &str| Goal::Condition {
            generation: 2,
            condition: condition.into(),
            status: status.into(),
        };
        assert_eq!(
            of(STUCK, &goal("stalled", "true")),
            Progress::Ready("Stalled is True: InvalidSpec!".into())
        );
        assert_eq!(
            of(STUCK, &goal("Ready", "False")),
            Progress::Ready("Ready is False: InvalidSpec!".into())
        );
        assert_eq!(of(BUSY, &goal("Stalled", "True")), Progress::Working("Progressing!".into()));
        assert_eq!(goal("Stalled", "True").unmet(), "without condition Stalled=True");
        assert_eq!(goal("Stalled", "True").met("x", "Stalled is True: why"), "x: Stalled is True: why");
        assert_eq!(judge(&image(1, "t", STUCK), &goal("Stalled", "True")), Progress::Unseen);
    }

    #[test]
    fn what_no_retry_ends_is_not_waited_for() {
        for reason in Image::BEYOND_RETRIES {
            let retry = [("Ready", "False", *reason), ("Reconciling", "True", "ProgressingWithRetry")];
            assert_eq!(of(&retry, &Goal::Generation(2)), Progress::NotReady(format!("{reason}!")));
        }
    }

    #[test]
    fn a_new_spec_is_waited_for_through_its_retries() {
        let generation = Goal::Generation(2);
        assert_eq!(of(RETRY, &generation), Progress::Working("CopyFailed!".into()));
        assert_eq!(of(STUCK, &generation), Progress::NotReady("InvalidSpec!".into()));
        assert_eq!(of(THERE, &generation), Progress::Ready("Succeeded!".into()));
        assert_eq!(of(SUSPENDED, &generation), Progress::NotReady("Suspended!".into()));
    }
}
