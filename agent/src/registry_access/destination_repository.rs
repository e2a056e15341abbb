//! Repositories that something is pushed to: created where they are missing, right before the push.

use imgop_core::api::MANAGED_REPOSITORY_TAG;
use imgop_core::api::conditions::reasons;
use imgop_core::creation::{Creation, PolicyField, YieldedPolicy};
use imgop_registry::ecr::{
    EcrRepositoryError, EcrRepositoryProblem, RepositoryCheck, RepositoryPolicy, WantedRepository,
};

use super::{AccessError, EndpointUse};
use crate::agent::Agent;
use crate::cluster::Freshness;
use crate::cluster::owner::Owner;

/// What events of it say that is done.
const ACTION: &str = "EnsureRepository";

/// Why a repository is not as a spec says.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// Administrators do not let the namespace have it created.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// AWS did not do what was asked.
    #[error(transparent)]
    Aws(#[from] Box<RepositoryError>),
}

/// AWS leaves a repository other than it is to be.
#[derive(Debug, thiserror::Error)]
#[error("{error}{whose}")]
pub struct RepositoryError {
    error: EcrRepositoryError,
    /// Of which objects the policies are that AWS refuses, if of others.
    whose: String,
}

impl RepositoryError {
    /// Whether the same may succeed soon, without a change of rights or of a spec.
    pub fn is_transient(&self) -> bool {
        self.error.is_transient()
    }
}

/// Sees to it that a registry has a repository as the spec of an object says, with these policies of others, before something
/// is pushed there: who may pull is to be right before there is something to pull. Where AWS refuses a lifecycle policy for
/// which the spec does not ask, the log says so, and the repository counts as what it is to be. `again` does so whatever is
/// known of it.
pub async fn ensure_repository(
    (agent, owner): (&Agent, &Owner),
    (creation, yielded): (&Creation, &[YieldedPolicy]),
    of: EndpointUse<'_>,
    again: bool,
) -> Result<(), EnsureError> {
    let freshness = if again { Freshness::Now } else { Freshness::Cached };
    agent.registry_access().may_create(of, creation, freshness).await?;
    let wanted = wanted((creation, yielded), of.namespace);
    let ensured = agent.ecr_repositories.ensure(of.repository, &wanted, again).await;
    // A repository that was created before AWS refused something is there for the next try, which would not tell of it.
    let done = ensured.as_ref().map_or_else(|error| Some(&error.done), Option::as_ref);
    if let Some(done) = done {
        report((agent, owner), (of, creation), done).await;
        warn_of_refused((owner, yielded), of, done);
    }
    let Err(error) = ensured else { return Ok(()) };
    let whose = whose(yielded, &error.problem);
    Err(EnsureError::Aws(Box::new(RepositoryError { error, whose })))
}

async fn report(
    (agent, owner): (&Agent, &Owner),
    (of, creation): (EndpointUse<'_>, &Creation),
    check: &RepositoryCheck,
) {
    let (events, to, field) = (&agent.events, of.repository, of.field);
    let set: Vec<&str> = check.set.iter().map(|policy| policy.as_str()).collect();
    let set = set.join(" and ");
    if check.is_created {
        let with = if set.is_empty() { String::new() } else { format!(" with its {set}") };
        let note = format!("repository {to} is created{with}");
        events.change(owner, reasons::REPOSITORY_CREATED, ACTION, note).await;
    } else if !set.is_empty() {
        let note = format!("repository {to} is given its {set}");
        events.change(owner, reasons::REPOSITORY_POLICY_SET, ACTION, note).await;
    }
    // An object without a policy has none to miss.
    if check.is_foreign && creation.has_policy() {
        let note = format!(
            "repository {to} keeps the policies that it has, because imgop did not create it; for those of \
             spec.{field}.create set adopt there"
        );
        events.change(owner, reasons::REPOSITORY_NOT_ADOPTED, ACTION, note).await;
    }
}

/// Logs which policies the repository lacks for which only other objects ask: the condition of this one does not say so.
fn warn_of_refused(
    (owner, yielded): (&Owner, &[YieldedPolicy]),
    of: EndpointUse<'_>,
    check: &RepositoryCheck,
) {
    let (Owner { kind, namespace, name, .. }, repository) = (owner, of.repository);
    for problem in &check.refused {
        let error = format!("{problem}{}", whose(yielded, problem));
        tracing::warn!(%kind, %namespace, %name, %repository, %error, "a policy of another object is not set");
    }
}

/// Returns of which other objects the policies are that AWS refuses to read or to set.
fn whose(yielded: &[YieldedPolicy], problem: &EcrRepositoryProblem) -> String {
    let refused = yielded.iter().filter(|policy| problem.refuses(in_ecr(policy.field())));
    let parts: Vec<String> = refused
        .map(|policy| format!("; the {} is that of {}", in_ecr(policy.field()).as_str(), policy.object()))
        .collect();
    parts.concat()
}

/// Returns what ECR calls a policy of a spec.
const fn in_ecr(field: PolicyField) -> RepositoryPolicy {
    match field {
        PolicyField::Lifecycle => RepositoryPolicy::Lifecycle,
        PolicyField::Access => RepositoryPolicy::Access,
    }
}

/// What is wanted. The tag that says who created a repository names the namespace: another one that is lent the same
/// identity does not write its policies. A lifecycle policy for which only another object asks is optional: without the right
/// to set it this object would do nothing at all. An access policy never is, or something could be pulled by the wrong ones.
fn wanted((creation, yielded): (&Creation, &[YieldedPolicy]), namespace: &str) -> WantedRepository {
    let creation = creation.clone().yielding(yielded);
    let managed = (MANAGED_REPOSITORY_TAG.to_owned(), namespace.to_owned());
    let policies = [
        (RepositoryPolicy::Lifecycle, &creation.lifecycle_policy),
        (RepositoryPolicy::Access, &creation.access_policy),
    ];
    let policies = policies.into_iter().filter_map(|(which, policy)| Some((which, policy.clone()?)));
    let is_optional =
        |policy: &&YieldedPolicy| policy.is_additional() && policy.field() == PolicyField::Lifecycle;
    let optional = yielded.iter().filter(is_optional).map(|policy| in_ecr(policy.field()));
    WantedRepository {
        tags: creation.tags.clone().into_iter().chain([managed]).collect(),
        owner_tag: MANAGED_REPOSITORY_TAG.to_owned(),
        scan_on_push: creation.scan_on_push,
        immutable: creation.immutable,
        policies: policies.collect(),
        optional: optional.collect(),
        adopt: creation.adopt,
        role_arn: creation.role_arn.clone(),
    }
}
