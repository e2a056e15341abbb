//! What the containers of a build log, while they run.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::api::LogParams;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::pod_logs::{Streamed, has_ended};
use crate::kinds::{JobContainer, ObjectRef};

/// How often it is checked whether there is another Job, and whether the next container has started.
const INTERVAL: Duration = Duration::from_secs(1);

/// The build of an ImageBuilder that is followed.
pub struct Live<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The ImageBuilder.
    pub object: &'a ObjectRef,
    /// Its UID.
    pub uid: &'a str,
}

impl Live<'_> {
    /// Hands each line that is logged from now on to `show`, with its container, until it is dropped. Returns why
    /// nothing may be read.
    pub async fn follow(&self, show: impl Fn(&JobContainer, &str)) -> CliError {
        let (mut known, mut is_first) = (BTreeSet::new(), true);
        let (mut followed, mut ticks) = (FuturesUnordered::new(), interval(INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let jobs = match self.cluster.jobs(self.uid).await {
                        Ok(jobs) => jobs,
                        Err(error) => return error,
                    };
                    for job in jobs {
                        // Of what ended before this, nothing is new.
                        if known.insert(job.name_any()) && !(is_first && has_ended(&job)) {
                            followed.push(self.follow_job(job, &show).boxed_local());
                        }
                    }
                    is_first = false;
                }
                Some(ended) = followed.next() => {
                    if let Err(error) = ended {
                        return error;
                    }
                }
            }
        }
    }

    /// Reads the logs of a Job's pod, container by container.
    async fn follow_job(&self, job: Job, show: &impl Fn(&JobContainer, &str)) -> Result<(), CliError> {
        let Some(pod) = self.pod_of(&job).await? else { return Ok(()) };
        for container in self.object.kind.containers(&job).unwrap_or_default() {
            let which =
                LogParams { container: Some(container.name.clone()), follow: true, ..LogParams::default() };
            let print = |line: &str| {
                show(&container, line);
                Ok(())
            };
            while let Streamed::NotStarted(_) = self.cluster.read_log(&pod, &which, print).await? {
                if self.cluster.pod_has_ended(&pod).await? {
                    return Ok(());
                }
                sleep(INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Waits for the pod of a Job. There is none any more where the Job is gone.
    async fn pod_of(&self, job: &Job) -> Result<Option<String>, CliError> {
        loop {
            if let Some(pod) = self.cluster.pods_of(&job.name_any()).await?.into_iter().next() {
                return Ok(Some(pod));
            }
            let jobs = self.cluster.jobs(self.uid).await?;
            match jobs.iter().find(|other| other.name_any() == job.name_any()) {
                Some(job) if !has_ended(job) => sleep(INTERVAL).await,
                _ => return Ok(None),
            }
        }
    }
}

/// Returns the step that a line of Buildah says begins: `STEP 2/4: RUN make`, or that of one of several stages.
pub fn step_in(line: &str) -> Option<&str> {
    let step = match line.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?.1,
        None => line,
    };
    let (at, of) = step.strip_prefix("STEP ")?.split_once(": ")?.0.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(at) && is_number(of)).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_a_step_is_known() {
        assert_eq!(step_in("STEP 2/4: RUN make"), Some("STEP 2/4: RUN make"));
        assert_eq!(step_in("[1/2] STEP 2/4: RUN make"), Some("[1/2] STEP 2/4: RUN make"));
        for other in ["STEP: x", "STEP a/b: x", "[x", "make: STEP 1/2: x", ""] {
            assert_eq!(step_in(other), None, "{other}");
        }
    }
}
