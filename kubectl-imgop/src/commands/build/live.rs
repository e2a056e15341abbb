//! What the containers of a build log, while they run.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::api::LogParams;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cli_error::{CliError, Kind};
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

/// What is seen of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The container of this name is the one that runs, or that runs next.
    Container(&'a str),
    /// It logs a line.
    Line(&'a str),
    /// Its log cannot be read to its end; why.
    BreaksOff(&'a str),
    /// Nothing runs any more.
    End,
}

/// Fails where nothing may be read at all.
type Followed = Result<(), CliError>;

impl Live<'_> {
    /// Hands what is seen of each platform from now on to `show`, until it is dropped. Returns why nothing may be read;
    /// what breaks off is read on, or left out.
    pub async fn follow(&self, show: impl Fn(&str, Seen<'_>)) -> CliError {
        let (mut known, mut is_first) = (BTreeSet::new(), true);
        let (mut followed, mut ticks) = (FuturesUnordered::new(), interval(INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let jobs = match self.cluster.jobs(self.uid).await {
                        Ok(jobs) => jobs,
                        Err(error) if error.kind == Kind::Forbidden => return error,
                        Err(_) => continue,
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

    /// Reads the logs of a Job's pods, one after the other: a pod that is evicted has a successor.
    async fn follow_job(&self, job: Job, show: &impl Fn(&str, Seen<'_>)) -> Followed {
        let containers = self.object.kind.containers(&job).unwrap_or_default();
        let (mut last, mut followed) = (None, Ok(()));
        while let Some(pod) = self.next_pod(&job, last.as_ref()).await? {
            followed = self.follow_pod(&pod, &containers, show).await;
            if followed.is_err() {
                break;
            }
            last = Some(pod);
        }
        if let Some(container) = containers.first() {
            show(&container.works_on, Seen::End);
        }
        followed
    }

    /// Reads the logs of a pod, container by container. What breaks off ends that container's log alone.
    async fn follow_pod(
        &self,
        pod: &str,
        containers: &[JobContainer],
        show: &impl Fn(&str, Seen<'_>),
    ) -> Followed {
        for container in containers {
            show(&container.works_on, Seen::Container(&container.name));
            let which =
                LogParams { container: Some(container.name.clone()), follow: true, ..LogParams::default() };
            let print = |line: &str| {
                show(&container.works_on, Seen::Line(line));
                Ok(())
            };
            loop {
                match self.cluster.read_log(pod, &which, print).await {
                    Ok(Streamed::NotStarted(_)) => {}
                    Err(error) if error.kind == Kind::Forbidden => return Err(error),
                    Err(error) => {
                        show(&container.works_on, Seen::BreaksOff(&error.message));
                        self.container_ends(pod, &container.name).await;
                        break;
                    }
                    Ok(Streamed::Whole) => break,
                }
                if self.cluster.pod_has_ended(pod).await.unwrap_or(false) {
                    return Ok(());
                }
                sleep(INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Waits until a container has ended whose log cannot be read, or cannot be looked at either: until then it is the one
    /// that runs.
    async fn container_ends(&self, pod: &str, container: &str) {
        while let Ok(false) = self.cluster.container_has_ended(pod, container).await {
            sleep(INTERVAL).await;
        }
    }

    /// Waits for a pod of a Job that is newer than the `last` one. There is none any more where the Job has ended or is
    /// gone.
    async fn next_pod(&self, job: &Job, last: Option<&String>) -> Result<Option<String>, CliError> {
        loop {
            match self.look_for_pod(job, last).await {
                Ok(ControlFlow::Break(found)) => return Ok(found),
                Err(error) if error.kind == Kind::Forbidden => return Err(error),
                Ok(ControlFlow::Continue(())) | Err(_) => sleep(INTERVAL).await,
            }
        }
    }

    /// Returns such a pod, or that there is none any more; else there may be one later.
    async fn look_for_pod(
        &self,
        job: &Job,
        last: Option<&String>,
    ) -> Result<ControlFlow<Option<String>>, CliError> {
        let newest = self.cluster.pods_of(&job.name_any()).await?.into_iter().next();
        if newest.is_some() && newest.as_ref() != last {
            return Ok(ControlFlow::Break(newest));
        }
        let jobs = self.cluster.jobs(self.uid).await?;
        let found = jobs.iter().find(|other| other.name_any() == job.name_any());
        let is_over = found.is_none_or(has_ended);
        Ok(if is_over { ControlFlow::Break(None) } else { ControlFlow::Continue(()) })
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
