//! What is new with an object. Pure.

use imgop_core::api::conditions::{READY, STALLED, find, is_true, reasons};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::config::NotificationEvent;

/// The trouble that was last told of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    is_stalled: bool,
    reason: String,
}

/// How an object stands.
enum Standing {
    Well,
    InTrouble(Told),
    /// Under way, or waiting for what is no trouble.
    Between,
}

fn standing(conditions: &[Condition]) -> Standing {
    let Some(ready) = find(conditions, READY) else { return Standing::Between };
    match ready.reason.as_str() {
        _ if ready.status == "True" => Standing::Well,
        reasons::PROGRESSING | reasons::SUSPENDED | reasons::NO_MATCHING_TAGS | reasons::TAGS_TOO_YOUNG => {
            Standing::Between
        }
        reason => {
            let is_stalled = is_true(conditions, STALLED);
            Standing::InTrouble(Told { is_stalled, reason: reason.to_owned() })
        }
    }
}

/// Returns what is to be told of a change of conditions, and what counts as told from then on. The same trouble is told
/// once, however often it is tried again in between; trouble that an earlier process has seen counts as told.
pub(super) fn news(
    told: Option<Told>,
    before: &[Condition],
    after: &[Condition],
    completed: u32,
) -> (Option<NotificationEvent>, Option<Told>) {
    let told = told.or_else(|| match standing(before) {
        Standing::InTrouble(trouble) => Some(trouble),
        _ => None,
    });
    match standing(after) {
        Standing::Well if told.is_some() => (Some(NotificationEvent::Recovered), None),
        Standing::Well => ((completed > 0).then_some(NotificationEvent::Succeeded), None),
        Standing::Between => (None, told),
        Standing::InTrouble(trouble) if told.as_ref() == Some(&trouble) => (None, told),
        Standing::InTrouble(trouble) => {
            let event =
                if trouble.is_stalled { NotificationEvent::Stalled } else { NotificationEvent::Failed };
            (Some(event), Some(trouble))
        }
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::conditions::{NewCondition, merge};
    use jiff::Timestamp;

    use super::*;
    use NotificationEvent::{Failed, Recovered, Stalled, Succeeded};

    fn conditions(status: bool, reason: &'static str, is_stalled: bool) -> Vec<Condition> {
        let of =
            |type_, status| NewCondition { type_, status: Some(status), reason, message: "m".to_owned() };
        let stalled = is_stalled.then(|| of(STALLED, true));
        let new = [of(READY, status)].into_iter().chain(stalled).collect();
        merge(&[], new, Some(1), Timestamp::UNIX_EPOCH)
    }

    fn ready() -> Vec<Condition> {
        conditions(true, reasons::SUCCEEDED, false)
    }

    fn progressing() -> Vec<Condition> {
        conditions(false, reasons::PROGRESSING, false)
    }

    fn failed() -> Vec<Condition> {
        conditions(false, reasons::COPY_FAILED, false)
    }

    /// Returns what is told of these changes, one after the other, each with what it completed.
    fn told_of(changes: &[(Vec<Condition>, u32)]) -> Vec<NotificationEvent> {
        let (mut told, mut before, mut events) = (None, Vec::new(), Vec::new());
        for (after, completed) in changes {
            let (event, now_told) = news(told, &before, after, *completed);
            events.extend(event);
            (told, before) = (now_told, after.clone());
        }
        events
    }

    #[test]
    fn a_success_is_told_only_if_something_is_new() {
        assert_eq!(told_of(&[(progressing(), 0), (ready(), 3)]), [Succeeded]);
        assert_eq!(told_of(&[(progressing(), 0), (ready(), 0)]), []);
    }

    #[test]
    fn the_same_trouble_is_told_once_and_its_end_once() {
        let changes = [failed(), progressing(), failed(), progressing(), failed(), progressing(), ready()];
        assert_eq!(told_of(&changes.map(|after| (after, 0))), [Failed, Recovered]);
    }

    #[test]
    fn another_trouble_is_told_again() {
        let stalled = conditions(false, reasons::REGISTRY_UNAUTHORIZED, true);
        let unreachable = conditions(false, reasons::REGISTRY_UNREACHABLE, false);
        let changes = [failed(), unreachable, stalled.clone(), stalled];
        assert_eq!(told_of(&changes.map(|after| (after, 0))), [Failed, Failed, Stalled]);
    }

    #[test]
    fn trouble_that_an_earlier_process_has_seen_is_not_told_again_and_its_end_is() {
        assert_eq!(news(None, &failed(), &failed(), 0).0, None);
        assert_eq!(news(None, &failed(), &ready(), 1).0, Some(Recovered));
    }

    #[test]
    fn what_is_no_trouble_is_not_told() {
        for reason in [reasons::SUSPENDED, reasons::NO_MATCHING_TAGS, reasons::TAGS_TOO_YOUNG] {
            assert_eq!(told_of(&[(conditions(false, reason, false), 0)]), []);
        }
    }
}
