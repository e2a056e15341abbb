//! Why there is no token.

use std::error::Error;

use crate::reference::{EcrHost, RegistryHost};
use crate::registry::printable;

/// The longest text of AWS that is repeated, in characters. Its refusals name the user, the action
/// and the resource, and are longer than those of registries.
const LONGEST: usize = 400;

/// Why there is no token for a registry of ECR. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token for {host} ({ecr}): {problem}")]
pub struct EcrError {
    /// The registry.
    pub host: RegistryHost,
    /// Its account and region.
    pub ecr: EcrHost,
    /// What went wrong.
    pub problem: EcrProblem,
}

/// What went wrong on the way to a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EcrProblem {
    /// AWS's chain found none, and none of its sources is broken.
    #[error(
        "there are no AWS credentials: none in the environment, a profile, a web identity (IRSA), a pod identity \
         or the machine's metadata"
    )]
    NoCredentials,
    /// A source of credentials is there and does not work.
    #[error("the AWS credentials cannot be used: {0}")]
    Credentials(String),
    /// AWS answers and gives no token.
    #[error("AWS gives no token (HTTP {status}): {message}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// AWS's code and words.
        message: String,
    },
    /// No answer.
    #[error("{api} does not answer: {message}")]
    Unreachable {
        /// The host of ECR's API.
        api: String,
        /// Why.
        message: String,
    },
    /// Something else than a token.
    #[error("{api} does not answer as ECR's API")]
    Protocol {
        /// The host of ECR's API.
        api: String,
    },
    /// We cannot even ask.
    #[error("AWS cannot be asked: {0}")]
    Settings(String),
}

impl EcrError {
    /// Whether the same question may have another answer soon, with nobody changing anything.
    pub fn may_pass(&self) -> bool {
        self.problem.may_pass()
    }
}

impl EcrProblem {
    /// Whether the same question may have another answer soon.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, message } => *status >= 500 || *status == 429 || is_throttled(message),
            _ => false,
        }
    }
}

/// AWS says with a code that it wants fewer requests, and often with HTTP 400.
fn is_throttled(message: &str) -> bool {
    message.starts_with("Throttling") || message.starts_with("TooManyRequests")
}

/// What may be shown of the words of AWS.
pub(super) fn words(text: &str) -> String {
    printable(text).chars().take(LONGEST).collect()
}

/// What an error and its causes say, each once. Causes often repeat one another.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let all = std::iter::successors(Some(error), |&error| error.source());
    for text in all.map(ToString::to_string) {
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
    }
    words(&texts.join(": "))
}

/// The last of the causes.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let last = std::iter::successors(Some(error), |&error| error.source()).last();
    words(&last.map(ToString::to_string).unwrap_or_default())
}
