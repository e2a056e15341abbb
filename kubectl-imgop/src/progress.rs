//! How far the agent is with what was asked for. Pure: from an Image to a judgement.

use imgop_core::api::conditions::{READY, RECONCILING, STALLED, find, is_true, reasons};
use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use kube::ResourceExt as _;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// The outcome of this generation of the spec, retries included.
    Generation(i64),
    /// The outcome of the sync that this token asked for.
    Token(String),
}

/// How far the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The agent has not looked at it yet.
    Unseen,
    /// It is at work; what it says.
    Working(String),
    /// Every tag is at the destination; what it says.
    Ready(String),
    /// It ended otherwise; what it says.
    NotReady(String),
}

/// What the agent looks at again and again, but only somebody else or the days to come can end.
const BEYOND_RETRIES: [&str; 2] = [reasons::PLATFORM_NOT_FOUND, reasons::TAGS_TOO_YOUNG];

/// Judges an Image.
pub fn judge(image: &Image, goal: &Goal) -> Progress {
    let status = image.status.clone().unwrap_or_default();
    let is_seen = match goal {
        Goal::Generation(generation) => status.observed_generation.is_some_and(|g| g >= *generation),
        // A later request takes the place of ours, and its sync is as good.
        Goal::Token(token) => status.last_handled_requested_at.as_ref().is_some_and(|handled| {
            handled == token || image.annotations().get(REQUESTED_AT_ANNOTATION) == Some(handled)
        }),
    };
    let ready = find(&status.conditions, READY);
    // The agent certifies no spec while it is suspended, so its generation would be waited for in vain.
    if let Some(ready) = ready.filter(|c| image.spec.suspend && c.reason == reasons::SUSPENDED) {
        return Progress::NotReady(ready.message.clone());
    }
    let Some(ready) = ready.filter(|_| is_seen) else { return Progress::Unseen };
    let message = match ready.message.as_str() {
        "" => ready.reason.clone(),
        message => message.to_owned(),
    };
    let reconciling = find(&status.conditions, RECONCILING).filter(|c| c.status == "True");
    let is_over = match goal {
        _ if ready.status == "True" || is_true(&status.conditions, STALLED) => true,
        _ if ready.reason == reasons::SUSPENDED => true,
        _ if reconciling.is_some_and(|c| c.reason == reasons::PROGRESSING) => false,
        // A new spec is waited for through its retries; a sync was asked for once.
        Goal::Generation(_) => BEYOND_RETRIES.contains(&ready.reason.as_str()),
        Goal::Token(_) => true,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
    fn an_old_status_says_nothing() {
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
    fn what_no_retry_ends_is_not_waited_for() {
        for reason in BEYOND_RETRIES {
            let retry = [("Ready", "False", reason), ("Reconciling", "True", "ProgressingWithRetry")];
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
