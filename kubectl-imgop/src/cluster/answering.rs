//! A cluster that is asked only for as long as it answers.

use std::cell::OnceCell;
use std::time::Duration;

use super::connection::Cluster;

/// How long a cluster may take that is not needed, and only knows more.
const BRIEF_TIMEOUT: Duration = Duration::from_secs(3);

/// A cluster, or why there is none. A call that is not answered is the last one: whoever previews a hundred
/// Images without their VPN waits for one time-out, and not for hundreds.
pub struct AnsweringCluster {
    cluster: Result<Cluster, String>,
    silence: OnceCell<String>,
    patience: Duration,
}

/// Why a call has no result.
#[derive(Debug)]
pub enum CallError {
    /// The API server refuses the call.
    Refused(Box<kube::core::Status>, String),
    /// There is no cluster, or it does not answer.
    NoAnswer(String),
}

impl CallError {
    /// Returns the error in words.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(_, message) | Self::NoAnswer(message) => message,
        }
    }

    /// Returns whether what was requested does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status, _) if status.code == 404)
    }
}

impl AnsweringCluster {
    /// Returns a cluster that has not been asked yet, or why there is none.
    pub fn new(cluster: Result<Cluster, String>) -> Self {
        Self { cluster, silence: OnceCell::new(), patience: super::ANSWER_TIMEOUT }
    }

    /// Returns one that is not needed, and is not waited for as long.
    pub fn briefly<E: std::fmt::Display>(cluster: Result<Cluster, E>) -> Self {
        Self { patience: BRIEF_TIMEOUT, ..Self::new(cluster.map_err(|error| error.to_string())) }
    }

    /// Returns the namespace of names without one; none without a cluster.
    pub fn namespace(&self) -> Option<&str> {
        self.cluster.as_ref().ok().map(|cluster| cluster.namespace.as_str())
    }

    /// Calls the API server in a namespace, or in that of the flags. `resource` is what is requested, as RBAC
    /// names it, with the verb in front: `get secrets`.
    pub async fn ask<T>(
        &self,
        namespace: Option<&str>,
        (verb, resource): (&str, &str),
        call: impl AsyncFnOnce(&Cluster) -> kube::Result<T>,
    ) -> Result<T, CallError> {
        let cluster = self.cluster.as_ref().map_err(|why| CallError::NoAnswer(why.clone()))?;
        if let Some(why) = self.silence.get() {
            return Err(CallError::NoAnswer(why.clone()));
        }
        let cluster = cluster.in_namespace(namespace);
        let error = match tokio::time::timeout(self.patience, call(&cluster)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => error,
            Err(_) => return Err(self.silent(format!("{} does not answer", cluster.server))),
        };
        let message = cluster.explain_in_namespace(verb, resource, &error).message;
        match error {
            kube::Error::Api(status) => Err(CallError::Refused(status, message)),
            _ => Err(self.silent(message)),
        }
    }

    fn silent(&self, why: String) -> CallError {
        CallError::NoAnswer(self.silence.get_or_init(|| why).clone())
    }
}
