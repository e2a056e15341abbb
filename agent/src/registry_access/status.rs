//! What is reported of each `RegistryAccess`: whether it does what it says, and otherwise what its writer has to do.
//! It is worked out again whenever one of them changes, and from time to time, as Secrets are not watched; what says
//! nothing new is not written. No value of a Secret is in it.

use std::collections::HashMap;
use std::time::Duration;

use imgop_core::access::{AccessPolicy, Grant, Mistake};
use imgop_core::api::conditions::{self, reasons};
use imgop_core::api::{RegistryAccess, RegistryAccessSpec, RegistryAccessStatus, TlsMode};
use imgop_core::readiness::Readiness;
use imgop_core::text::shorten;
use imgop_registry::credentials::CA_KEY;
use imgop_registry::holds_certificates;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::AccessResolver;
use super::lent_secrets::{LentError, problem_of_credentials};
use super::policies::SeenAccess;
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiError;
use crate::cluster::status::{WithConditions, write_status};

/// How often the Secrets of objects are looked at that are as they should be.
const CHECK_INTERVAL: Duration = Duration::from_mins(10);
/// How often where something is wrong, or could not be found out.
const RECHECK_INTERVAL: Duration = Duration::from_mins(1);
/// Changes that come within this time are looked at together.
const SETTLING_TIME: Duration = Duration::from_secs(1);
/// The longest message of a condition.
const MAX_MESSAGE_BYTES: usize = 2048;

impl WithConditions for RegistryAccessStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// Something that keeps an object from doing what it says: a reason of a condition, and the words.
type Problem = (&'static str, String);

/// Reports of all objects, written through one client.
pub struct Reporter<'a> {
    client: &'a Client,
    with: AccessResolver<'a>,
    /// By UID what was written last and when, for objects that are not shown with a status: those that cannot be decoded,
    /// and all of a cluster whose definition of the kind has no status yet. And for those of which an agent of another
    /// installation reports something else: the two do not overwrite each other at once.
    written: HashMap<String, (RegistryAccessStatus, Timestamp)>,
}

impl<'a> Reporter<'a> {
    /// Returns one that has written nothing.
    pub fn new(client: &'a Client, with: AccessResolver<'a>) -> Self {
        Self { client, with, written: HashMap::new() }
    }

    /// Keeps the reports current until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let all = async {
            loop {
                let next = self.report_all(Timestamp::now()).await;
                tokio::select! {
                    () = self.with.policies.changed() => sleep(SETTLING_TIME).await,
                    () = sleep(next) => {}
                }
            }
        };
        tokio::select! {
            () = all => {}
            () = stop.cancelled() => {}
        }
    }

    /// Writes what is new of all objects, and returns after what time to look again.
    async fn report_all(&mut self, now: Timestamp) -> Duration {
        let Ok(policy) = self.with.policies.current() else { return RECHECK_INTERVAL };
        let seen = self.with.policies.seen();
        self.written.retain(|uid, _| seen.iter().any(|object| object.uid.as_ref() == Some(uid)));
        let mut next = CHECK_INTERVAL;
        for object in seen {
            match self.report(&object, &policy, now).await {
                Ok(true) => {}
                Ok(false) => next = RECHECK_INTERVAL,
                Err(error) => {
                    tracing::warn!(kind = "RegistryAccess", name = object.name, %error, "cannot report it; trying again");
                    next = RECHECK_INTERVAL;
                }
            }
        }
        next
    }

    /// Writes what is new of one object; returns whether it is as it should be.
    async fn report(
        &mut self,
        object: &SeenAccess,
        policy: &AccessPolicy,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let uid = object.uid.clone().unwrap_or_default();
        let own = self.written.get(&uid);
        let old = object.status.as_ref().or_else(|| own.map(|(status, _)| status));
        let is_new = old.is_none_or(|old| old.observed_generation != object.generation);
        let freshness = if is_new { Freshness::Now } else { Freshness::Rechecked };
        let problems = self.with.problems(object, policy, freshness).await?;
        let new = status(old, object.generation, &problems, now);
        let has_just_said = own.is_some_and(|(own, at)| {
            is_same_report(own, &new) && now.duration_since(*at).unsigned_abs() < CHECK_INTERVAL
        });
        if old != Some(&new) && !has_just_said {
            let mut written = RegistryAccess::new(&object.name, RegistryAccessSpec::default());
            written.metadata.uid.clone_from(&object.uid);
            write_status(self.client, &written, old, &new).await?;
            self.written.insert(uid, (new, now));
        }
        Ok(problems.is_empty())
    }
}

/// Returns whether two reports say the same, whenever that began.
fn is_same_report(one: &RegistryAccessStatus, other: &RegistryAccessStatus) -> bool {
    let said = |status: &RegistryAccessStatus| -> Vec<(String, String, String, String)> {
        let conditions = status.conditions.iter().cloned();
        conditions.map(|c| (c.type_, c.status, c.reason, c.message)).collect()
    };
    one.observed_generation == other.observed_generation && said(one) == said(other)
}

/// Returns what is reported of an object with these problems.
fn status(
    old: Option<&RegistryAccessStatus>,
    generation: Option<i64>,
    problems: &[Problem],
    now: Timestamp,
) -> RegistryAccessStatus {
    let readiness = match problems.first() {
        None => Readiness::ready("it is in effect"),
        Some((reason, _)) => {
            let texts: Vec<&str> = problems.iter().map(|(_, text)| text.as_str()).collect();
            Readiness::stalled(reason, shorten(&texts.join("; "), MAX_MESSAGE_BYTES))
        }
    };
    let old = old.map_or(&[][..], |old| &old.conditions);
    let conditions = conditions::merge(old, readiness.conditions, generation, now);
    RegistryAccessStatus { conditions, observed_generation: generation }
}

impl AccessResolver<'_> {
    /// Returns what keeps an object from doing what it says.
    async fn problems(
        &self,
        object: &SeenAccess,
        policy: &AccessPolicy,
        freshness: Freshness,
    ) -> Result<Vec<Problem>, ApiError> {
        let grant = match (&object.grant, &object.problem) {
            (Err(error), _) => {
                let text = format!(
                    "this version of the agent cannot read it, and copies and builds nothing until it can: {error}"
                );
                return Ok(vec![(reasons::INVALID_SPEC, text)]);
            }
            (Ok(_), Some(problem)) => {
                let text = format!("it lends nothing and keeps all namespaces from its hosts: {problem}");
                return Ok(vec![(reasons::INVALID_SPEC, text)]);
            }
            (Ok(grant), None) => grant,
        };
        let mut problems = self.secret_problems(grant, policy, freshness).await?;
        let mistakes = policy.mistakes_of(grant).into_iter();
        problems.extend(mistakes.map(|mistake| (reason(&mistake), mistake.to_string())));
        Ok(problems)
    }

    /// Returns what is wrong with the Secrets that an object lends.
    async fn secret_problems(
        &self,
        grant: &Grant,
        policy: &AccessPolicy,
        freshness: Freshness,
    ) -> Result<Vec<Problem>, ApiError> {
        let tls = grant.tls.as_ref().filter(|tls| tls.mode == TlsMode::Verify);
        let ca = tls.and_then(|tls| tls.ca_secret_name.as_deref());
        let named = [("secretName", grant.secret_name.as_deref()), ("tls.caSecretName", ca)];
        let mut problems = Vec::new();
        for (field, name) in named.into_iter().filter_map(|(field, name)| Some((field, name?))) {
            let problem = match self.read_lent(name, freshness).await {
                Ok(content) if field == "secretName" => {
                    problem_of_credentials(&content, policy, grant.named_hosts())
                }
                Ok(content) => match content.value(CA_KEY) {
                    None => Some(format!("its Secret has no key {CA_KEY}")),
                    Some(pem) if holds_certificates(pem) => None,
                    Some(_) => Some(format!("key {CA_KEY} of its Secret holds no certificates in PEM")),
                },
                Err(LentError::Problem(problem)) => Some(problem),
                Err(LentError::Api(error)) => return Err(error),
            };
            problems.extend(problem.map(|problem| {
                let namespace = self.agent_namespace;
                let text = format!("spec.{field} ({name:?} in namespace {namespace}): {problem}");
                (reasons::SECRET_UNUSABLE, text)
            }));
        }
        Ok(problems)
    }
}

fn reason(mistake: &Mistake) -> &'static str {
    match mistake {
        Mistake::Shadowed { .. } | Mistake::OtherDefault(_) => reasons::ACCESS_CONFLICT,
        Mistake::InvalidDefault(_) => reasons::INVALID_SPEC,
    }
}

#[cfg(test)]
mod tests;
