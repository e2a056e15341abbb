//! The pods of Jobs, and what their containers log.

use futures::AsyncBufReadExt as _;
use imgop_core::api::JOB_NAME_LABEL;
use imgop_registry::printable;
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use super::connection::Cluster;
use crate::cli_error::CliError;

/// Of how many lines, from the end of a log, the last one is sought that says something.
const NEWEST_LINES: i64 = 200;

/// What became of a container's log.
pub enum Streamed {
    /// It was read to its end.
    Whole,
    /// The container has not started; in Kubernetes' words.
    NotStarted(String),
}

/// Returns whether a Job starts no pod any more.
pub fn has_ended(job: &Job) -> bool {
    end(job).is_some()
}

/// Returns the condition with which a Job has ended.
pub fn end(job: &Job) -> Option<&JobCondition> {
    let mut conditions = job.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")
}

impl Cluster {
    /// Returns the names of a Job's pods, the newest first.
    pub async fn pods_of(&self, job: &str) -> Result<Vec<String>, CliError> {
        let list = self.pods().list(&ListParams::default().labels(&format!("{JOB_NAME_LABEL}={job}"))).await;
        let mut pods = list.map_err(|error| self.explain_in_namespace("list", "pods", &error))?.items;
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
        Ok(pods.iter().map(ResourceExt::name_any).collect())
    }

    /// Returns whether no container of a pod starts any more.
    pub async fn pod_has_ended(&self, pod: &str) -> Result<bool, CliError> {
        let found = self.pods().get_opt(pod).await;
        let found = found.map_err(|error| self.explain_in_namespace("get", "pods", &error))?;
        let phase = found.and_then(|pod| pod.status).and_then(|status| status.phase);
        Ok(!matches!(phase.as_deref(), Some("Pending" | "Running")))
    }

    /// Returns whether a container of a pod has ended, or is not there any more.
    pub async fn container_has_ended(&self, pod: &str, container: &str) -> Result<bool, CliError> {
        let found = self.pods().get_opt(pod).await;
        let found = found.map_err(|error| self.explain_in_namespace("get", "pods", &error))?;
        let Some(status) = found.and_then(|pod| pod.status) else { return Ok(true) };
        let all = [status.init_container_statuses, status.container_statuses];
        let shown = all.into_iter().flatten().flatten().find(|shown| shown.name == container);
        Ok(shown.and_then(|shown| shown.state).is_some_and(|state| state.terminated.is_some()))
    }

    /// Reads the log of a container line by line.
    pub async fn read_log(
        &self,
        pod: &str,
        which: &LogParams,
        mut show: impl FnMut(&str) -> Result<(), CliError>,
    ) -> Result<Streamed, CliError> {
        let pods = self.pods();
        let mut log = match pods.log_stream(pod, which).await {
            Ok(log) => Box::pin(log),
            Err(kube::Error::Api(status)) if status.code == 400 => {
                return Ok(Streamed::NotStarted(status.message.clone()));
            }
            Err(error) => return Err(self.explain_in_namespace("get", "pods/log", &error)),
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = log.read_until(b'\n', &mut line).await;
            if read.map_err(|error| CliError::failed(format!("the log of pod {pod} breaks off: {error}")))?
                == 0
            {
                return Ok(Streamed::Whole);
            }
            // What a RUN prints need not be text.
            let line = String::from_utf8_lossy(&line);
            show(line.trim_end_matches(['\r', '\n']))?;
        }
    }

    /// Returns the newest of those lines of a container's log; none where it has none, or may not be read.
    pub async fn newest_line(
        &self,
        pod: &str,
        container: &str,
        is_one: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let which = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(NEWEST_LINES),
            ..LogParams::default()
        };
        let mut newest = None;
        let read = self.read_log(pod, &which, |line| {
            if is_one(line) {
                newest = Some(printable(line));
            }
            Ok(())
        });
        read.await.ok()?;
        newest
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}
