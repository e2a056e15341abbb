//! Repositories that are created where they are missing, and that have the policies that are wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::aws_api::AwsApi;
use super::repository_calls::{EcrRepositoryError, EcrRepositoryProblem, RepositoryCalls, RepositoryPolicy};
use super::tokens::EcrSettings;
use crate::cache::{Bounded, SingleFlight};
use crate::reference::{Digest, EcrHost, Repository};

/// How long it is believed that a repository is as it was wanted.
const TTL: Duration = Duration::from_hours(24);
/// Repositories of which that is remembered.
const MAX_CHECKED: usize = 10_000;

/// What a repository of ECR is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WantedRepository {
    /// The tags that it is created with, in AWS's sense of the word.
    pub tags: BTreeMap<String, String>,
    /// The key among them that says that we created it, and by its value for whom.
    pub owner_tag: String,
    /// Whether images are scanned when they are pushed; of one that is created.
    pub scan_on_push: bool,
    /// Whether tags are immutable; of one that is created.
    pub immutable: bool,
    /// Its policies, as JSON.
    pub policies: BTreeMap<RepositoryPolicy, Value>,
    /// Whether a repository that we did not create gets the policies too.
    pub adopt: bool,
    /// The role that is assumed for it.
    pub role_arn: Option<String>,
}

impl WantedRepository {
    /// Returns for whom it is created.
    fn owner(&self) -> Option<&String> {
        self.tags.get(&self.owner_tag)
    }
}

impl Key {
    fn new(repository: &Repository, wanted: &WantedRepository) -> Self {
        let text = serde_json::to_vec(wanted).unwrap_or_default();
        let (repository, owner) = (repository.clone(), wanted.owner().cloned());
        Self { repository, owner, wanted: Digest::of(&text) }
    }
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryCheck {
    /// Whether the repository was created.
    pub is_created: bool,
    /// The policies that were set.
    pub set: Vec<RepositoryPolicy>,
    /// Whether it keeps the policies that it has, because we did not create it, or for another.
    pub is_foreign: bool,
}

/// A repository, for whom it is checked, and what it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    repository: Repository,
    /// The value of the tag that says for whom one is created.
    owner: Option<String>,
    wanted: Digest,
}

/// Repositories of ECR, as this process has checked them. One that is as it is wanted is checked again after a day; one
/// of which something failed is checked again the next time.
#[derive(Debug)]
pub struct EcrRepositories {
    api: AwsApi,
    checked: Mutex<Bounded<Key, ()>>,
    checks: SingleFlight<Key, Result<RepositoryCheck, EcrRepositoryError>>,
}

impl EcrRepositories {
    /// Returns a set of which nothing is checked. Installs ring for TLS if the process has chosen no provider.
    pub fn new(settings: EcrSettings) -> Self {
        let checked = Mutex::new(Bounded::new(MAX_CHECKED));
        Self { api: AwsApi::new(settings), checked, checks: SingleFlight::default() }
    }

    /// Creates a repository if it is missing, and sets the policies that differ. Returns what was done; `None` if that it
    /// is as it is wanted is known, or found out by another caller, or the registry is none of ECR's. `again` checks
    /// whatever is known.
    ///
    /// # Errors
    /// Also where only a policy could not be set: the next call tries it again.
    pub async fn ensure(
        &self,
        repository: &Repository,
        wanted: &WantedRepository,
        again: bool,
    ) -> Result<Option<RepositoryCheck>, EcrRepositoryError> {
        let Some(ecr) = EcrHost::of(repository.host()) else { return Ok(None) };
        let key = Key::new(repository, wanted);
        if !again && self.checked.lock().get(&key).is_some() {
            return Ok(None);
        }
        let failed =
            |problem| EcrRepositoryError { repository: repository.clone(), ecr: ecr.clone(), problem };
        let check = || async { self.check(&ecr, repository, wanted).await.map_err(&failed) };
        let (check, is_own) = self.checks.run(&key, check).await;
        let check = check?;
        self.checked.lock().insert(key, (), TTL);
        Ok(is_own.then_some(check))
    }

    /// Forgets that a repository was as others wanted it for the same owner, which it may not be any more once it was written
    /// to. Of a call that failed it is not known what it has changed. What other owners want is believed for as long as
    /// ever: two that set different policies would otherwise each replace the other's whenever they look.
    fn forget_of_owner(&self, repository: &Repository, wanted: &WantedRepository) {
        let owner = wanted.owner();
        self.checked
            .lock()
            .remove_keys(|key| key.owner.as_ref() == owner && key.repository.is_same_place(repository));
    }

    /// Forgets how a repository was that is not there any more: the next one has the policies of no owner.
    fn forget(&self, repository: &Repository) {
        self.checked.lock().remove_keys(|key| key.repository.is_same_place(repository));
    }

    async fn check(
        &self,
        ecr: &EcrHost,
        repository: &Repository,
        wanted: &WantedRepository,
    ) -> Result<RepositoryCheck, EcrRepositoryProblem> {
        let Some(account) = ecr.account() else { return Err(EcrRepositoryProblem::Public) };
        let session = self.api.session(ecr, wanted.role_arn.as_deref()).await?;
        let calls = RepositoryCalls { session, account, name: repository.path() };
        let mut check = RepositoryCheck::default();
        let mut arn = calls.describe().await?;
        if arn.is_none() {
            let created = calls.create(&wanted.tags, wanted.scan_on_push, wanted.immutable).await;
            self.forget(repository);
            check.is_created = created?;
            if !check.is_created {
                // Another process was faster.
                arn = calls.describe().await?;
            }
        }
        if wanted.policies.is_empty() {
            return Ok(check);
        }
        let is_ours = match &arn {
            _ if check.is_created || wanted.adopt => true,
            Some(arn) => {
                let owner = calls.tag(arn, &wanted.owner_tag).await?;
                owner.is_some() && owner.as_ref() == wanted.owner()
            }
            None => false,
        };
        check.is_foreign = !is_ours;
        for (which, policy) in wanted.policies.iter().filter(|_| is_ours) {
            if calls.policy(*which).await?.as_ref() != Some(policy) {
                let set = calls.set_policy(*which, policy).await;
                self.forget_of_owner(repository, wanted);
                set?;
                check.set.push(*which);
            }
        }
        Ok(check)
    }
}
