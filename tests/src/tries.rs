//! Which copies were tried, in which Jobs, and how each try ended, so that a test can say that
//! nothing was repeated but what had failed.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, bail, ensure};
use imgop_agent::native_copy::CopyReport;
use imgop_core::api::{COPIES_ANNOTATION, NATIVE_CONTAINER, OWNER_UID_LABEL, container_name};
use imgop_core::copy::CopyRecord;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt as _;

use crate::tenant::Tenant;

/// The label that Kubernetes puts on the pods of a Job.
const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// All tries of the Jobs that are there.
#[derive(Debug)]
pub struct Tries(Vec<Try>);

/// One try of one copy.
#[derive(Debug)]
struct Try {
    job: String,
    image: String,
    copy: CopyRecord,
    end: End,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Succeeded,
    Failed,
    /// Its container never ran, because another one of its pod failed.
    NeverRan,
    Running,
}

impl Tries {
    /// Reads the Jobs of a tenant and their pods.
    pub async fn of(tenant: &Tenant) -> anyhow::Result<Self> {
        let pods = tenant.pods().await?;
        let mut tries = Vec::new();
        for job in tenant.jobs().await? {
            let of_job = |pod: &&Pod| pod.labels().get(JOB_NAME_LABEL) == Some(&job.name_any());
            let pods: Vec<&Pod> = pods.iter().filter(of_job).collect();
            tries.extend(of_job_and_pods(&job, &pods)?);
        }
        Ok(Self(tries))
    }

    /// How many first tries there are.
    pub fn first(&self) -> usize {
        self.0.iter().filter(|t| t.copy.attempt == 1).count()
    }

    /// The tags at the destination that tries which succeeded have copied.
    pub fn succeeded(&self) -> BTreeSet<&str> {
        self.0.iter().filter(|t| t.end == End::Succeeded).map(|t| t.copy.destination.as_str()).collect()
    }

    /// The Jobs that make first tries, once it is sure that nothing else was done than needed: no try
    /// twice, no copy again that had not failed, and no such copy in a Job with first tries.
    pub fn jobs_of_first_tries(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut ends: HashMap<(&str, &str, &str, u32), &Try> = HashMap::new();
        for t in &self.0 {
            let twice = ends.insert(t.key(t.copy.attempt), t);
            ensure!(twice.is_none(), "a try was made twice: {t:?} and {twice:?}");
        }
        let first = |t: &&Try| t.copy.attempt == 1;
        let jobs: BTreeSet<String> = self.0.iter().filter(first).map(|t| t.job.clone()).collect();
        for again in self.0.iter().filter(|t| t.copy.attempt > 1) {
            let before = ends.get(&again.key(again.copy.attempt - 1));
            match before.map(|before| before.end) {
                Some(End::Failed | End::NeverRan) => {}
                _ => bail!("tried again although it had not failed: {again:?} after {before:?}"),
            }
            ensure!(!jobs.contains(&again.job), "a repeated try shares a Job with first ones: {again:?}");
        }
        Ok(jobs)
    }

    /// The Jobs that repeat what failed.
    pub fn jobs_of_later_tries(&self) -> BTreeSet<String> {
        self.0.iter().filter(|t| t.copy.attempt > 1).map(|t| t.job.clone()).collect()
    }

    /// Those of one Image.
    #[must_use]
    pub fn of_image(self, uid: &str) -> Self {
        Self(self.0.into_iter().filter(|t| t.image == uid).collect())
    }
}

impl Try {
    fn key(&self, attempt: u32) -> (&str, &str, &str, u32) {
        (&self.image, self.copy.destination.as_str(), self.copy.digest.as_str(), attempt)
    }
}

fn of_job_and_pods(job: &Job, pods: &[&Pod]) -> anyhow::Result<Vec<Try>> {
    let text = job.annotations().get(COPIES_ANNOTATION).context("a Job does not say what it copies")?;
    let copies: Vec<CopyRecord> = serde_json::from_str(text)?;
    let ends: HashMap<&str, &ContainerStateTerminated> = pods
        .iter()
        .filter_map(|pod| pod.status.as_ref())
        .flat_map(|status| {
            status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
        })
        .filter_map(|status| Some((status.name.as_str(), status.state.as_ref()?.terminated.as_ref()?)))
        .collect();
    let of_all = ends.get(NATIVE_CONTAINER).map(|end| report_of(end));
    let is_native = pods.iter().any(|pod| {
        pod.spec.iter().flat_map(|spec| &spec.containers).any(|container| container.name == NATIVE_CONTAINER)
    });
    let one_failed = ends.values().any(|end| end.exit_code != 0);
    let mut first = 0;
    let tries = copies.into_iter().enumerate().map(|(index, copy)| {
        let parts = copy.read().map_or(1, |copy| copy.parts().len());
        let items = first..first + parts;
        first = items.end;
        let end = match (&of_all, is_native) {
            (Some(report), _) => end_of(&items.map(|item| report.exit_code(item)).collect::<Vec<_>>(), true),
            (None, true) => End::Running,
            (None, false) => {
                let codes = (0..parts).map(|part| ends.get(container_name(index, part).as_str()));
                end_of(&codes.map(|end| end.map(|end| end.exit_code)).collect::<Vec<_>>(), one_failed)
            }
        };
        let image = job.labels().get(OWNER_UID_LABEL).cloned().unwrap_or_default();
        Try { job: job.name_any(), image, copy, end }
    });
    Ok(tries.collect())
}

/// What the one container of a Job reports.
struct Reported {
    exit_code: i32,
    report: CopyReport,
}

fn report_of(end: &ContainerStateTerminated) -> Reported {
    let report = CopyReport::read(end.message.as_deref().unwrap_or_default()).unwrap_or_default();
    Reported { exit_code: end.exit_code, report }
}

impl Reported {
    /// The exit code that a container of this item alone would have had; none if it was not reached.
    fn exit_code(&self, item: usize) -> Option<i32> {
        let item = u32::try_from(item).unwrap_or(u32::MAX);
        match self.report.failure(item) {
            Some(_) => Some(1),
            None => (self.exit_code == 0 || self.report.done.contains(item)).then_some(0),
        }
    }
}

/// How a try ended, by the exit codes of the containers of its parts: it failed with the first that did,
/// and it succeeded when all did.
fn end_of(parts: &[Option<i32>], one_of_its_pod_failed: bool) -> End {
    if parts.iter().flatten().any(|code| *code != 0) {
        return End::Failed;
    }
    match parts.iter().all(Option::is_some) {
        true => End::Succeeded,
        false if one_of_its_pod_failed => End::NeverRan,
        false => End::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_has_failed_with_any_of_its_parts_and_succeeded_with_all() {
        assert_eq!(end_of(&[Some(0), Some(1)], true), End::Failed);
        assert_eq!(end_of(&[Some(1), None], true), End::Failed);
        assert_eq!(end_of(&[Some(0), Some(0)], true), End::Succeeded);
        assert_eq!(end_of(&[Some(0), None], true), End::NeverRan);
        assert_eq!(end_of(&[Some(0), None], false), End::Running);
    }
}
