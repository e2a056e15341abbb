//! The moments at which the agent is killed.

use std::collections::BTreeMap;
use std::pin::pin;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use imgop_core::api::{COPIES_ANNOTATION, JOB_NAME_LABEL};
use imgop_core::copy::CopyRecord;
use imgop_tests::tenant::{DEADLINE, Tenant};
use imgop_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};

/// Waits for the first Job of an Image.
async fn first_job(tenant: &Tenant, prefix: &str) -> anyhow::Result<Job> {
    let api: Api<Job> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let mut jobs = pin!(watcher(api, watcher::Config::default()).applied_objects());
    while let Some(job) = jobs.next().await {
        let job = job?;
        if job.name_any().starts_with(prefix) {
            return Ok(job);
        }
    }
    bail!("the watch of the Jobs ended")
}

/// Waits until a pod of an Image is so, and returns its Job. The agent watches the pods too, and a Job's own
/// status comes later: whoever waits for that is always too late.
async fn job_with_pod(tenant: &Tenant, prefix: &str, is_so: fn(&Pod) -> bool) -> anyhow::Result<Job> {
    let (client, namespace) = (tenant.cluster.client.clone(), &tenant.namespace);
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let mut known: BTreeMap<String, Job> = BTreeMap::new();
    let config = watcher::Config::default();
    let mut pods = pin!(watcher(Api::<Pod>::namespaced(client, namespace), config).applied_objects());
    while let Some(pod) = pods.next().await {
        let pod = pod?;
        let Some(name) = pod.labels().get(JOB_NAME_LABEL).filter(|name| name.starts_with(prefix)) else {
            continue;
        };
        if is_so(&pod) {
            return match known.remove(name) {
                Some(job) => Ok(job),
                None => Ok(api.get(name).await?),
            };
        }
        if !known.contains_key(name) {
            known.insert(name.clone(), api.get(name).await?);
        }
    }
    bail!("the watch of the pods ended")
}

/// Returns whether a container of a pod runs, or has run.
fn runs(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let others = status.and_then(|status| status.container_statuses.as_ref());
    let mut reported = init.into_iter().chain(others).flatten().filter_map(|one| one.state.as_ref());
    reported.any(|state| state.running.is_some() || state.terminated.is_some())
}

/// Returns whether some of the containers that copy side by side have ended: the others end while no agent
/// runs, and their tags are set from a Job that has ended.
fn some_have_ended(pod: &Pod) -> bool {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let mut states = containers.into_iter().flatten().filter_map(|container| container.state.as_ref());
    states.any(|state| state.terminated.is_some())
}

/// When the agent is killed: each is a place between two of its writes, and the test knows whether it hit it.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// The first Job was made, the second not yet, and no status says so.
    FirstJob,
    /// A Job has a pod that does something, and no tag is set.
    JobRuns,
    /// The copies of a Job begin to end, and not all of its tags are set.
    JobEnded,
    /// The first tag is set, the last not yet.
    FirstTag,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FirstJob, Self::JobRuns, Self::JobEnded, Self::FirstTag];

    /// Waits for it, and returns the Job that it came with.
    pub async fn is_reached(self, tenant: &Tenant, image: &str) -> anyhow::Result<Option<Job>> {
        if matches!(self, Self::FirstTag) {
            let (target, path) = (&tenant.cluster.target, tenant.path(image));
            return wait::poll("a tag is there", DEADLINE, || async {
                Ok(target.tags(&path).await?.first().map(|_| None))
            })
            .await;
        }
        let prefix = format!("imgop-{image}-");
        let reached = async {
            match self {
                Self::FirstJob | Self::FirstTag => first_job(tenant, &prefix).await,
                Self::JobRuns => job_with_pod(tenant, &prefix, runs).await,
                Self::JobEnded => job_with_pod(tenant, &prefix, some_have_ended).await,
            }
            .map(Some)
        };
        tokio::time::timeout(DEADLINE, reached).await?
    }

    /// Whether the agent was dead before it wrote what comes next. This is asked after it was killed, when
    /// the next one may have written already: so a kill in time may be missed, and none is made up, since
    /// neither Jobs nor tags become fewer.
    pub async fn was_hit(self, tenant: &Tenant, image: &str, job: Option<&Job>) -> anyhow::Result<bool> {
        let tags = tenant.cluster.target.tags(&tenant.path(image)).await?;
        Ok(match self {
            Self::FirstJob => crate::made_jobs(tenant, image).await?.len() == 1,
            Self::JobRuns => tags.is_empty(),
            Self::JobEnded => {
                let text = job.and_then(|job| job.annotations().get(COPIES_ANNOTATION));
                let copies: Vec<CopyRecord> = serde_json::from_str(text.context("no Job has ended")?)?;
                copies.iter().any(|copy| !tags.iter().any(|tag| tag == copy.destination.as_str()))
            }
            Self::FirstTag => tags.len() < 12,
        })
    }
}
