//! What an administrator grants the service accounts of a namespace in other ones, asked of the API server.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use imgop_core::workloads::service_accounts_of;
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;

use super::api_error::ApiError;
use super::reviews::{DeniedTtl, Reviews, attributes};
use super::rights::Right;

/// How long it is believed that a right is lacking: who grants it should not wait, and a right that is never granted is not
/// to be asked for each minute, times all namespaces and all that ask.
const DENIED_TTL: DeniedTtl = DeniedTtl { first: Duration::from_mins(1), max: Duration::from_mins(15) };
/// How many answers are cached.
const MAX_CACHED: usize = 20_000;
/// Reviews that are asked for at once, and in one call: who calls holds one of few turns.
const CONCURRENT_REVIEWS: usize = 4;
const MAX_REVIEWS: usize = 100;
/// What stands for all namespaces.
const EVERYWHERE: &str = "";

/// The namespace of the service accounts, the namespace that they act in, and the right.
type Key = (String, String, Right);

/// Answers whether the service accounts of a namespace have a right in others.
pub struct GroupRights {
    reviews: Reviews<Key>,
}

/// In which namespaces a right is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// Whether it is granted in all of them at once.
    pub everywhere: bool,
    /// Where it is granted, and where it is not. What is not in it is not known yet.
    by_namespace: HashMap<String, bool>,
    /// How many answers are to be asked for yet.
    pub open: usize,
}

impl Granted {
    /// Returns whether it is granted in a namespace; none where that is not known yet.
    pub fn is_in(&self, namespace: &str) -> Option<bool> {
        if self.everywhere { Some(true) } else { self.by_namespace.get(namespace).copied() }
    }
}

impl GroupRights {
    /// Returns one that asks through this client.
    pub fn new(client: Client) -> Self {
        Self { reviews: Reviews::new(client, DENIED_TTL, MAX_CACHED) }
    }

    /// Returns in which of these namespaces the service accounts of a namespace have a right, as it was in the last minutes.
    /// It is asked first whether they have it everywhere. No more is asked than a call may; what is open is asked by the
    /// next ones.
    pub async fn among(
        &self,
        accounts_of: &str,
        right: Right,
        namespaces: &[&str],
    ) -> Result<Granted, ApiError> {
        if self.may(accounts_of, right, EVERYWHERE).await? {
            return Ok(Granted { everywhere: true, ..Granted::default() });
        }
        let key = |namespace: &str| (accounts_of.to_owned(), namespace.to_owned(), right);
        let mut granted = Granted::default();
        let mut open = Vec::new();
        for namespace in namespaces {
            let key = key(namespace);
            let known = self.reviews.known(&key);
            let last = known.or_else(|| self.reviews.last(&key));
            granted.by_namespace.extend(last.map(|may| ((*namespace).to_owned(), may)));
            if known.is_none() {
                open.push((*namespace, last));
            }
        }
        // A right that may have been withdrawn first, then what was never asked for.
        open.sort_by_key(|(_, last)| match last {
            Some(true) => 0,
            None => 1,
            Some(false) => 2,
        });
        granted.open = open.len().saturating_sub(MAX_REVIEWS);
        let asked = open.into_iter().take(MAX_REVIEWS).map(|(namespace, _)| async move {
            let may = self.may(accounts_of, right, namespace).await;
            may.map(|may| (namespace.to_owned(), may))
        });
        let asked: Vec<_> = asked.collect();
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENT_REVIEWS).collect().await;
        for answer in answers {
            let (namespace, may) = answer?;
            granted.by_namespace.insert(namespace, may);
        }
        Ok(granted)
    }

    /// Has all that the service accounts of a namespace are granted and denied asked for again: a user waits for it.
    pub fn invalidate(&self, accounts_of: &str) {
        self.reviews.invalidate(|(of, _, _)| of == accounts_of);
    }

    async fn may(&self, accounts_of: &str, right: Right, namespace: &str) -> Result<bool, ApiError> {
        let key = (accounts_of.to_owned(), namespace.to_owned(), right);
        if let Some(may) = self.reviews.known(&key) {
            return Ok(may);
        }
        let spec = SubjectAccessReviewSpec {
            groups: Some(vec![service_accounts_of(accounts_of)]),
            resource_attributes: Some(attributes(right, namespace)),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let what = format!("the right of {accounts_of:?} to {right} in {namespace:?}");
        self.reviews.ask(&key, &what, &review).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;
    use tokio::time::advance;

    use super::super::fixtures::{Asked, api_server};
    use super::super::rights::Role;
    use super::*;

    const MIRROR: Right =
        Right { verb: "mirror", group: "", resource: "pods", done_to: None, role: Role::JOBS };

    /// Rights that are granted everywhere while the switch is set.
    fn granted_by(switch: &Arc<AtomicBool>) -> (GroupRights, Asked) {
        let switch = switch.clone();
        let (client, asked) = api_server(move |_| {
            let allowed = switch.load(Ordering::SeqCst);
            (201, json!({ "spec": {}, "status": { "allowed": allowed } }).to_string())
        });
        (GroupRights::new(client), asked)
    }

    fn count(asked: &Asked) -> usize {
        asked.lock().unwrap().len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_granted_everywhere_is_one_review_for_a_thousand_namespaces_and_believed_for_minutes() {
        let is_granted = Arc::new(AtomicBool::new(true));
        let (rights, asked) = granted_by(&is_granted);
        let names: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let granted = rights.among("team-a", MIRROR, &names).await.unwrap();
        assert!(granted.everywhere && granted.is_in("n999") == Some(true) && granted.open == 0);
        is_granted.store(false, Ordering::SeqCst);
        advance(Duration::from_secs(299)).await;
        assert!(rights.among("team-a", MIRROR, &names).await.unwrap().everywhere);
        assert_eq!(count(&asked), 1);
        advance(Duration::from_secs(2)).await;
        let withdrawn = rights.among("team-a", MIRROR, &names[..1]).await.unwrap();
        assert_eq!((withdrawn.everywhere, withdrawn.is_in("n0")), (false, Some(false)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_denied_is_asked_for_less_and_less_often_and_all_at_once_where_a_user_waits() {
        let is_granted = Arc::default();
        let (rights, asked) = granted_by(&is_granted);
        let may = async || rights.among("team-a", MIRROR, &["team-b"]).await.unwrap().is_in("team-b");
        let mut asked_at = Vec::new();
        for minute in 0..62 {
            let before = count(&asked);
            assert_eq!(may().await, Some(false));
            if count(&asked) > before {
                asked_at.push(minute);
            }
            advance(Duration::from_mins(1)).await;
        }
        assert_eq!(asked_at, [0, 1, 3, 7, 15, 30, 45, 60]);
        is_granted.store(true, Ordering::SeqCst);
        assert_eq!(may().await, Some(false));
        rights.invalidate("team-x");
        assert_eq!(may().await, Some(false), "another's request");
        rights.invalidate("team-a");
        assert_eq!(may().await, Some(true));
        is_granted.store(false, Ordering::SeqCst);
        assert_eq!(may().await, Some(true), "believed for minutes");
        rights.invalidate("team-a");
        assert_eq!(may().await, Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_namespaces_are_asked_for_bit_by_bit_and_what_was_known_serves_until_then() {
        let (client, asked) =
            api_server(move |_| (201, json!({ "spec": {}, "status": { "allowed": false } }).to_string()));
        let rights = GroupRights::new(client);
        let names: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut open = Vec::new();
        for _ in 0..10 {
            let before = count(&asked);
            let granted = rights.among("team-a", MIRROR, &names).await.unwrap();
            assert!(count(&asked) - before <= MAX_REVIEWS + 1);
            let unknown = names.iter().filter(|name| granted.is_in(name).is_none()).count();
            assert_eq!(unknown, granted.open);
            open.push(granted.open);
        }
        assert_eq!(open, [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]);
        advance(Duration::from_secs(61)).await;
        let granted = rights.among("team-a", MIRROR, &names).await.unwrap();
        assert_eq!(granted.open, 900);
        assert!(names.iter().all(|name| granted.is_in(name) == Some(false)), "what was known serves");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_neither_yes_nor_no() {
        let (client, _) = api_server(|_| super::super::fixtures::refusal(500, "InternalError", "etcd"));
        assert!(GroupRights::new(client).among("team-a", MIRROR, &["team-b"]).await.is_err());
    }
}
