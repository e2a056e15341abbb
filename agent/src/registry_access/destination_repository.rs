//! Repositories that something is pushed to: created where they are missing, right before the push.

use imgop_core::api::MANAGED_REPOSITORY_TAG;
use imgop_core::api::conditions::reasons;
use imgop_core::creation::{Creation, YieldedPolicy};
use imgop_registry::ecr::{EcrRepositoryError, RepositoryCheck, RepositoryPolicy, WantedRepository};
use imgop_registry::reference::Repository;

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
    Aws(#[from] Box<EcrRepositoryError>),
}

/// Sees to it that a registry has a repository as the spec of an object says, with these policies of others, before something
/// is pushed there: who may pull is to be right before there is something to pull. `again` does so whatever is known of it.
pub async fn ensure_repository(
    (agent, owner): (&Agent, &Owner),
    (creation, yielded): (&Creation, &[YieldedPolicy]),
    of: EndpointUse<'_>,
    again: bool,
) -> Result<(), EnsureError> {
    let freshness = if again { Freshness::Now } else { Freshness::Cached };
    agent.registry_access().may_create(of, creation, freshness).await?;
    let wanted = |yielded: &[YieldedPolicy]| wanted(&creation.clone().yielding(yielded), of.namespace);
    let mut check = agent.ecr_repositories.ensure(of.repository, &wanted(yielded), again).await;
    let asked_for: Vec<YieldedPolicy> =
        yielded.iter().filter(|policy| !policy.is_additional()).cloned().collect();
    if check.is_err() && asked_for.len() < yielded.len() {
        // The rights for policies that its own spec does not ask for may be lacking: the objects that have them set them.
        check = agent.ecr_repositories.ensure(of.repository, &wanted(&asked_for), again).await;
    }
    if let Some(mut check) = check.map_err(Box::new)? {
        // An object without a policy has none to miss.
        check.is_foreign = check.is_foreign && creation.has_policy();
        report((agent, owner), (of.repository, of.field), &check).await;
    }
    Ok(())
}

async fn report((agent, owner): (&Agent, &Owner), (to, field): (&Repository, &str), check: &RepositoryCheck) {
    let events = &agent.events;
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
    if check.is_foreign {
        let note = format!(
            "repository {to} keeps the policies that it has, because imgop did not create it; for those of \
             spec.{field}.create set adopt there"
        );
        events.change(owner, reasons::REPOSITORY_NOT_ADOPTED, ACTION, note).await;
    }
}

/// What is wanted. The tag that says who created a repository names the namespace: another one that is lent the same
/// identity does not write its policies.
fn wanted(creation: &Creation, namespace: &str) -> WantedRepository {
    let managed = (MANAGED_REPOSITORY_TAG.to_owned(), namespace.to_owned());
    let policies = [
        (RepositoryPolicy::Lifecycle, &creation.lifecycle_policy),
        (RepositoryPolicy::Access, &creation.access_policy),
    ];
    let policies = policies.into_iter().filter_map(|(which, policy)| Some((which, policy.clone()?)));
    WantedRepository {
        tags: creation.tags.clone().into_iter().chain([managed]).collect(),
        owner_tag: MANAGED_REPOSITORY_TAG.to_owned(),
        scan_on_push: creation.scan_on_push,
        immutable: creation.immutable,
        policies: policies.collect(),
        adopt: creation.adopt,
        role_arn: creation.role_arn.clone(),
    }
}
