//! What every look at an Image shares.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use imgop_core::api::{IMAGE_UID_LABEL, Image, MANAGED_BY, MANAGED_BY_LABEL};
use imgop_core::registry::{Registries, Settings};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::config::{Config, Namespaces};
use crate::events::Events;
use crate::image::budget::JobBudget;
use crate::image::memory::Memory;
use crate::image::outcome::is_unfinished;
use crate::image::secrets::Secrets;
use crate::metrics::Metrics;

/// What every look at an Image shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Secrets that Images name.
    pub secrets: Secrets,
    /// Connections, tokens and budgets of all registries.
    pub registries: Registries,
    /// The agent's settings.
    pub config: Config,
    /// How many Jobs run.
    pub budget: JobBudget,
    /// What is remembered of each Image.
    pub memory: Memory,
    /// Counters.
    pub metrics: Metrics,
    /// Where events go.
    pub events: Events,
    /// When this process began.
    pub started: Timestamp,
    /// UIDs of Images that have Jobs, so that those of the others are not asked for.
    with_jobs: Mutex<HashSet<String>>,
}

impl Context {
    /// Begins with the Jobs that an earlier process left.
    pub async fn new(client: Client, config: Config, metrics: Metrics) -> Result<Self, kube::Error> {
        let mut unfinished: HashMap<String, usize> = HashMap::new();
        let mut with_jobs = HashSet::new();
        for job in jobs(&client, &config.watch_namespaces).await? {
            let Some(uid) = job.labels().get(IMAGE_UID_LABEL) else { continue };
            with_jobs.insert(uid.clone());
            *unfinished.entry(uid.clone()).or_default() += usize::from(is_unfinished(&job));
        }
        unfinished.retain(|_, jobs| *jobs > 0);
        let registries = Registries::new(Settings {
            user_agent: format!("imgop-agent/{}", env!("CARGO_PKG_VERSION")),
            concurrency_per_registry: config.requests_per_registry.into(),
            ..Settings::default()
        });
        Ok(Self {
            registries,
            budget: JobBudget::new(config.max_jobs.into(), config.max_jobs_per_image.into(), unfinished),
            memory: Memory::default(),
            metrics,
            events: Events::new(client.clone()),
            secrets: Secrets::new(client.clone()),
            started: Timestamp::now(),
            with_jobs: Mutex::new(with_jobs),
            client,
            config,
        })
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

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.memory.retain(&exists);
        self.budget.retain(&exists);
        self.with_jobs.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid| exists(uid));
    }

    /// What an administrator does so that the agent may work in an Image's namespace.
    pub fn how_to_enable(&self, image: &Image) -> String {
        format!(
            "to allow it: kubectl create rolebinding imgop-agent -n {} --clusterrole=imgop-agent-namespace \
             --serviceaccount={}",
            image.namespace().unwrap_or_default(),
            self.config.service_account
        )
    }
}

/// The agent's own Jobs in the namespaces that it watches.
async fn jobs(client: &Client, namespaces: &Namespaces) -> Result<Vec<Job>, kube::Error> {
    let selector = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let apis: Vec<Api<Job>> = match namespaces {
        Namespaces::All => vec![Api::all(client.clone())],
        Namespaces::Named(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
    };
    let mut all = Vec::new();
    for api in apis {
        all.extend(api.list(&selector).await?.items);
    }
    Ok(all)
}
