//! What an administrator grants the service accounts of a namespace in another one, asked of the API server.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;

use super::api_error::ApiError;
use super::reviews::{Reviews, attributes};
use super::rights::Right;

/// How long it is believed that a right is lacking: who grants it should not wait.
const DENIED_TTL: Duration = Duration::from_mins(1);
/// How many answers are cached.
const MAX_CACHED: usize = 20_000;

/// The namespace of the service accounts, the namespace that they act in, and the right.
type Key = (String, String, Right);

/// Answers whether the service accounts of a namespace have a right in another one.
pub struct GroupRights {
    reviews: Reviews<Key>,
}

impl GroupRights {
    /// Returns one that asks through this client.
    pub fn new(client: Client) -> Self {
        Self { reviews: Reviews::new(client, DENIED_TTL, MAX_CACHED) }
    }

    /// Returns whether the service accounts of a namespace have a right in another one, as it was in the last minutes.
    pub async fn may(&self, accounts_of: &str, right: Right, namespace: &str) -> Result<bool, ApiError> {
        let key = (accounts_of.to_owned(), namespace.to_owned(), right);
        if let Some(may) = self.reviews.known(&key) {
            return Ok(may);
        }
        let spec = SubjectAccessReviewSpec {
            groups: Some(vec![format!("system:serviceaccounts:{accounts_of}")]),
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

    use super::super::fixtures::api_server;
    use super::super::rights::Role;
    use super::*;

    const MIRROR: Right =
        Right { verb: "mirror", group: "", resource: "pods", done_to: None, role: Role::JOBS };

    #[tokio::test(start_paused = true)]
    async fn a_right_is_believed_for_five_minutes_and_its_absence_for_one() {
        let is_granted = Arc::new(AtomicBool::new(true));
        let granted = is_granted.clone();
        let (client, asked) = api_server(move |_| {
            let allowed = granted.load(Ordering::SeqCst);
            (201, json!({ "spec": {}, "status": { "allowed": allowed } }).to_string())
        });
        let rights = GroupRights::new(client);
        let may = async || rights.may("team-a", MIRROR, "team-b").await.unwrap();
        assert!(may().await);
        is_granted.store(false, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(may().await);
        assert_eq!(asked.lock().unwrap().len(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!may().await);
        is_granted.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!may().await);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(may().await);
        assert_eq!(asked.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_neither_yes_nor_no() {
        let (client, _) = api_server(|_| super::super::fixtures::refusal(500, "InternalError", "etcd"));
        assert!(GroupRights::new(client).may("team-a", MIRROR, "team-b").await.is_err());
    }
}
