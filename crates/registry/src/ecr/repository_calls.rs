//! What ECR's API is asked about one repository.
//!
//! Source: Amazon ECR API Reference, the operations of the same names.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aws_api::Session;
use super::call::{Call, CallError, Refusal};
use super::error::EcrProblem;

/// The operation that reads the tags of a repository, which say for whom it was created.
const LIST_TAGS: &str = "ListTagsForResource";

/// The policies that a repository may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum RepositoryPolicy {
    /// Which images ECR deletes by itself.
    Lifecycle,
    /// Who else may pull and push.
    Access,
}

impl RepositoryPolicy {
    /// Returns what it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle policy",
            Self::Access => "access policy",
        }
    }

    /// Returns the operations that read and write it, the field with its text, and the code where there is none.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Lifecycle => [
                "GetLifecyclePolicy",
                "PutLifecyclePolicy",
                "lifecyclePolicyText",
                "LifecyclePolicyNotFoundException",
            ],
            Self::Access => [
                "GetRepositoryPolicy",
                "SetRepositoryPolicy",
                "policyText",
                "RepositoryPolicyNotFoundException",
            ],
        }
    }
}

/// What went wrong with a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EcrRepositoryProblem {
    /// AWS was not asked, or did not answer.
    #[error(transparent)]
    Aws(#[from] EcrProblem),
    /// AWS refuses.
    #[error("AWS refuses {operation} (HTTP {status}): {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// The status of the answer.
        status: u16,
        /// AWS's code and words.
        message: String,
        /// Whether the same request may succeed soon.
        is_transient: bool,
    },
    /// The registry is ECR Public, whose repositories have other properties.
    #[error("repositories of ECR Public are not created; create it there by hand")]
    Public,
}

impl EcrRepositoryProblem {
    /// Whether the same request may succeed soon, without a change of rights or of the spec.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Aws(problem) => problem.is_transient(),
            Self::Refused { is_transient, .. } => *is_transient,
            Self::Public => false,
        }
    }

    /// Whether AWS refuses an operation that it takes to give the repository this policy.
    pub fn refuses(&self, policy: RepositoryPolicy) -> bool {
        let [get, set, ..] = policy.names();
        matches!(self, Self::Refused { operation, .. } if [LIST_TAGS, get, set].contains(operation))
    }

    /// Whether AWS refuses, and will as long as rights and policies stay as they are.
    pub(super) fn is_lasting_refusal(&self) -> bool {
        matches!(self, Self::Refused { is_transient: false, .. })
    }

    /// Whether AWS may have done what it was asked to. What it refuses as a fault of the request it has not done.
    pub(super) fn may_be_done(&self) -> bool {
        !matches!(self, Self::Refused { status, .. } if *status < 500)
    }
}

/// Calls about one repository.
pub(super) struct RepositoryCalls<'a> {
    pub(super) session: Session<'a>,
    /// The account of the registry. AWS creates nothing in any account but that of the identity.
    pub(super) account: &'a str,
    pub(super) name: &'a str,
}

/// An operation that was not done.
struct Undone {
    operation: &'static str,
    error: CallError,
}

impl From<Undone> for EcrRepositoryProblem {
    fn from(Undone { operation, error }: Undone) -> Self {
        let is_transient = error.is_transient();
        match error {
            CallError::Refused(Refusal { status, message, .. }) => {
                Self::Refused { operation, status, message, is_transient }
            }
            CallError::Problem(problem) => Self::Aws(problem),
        }
    }
}

#[derive(Deserialize)]
struct Repositories {
    repositories: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    repository_arn: String,
}

#[derive(Deserialize)]
struct Tags {
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl RepositoryCalls<'_> {
    /// Returns the ARN of the repository; none if it does not exist.
    pub(super) async fn describe(&self) -> Result<Option<String>, EcrRepositoryProblem> {
        let body = json!({ "registryId": self.account, "repositoryNames": [self.name] });
        let found = self.ask::<Repositories>("DescribeRepositories", &body).await;
        let Some(found) = unless(found, "RepositoryNotFoundException")? else { return Ok(None) };
        let first = found.repositories.into_iter().next();
        Ok(Some(first.ok_or_else(|| self.session.protocol_error())?.repository_arn))
    }

    /// Creates the repository. Returns false if it exists.
    pub(super) async fn create(
        &self,
        tags: &BTreeMap<String, String>,
        scan_on_push: bool,
        immutable: bool,
    ) -> Result<bool, EcrRepositoryProblem> {
        let tags: Vec<Value> =
            tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let body = json!({
            "registryId": self.account, "repositoryName": self.name, "tags": tags,
            "imageScanningConfiguration": { "scanOnPush": scan_on_push },
            "imageTagMutability": if immutable { "IMMUTABLE" } else { "MUTABLE" },
        });
        let created = self.ask::<Value>("CreateRepository", &body).await;
        Ok(unless(created, "RepositoryAlreadyExistsException")?.is_some())
    }

    /// Returns the value of the repository's tag of this key, in AWS's sense of the word; none if it has none.
    pub(super) async fn tag(&self, arn: &str, key: &str) -> Result<Option<String>, EcrRepositoryProblem> {
        let found = self.ask::<Tags>(LIST_TAGS, &json!({ "resourceArn": arn })).await?;
        Ok(found.tags.into_iter().find(|tag| tag.key == key).map(|tag| tag.value))
    }

    /// Returns a policy of the repository; none if it has none.
    pub(super) async fn policy(&self, of: RepositoryPolicy) -> Result<Option<Value>, EcrRepositoryProblem> {
        let [get, _, field, missing] = of.names();
        let body = json!({ "registryId": self.account, "repositoryName": self.name });
        let Some(found) = unless(self.ask::<Value>(get, &body).await, missing)? else { return Ok(None) };
        let text = found.get(field).and_then(Value::as_str);
        let policy = text.and_then(|text| serde_json::from_str(text).ok());
        Ok(Some(policy.ok_or_else(|| self.session.protocol_error())?))
    }

    /// Gives the repository a policy.
    pub(super) async fn set_policy(
        &self,
        which: RepositoryPolicy,
        policy: &Value,
    ) -> Result<(), EcrRepositoryProblem> {
        let [_, set, field, _] = which.names();
        let body =
            json!({ "registryId": self.account, "repositoryName": self.name, field: policy.to_string() });
        Ok(self.ask::<Value>(set, &body).await.map(|_| ())?)
    }

    async fn ask<T: DeserializeOwned>(&self, operation: &'static str, body: &Value) -> Result<T, Undone> {
        let undone = |error: CallError| Undone { operation, error };
        let body = self.session.call(Call { operation, body: &body.to_string() }).await.map_err(undone)?;
        serde_json::from_slice(&body).map_err(|_| undone(self.session.protocol_error().into()))
    }
}

/// Returns what was answered; none if AWS refuses with this code.
fn unless<T>(answer: Result<T, Undone>, code: &str) -> Result<Option<T>, Undone> {
    match answer {
        Err(undone) if undone.error.code() == Some(code) => Ok(None),
        answer => answer.map(Some),
    }
}
