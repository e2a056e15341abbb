//! The repository that tags go to: created where it is missing, right before something is copied there.

use imgop_core::api::conditions::reasons;
use imgop_core::api::{MANAGED_REPOSITORY_TAG, Side};
use imgop_core::copy::{CopyRequest, Creation};
use imgop_registry::ecr::{RepositoryCheck, RepositoryPolicy, WantedRepository};

use super::Pass;
use super::failures::Halt;
use crate::cluster::Freshness;

/// What events of it say that is done.
const ACTION: &str = "EnsureRepository";

impl Pass<'_> {
    /// Sees to it that the destination has its repository as the spec says. `again` does so whatever is known of it.
    /// Nothing is copied before that is so: who may pull is to be right before there is something to pull.
    pub(super) async fn ensure_repository(&self, request: &CopyRequest, again: bool) -> Result<(), Halt> {
        let Some(creation) = &request.create else { return Ok(()) };
        let freshness = if again { Freshness::Now } else { Freshness::Cached };
        let (agent, of) = (self.agent(), self.endpoint_use(Side::Destination, &request.destination));
        let role = creation.role_arn.as_deref();
        agent.registry_access().may_create(of, role, freshness).await?;
        let wanted = wanted(creation);
        let check = agent.ecr_repositories.ensure(&request.destination, &wanted, again).await;
        if let Some(check) = check.map_err(Box::new)? {
            self.report_repository(request, &check).await;
        }
        Ok(())
    }

    async fn report_repository(&self, request: &CopyRequest, check: &RepositoryCheck) {
        let (events, to) = (&self.agent().events, &request.destination);
        let set: Vec<&str> = check.set.iter().map(|policy| policy.as_str()).collect();
        let set = set.join(" and ");
        if check.is_created {
            let with = if set.is_empty() { String::new() } else { format!(" with its {set}") };
            let note = format!("repository {to} is created{with}");
            events.change(&self.owner, reasons::REPOSITORY_CREATED, ACTION, note).await;
        } else if !set.is_empty() {
            let note = format!("{set} of repository {to} set as in spec.destination.create");
            events.change(&self.owner, reasons::REPOSITORY_POLICY_SET, ACTION, note).await;
        }
        if check.is_foreign {
            let note = format!(
                "repository {to} keeps the policies that it has, because imgop did not create it; for those of \
                 spec.destination.create set adopt there"
            );
            events.change(&self.owner, reasons::REPOSITORY_NOT_ADOPTED, ACTION, note).await;
        }
    }
}

fn wanted(creation: &Creation) -> WantedRepository {
    let policies = [
        (RepositoryPolicy::Lifecycle, &creation.lifecycle_policy),
        (RepositoryPolicy::Access, &creation.access_policy),
    ];
    let policies = policies.into_iter().filter_map(|(which, policy)| Some((which, policy.clone()?)));
    WantedRepository {
        tags: creation.tags.clone(),
        owner_tag: MANAGED_REPOSITORY_TAG.to_owned(),
        scan_on_push: creation.scan_on_push,
        immutable: creation.immutable,
        policies: policies.collect(),
        adopt: creation.adopt,
        role_arn: creation.role_arn.clone(),
    }
}
