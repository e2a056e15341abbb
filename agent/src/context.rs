//! What every look at an Image shares.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use imgop_core::api::{IMAGE_UID_LABEL, Image, MANAGED_BY, MANAGED_BY_LABEL};
use imgop_registry::Registries;
use imgop_registry::ecr::{EcrSettings, EcrTokens};
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::Semaphore;

use crate::config::{Config, Namespaces};
use crate::events::Events;
use crate::image::budget::{Caps, JobBudget};
use crate::image::jobs::is_owned;
use crate::image::lister::Lister;
use crate::image::memory::Memory;
use crate::image::mounts::Blobs;
use crate::image::outcome::is_unfinished;
use crate::image::rivals::Rivals;
use crate::image::secrets::Secrets;
use crate::metrics::Metrics;

/// Pages of Jobs that are counted at the start, in each namespace that is named or in all together.
/// Whoever makes more must not keep the agent from beginning; a Job that was not counted is met when it
/// is made again, under the same name.
const PAGES: usize = 250;
/// How long a right is believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// How long its absence is: who enables a namespace should not wait.
const DOUBTED: Duration = Duration::from_secs(20);

/// What every look at an Image shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Lists of Jobs and pods.
    pub lister: Lister,
    /// Lets so many Images be handled at once, in all namespaces together.
    pub turns: Semaphore,
    /// Secrets that Images name.
    pub secrets: Secrets,
    /// Connections, tokens and budgets of all registries.
    pub registries: Registries,
    /// Tokens of ECR, from the agent's own AWS identity.
    pub ecr: EcrTokens,
    /// The agent's settings.
    pub config: Config,
    /// How many Jobs run.
    pub budget: JobBudget,
    /// What is remembered of each Image.
    pub memory: Memory,
    /// All Images, to find those that mean the same tags.
    pub rivals: Rivals,
    /// Which repositories hold which blobs.
    pub blobs: Blobs,
    /// Counters.
    pub metrics: Metrics,
    /// Where events go.
    pub events: Events,
    /// When this process began.
    pub started: Timestamp,
    /// Whether we have a right in a namespace, and when that was asked.
    rights: Mutex<HashMap<(String, Right), (bool, Instant)>>,
    /// UIDs of Images that have Jobs, so that those of the others are not asked for.
    with_jobs: Mutex<HashSet<String>>,
}

/// What an administrator allows the agent in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Right {
    /// To make Jobs.
    Work,
    /// To use its own AWS identity for Images there. The verb is imgop's own: nobody has it by
    /// accident, as one may have the right to write Secrets.
    UseAws,
}

impl Right {
    /// Verb, group and resource.
    fn attributes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Work => ("create", "batch", "jobs"),
            Self::UseAws => ("use-aws", "skopeo.io", "images"),
        }
    }
}

impl Context {
    /// Begins with the Jobs that an earlier process left.
    pub async fn new(client: Client, config: Config, metrics: Metrics) -> Result<Self, kube::Error> {
        let budget = JobBudget::new(Caps {
            in_all: config.max_jobs.into(),
            per_namespace: config.max_jobs_per_namespace.into(),
            per_image: config.max_jobs_per_image.into(),
        });
        let lister = Lister::new(client.clone());
        let with_jobs = count_jobs(&lister, &config.watch_namespaces, &budget).await?;
        let registries = Registries::new(config.registries());
        let user_agent = concat!("imgop-agent/", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            registries,
            lister,
            turns: Semaphore::new(config.max_concurrent_reconciles.into()),
            ecr: EcrTokens::new(EcrSettings::of_environment(user_agent, |name| std::env::var(name).ok())),
            budget,
            memory: Memory::default(),
            rivals: Rivals::default(),
            blobs: Blobs::default(),
            metrics,
            events: Events::new(client.clone()),
            secrets: Secrets::new(client.clone()),
            started: Timestamp::now(),
            with_jobs: Mutex::new(with_jobs),
            rights: Mutex::default(),
            client,
            config,
        })
    }

    /// Whether an administrator has enabled a namespace: asked of the API server before anything is
    /// asked of a registry, or a tenant could make us work where nobody let us.
    pub async fn may_work_in(&self, namespace: &str) -> Result<bool, kube::Error> {
        self.may(Right::Work, namespace).await
    }

    /// Whether an administrator lends the agent's AWS identity to the Images of a namespace.
    pub async fn may_use_aws_in(&self, namespace: &str) -> Result<bool, kube::Error> {
        self.may(Right::UseAws, namespace).await
    }

    async fn may(&self, right: Right, namespace: &str) -> Result<bool, kube::Error> {
        let key = (namespace.to_owned(), right);
        let known = self.rights.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some((may, asked)) = known
            && asked.elapsed() < if may { BELIEVED } else { DOUBTED }
        {
            return Ok(may);
        }
        let (verb, group, resource) = right.attributes();
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(namespace.to_owned()),
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = Api::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let may = answer.status.is_some_and(|status| status.allowed);
        let mut rights = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        rights.retain(|_, (_, asked)| asked.elapsed() < BELIEVED);
        rights.insert(key, (may, Instant::now()));
        Ok(may)
    }

    /// Whether an Image may have Jobs.
    pub fn may_have_jobs(&self, uid: &str) -> bool {
        self.with_jobs.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }

    /// Remembers whether an Image has Jobs.
    pub fn has_jobs(&self, uid: &str, has: bool) {
        let mut with_jobs = self.with_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if has {
            with_jobs.insert(uid.to_owned());
        } else {
            with_jobs.remove(uid);
        }
    }

    /// Frees the places of an Image that is gone. What else is remembered of it may be in use.
    pub fn gone(&self, uid: &str) {
        self.budget.set("", uid, 0);
        self.has_jobs(uid, false);
    }

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.memory.retain(&exists);
        self.budget.retain(&exists);
        self.rivals.retain(&exists);
        self.with_jobs.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid| exists(uid));
    }

    /// What an administrator does so that the agent may work in an Image's namespace.
    pub fn how_to_enable(&self, image: &Image) -> String {
        self.binding(image, "imgop-agent", "imgop-agent-namespace")
    }

    /// What an administrator does so that Images of a namespace may use the agent's AWS identity.
    pub fn how_to_enable_aws(&self, image: &Image) -> String {
        self.binding(image, "imgop-agent-aws", "imgop-agent-aws")
    }

    fn binding(&self, image: &Image, name: &str, role: &str) -> String {
        format!(
            "to allow it: kubectl create rolebinding {name} -n {} --clusterrole={role} --serviceaccount={}",
            image.namespace().unwrap_or_default(),
            self.config.service_account
        )
    }
}

/// Counts the agent's own Jobs in the namespaces that it watches, page by page; says which Images
/// have some. A namespace that cannot be read stops no other: its Jobs are met when they are made again.
async fn count_jobs(
    lister: &Lister,
    namespaces: &Namespaces,
    budget: &JobBudget,
) -> Result<HashSet<String>, kube::Error> {
    let places: Vec<Option<&str>> = match namespaces {
        Namespaces::All => vec![None],
        Namespaces::Named(names) => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let mut with_jobs = HashSet::new();
    let mut failures = Vec::new();
    for &place in &places {
        let count = |job: Job| {
            if let Some(uid) = job.labels().get(IMAGE_UID_LABEL).filter(|uid| is_owned(&job, uid)) {
                with_jobs.insert(uid.clone());
                if is_unfinished(&job) {
                    let namespace = job.namespace().unwrap_or_default();
                    budget.set(&namespace, uid, budget.unfinished(uid) + 1);
                }
            }
            ControlFlow::Continue(())
        };
        let labelled = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
        if let Err(error) = lister.each(place, labelled, PAGES, count).await {
            tracing::warn!(namespace = place, %error, "cannot list the Jobs");
            failures.push(error);
        }
    }
    match failures.pop() {
        Some(error) if failures.len() + 1 == places.len() => Err(error),
        _ => Ok(with_jobs),
    }
}

#[cfg(test)]
mod tests;
