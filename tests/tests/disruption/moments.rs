//! The moments at which the agent is killed.

use std::pin::pin;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use imgop_core::api::COPIES_ANNOTATION;
use imgop_core::copy::CopyRecord;
use imgop_tests::tenant::{DEADLINE, Tenant};
use imgop_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};

/// When the agent is killed: each is a place between two of its writes, and the test knows whether it hit it.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// The first Job was made, the second not yet, and no status says so.
    FirstJob,
    /// A Job has a pod that does something, and no tag is set.
    JobRuns,
    /// A Job has ended, and not all of its tags are set.
    JobEnded,
    /// The first tag is set, the last not yet.
    FirstTag,
}

impl Moment {
    /// Waits for it, and returns the Job that it came with.
    pub async fn is_reached(self, tenant: &Tenant, image: &str) -> anyhow::Result<Option<Job>> {
        if matches!(self, Self::FirstTag) {
            let (target, path) = (&tenant.cluster.target, tenant.path(image));
            return wait::poll("a tag is there", DEADLINE, || async {
                Ok(target.tags(&path).await?.first().map(|_| None))
            })
            .await;
        }
        let api: Api<Job> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        let reached = async {
            let mut jobs = pin!(watcher(api, watcher::Config::default()).applied_objects());
            while let Some(job) = jobs.next().await {
                let job = job?;
                let status = job.status.clone().unwrap_or_default();
                if job.name_any().starts_with(&format!("imgop-{image}-"))
                    && match self {
                        Self::FirstJob | Self::FirstTag => true,
                        Self::JobRuns => status.ready > Some(0) || status.succeeded > Some(0),
                        Self::JobEnded => status.completion_time.is_some(),
                    }
                {
                    return Ok(Some(job));
                }
            }
            bail!("the watch of the Jobs ended")
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
