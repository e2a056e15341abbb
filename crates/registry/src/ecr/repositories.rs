//! Repositories that are created where they are missing, and that have the policies that are wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::aws_api::AwsApi;
use super::repository_calls::{EcrRepositoryProblem, RepositoryCalls, RepositoryPolicy};
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
    /// Those among them without which it is as it is wanted all the same, where AWS refuses them.
    pub optional: BTreeSet<RepositoryPolicy>,
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

    /// Returns whether it is as it is wanted all the same where AWS refuses an operation that only these policies take.
    fn tolerates<'a>(
        &self,
        problem: &EcrRepositoryProblem,
        mut policies: impl Iterator<Item = &'a RepositoryPolicy>,
    ) -> bool {
        problem.is_lasting_refusal() && policies.all(|which| self.optional.contains(which))
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
    /// Why optional policies are not set.
    pub refused: Vec<EcrRepositoryProblem>,
}

/// A repository of ECR is not as it is wanted. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{repository} ({ecr}): {problem}")]
pub struct EcrRepositoryError {
    /// The repository.
    pub repository: Repository,
    /// The account and the region of its registry.
    pub ecr: EcrHost,
    /// What went wrong.
    pub problem: EcrRepositoryProblem,
    /// What was done before; nothing if that is told to another caller.
    pub done: RepositoryCheck,
}

impl EcrRepositoryError {
    /// Whether the same request may succeed soon, without a change of rights or of the spec.
    pub fn is_transient(&self) -> bool {
        self.problem.is_transient()
    }
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
    /// Also where only a policy could not be set: the next call tries it again. Of one that is optional and that AWS refuses,
    /// that is what was found, and as long believed as any.
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
        let check = || async {
            let mut done = RepositoryCheck::default();
            match self.check(&ecr, repository, wanted, &mut done).await {
                Ok(()) => Ok(done),
                Err(problem) => {
                    let (repository, ecr) = (repository.clone(), ecr.clone());
                    Err(EcrRepositoryError { repository, ecr, problem, done })
                }
            }
        };
        let (check, is_own) = self.checks.run(&key, check).await;
        match check {
            Ok(check) => {
                self.checked.lock().insert(key, (), TTL);
                Ok(is_own.then_some(check))
            }
            Err(error) if is_own => Err(error),
            Err(error) => Err(EcrRepositoryError { done: RepositoryCheck::default(), ..error }),
        }
    }

    /// Forgets that a repository was as others wanted it for the same owner, which it may not be any more once it was written
    /// to. What other owners want is believed for as long as ever: two that set different policies would otherwise each
    /// replace the other's whenever they look.
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

    /// Does what `ensure` is for, and notes in `done` what it does.
    async fn check(
        &self,
        ecr: &EcrHost,
        repository: &Repository,
        wanted: &WantedRepository,
        done: &mut RepositoryCheck,
    ) -> Result<(), EcrRepositoryProblem> {
        let Some(account) = ecr.account() else { return Err(EcrRepositoryProblem::Public) };
        let session = self.api.session(ecr, wanted.role_arn.as_deref()).await?;
        let calls = RepositoryCalls { session, account, name: repository.path() };
        let mut arn = calls.describe().await?;
        if arn.is_none() {
            let created = calls.create(&wanted.tags, wanted.scan_on_push, wanted.immutable).await;
            self.forget(repository);
            done.is_created = created?;
            if !done.is_created {
                // Another process was faster.
                arn = calls.describe().await?;
            }
        }
        if wanted.policies.is_empty() {
            return Ok(());
        }
        let is_ours = match &arn {
            _ if done.is_created || wanted.adopt => true,
            Some(arn) => match calls.tag(arn, &wanted.owner_tag).await {
                Ok(owner) => owner.is_some() && owner.as_ref() == wanted.owner(),
                Err(problem) if wanted.tolerates(&problem, wanted.policies.keys()) => {
                    done.refused.push(problem);
                    return Ok(());
                }
                Err(problem) => return Err(problem),
            },
            None => false,
        };
        done.is_foreign = !is_ours;
        for (which, policy) in wanted.policies.iter().filter(|_| is_ours) {
            match self.set_policy(&calls, (repository, wanted), (*which, policy)).await {
                Ok(true) => done.set.push(*which),
                Ok(false) => {}
                Err(problem) if wanted.tolerates(&problem, iter::once(which)) => done.refused.push(problem),
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    }

    /// Gives a repository a policy if it has another one or none. Returns whether it had.
    async fn set_policy(
        &self,
        calls: &RepositoryCalls<'_>,
        (repository, wanted): (&Repository, &WantedRepository),
        (which, policy): (RepositoryPolicy, &Value),
    ) -> Result<bool, EcrRepositoryProblem> {
        if calls.policy(which).await?.as_ref() == Some(policy) {
            return Ok(false);
        }
        let set = calls.set_policy(which, policy).await;
        if set.as_ref().err().is_none_or(EcrRepositoryProblem::may_be_done) {
            self.forget_of_owner(repository, wanted);
        }
        set.map(|()| true)
    }
}
