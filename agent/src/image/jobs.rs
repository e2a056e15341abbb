//! The Jobs of one Image: found by its UID, read with their pods, made within the budget.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use imgop_core::api::{FailureReason, IMAGE_UID_LABEL, Image, MANAGED_BY, MANAGED_BY_LABEL};
use imgop_core::copy::{Copy, CopyRequest, Outcome, Plan, Run, TagAction};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams, Request};
use kube::core::Status;
use kube::{Api, Resource, ResourceExt as _};

use super::aws;
use super::budget::Full;
use super::job::{batches, job};
use super::lister::{JOB_NAME_LABEL, Lister};
use super::outcome::{JobReport, is_unfinished, report};
use crate::context::Context;

/// Pages that are read of the Jobs of an Image, or of their pods: a Job for each of 1,000 tags.
const PAGES: usize = 50;
/// Bytes of what the Jobs of an Image say that they copy. A thousand tags have a third of it.
const COPIES: usize = 2 * 1024 * 1024;

/// The Jobs of one Image.
pub struct Jobs<'a> {
    context: &'a Context,
    image: &'a Image,
    api: Api<Job>,
    route: String,
    reports: Vec<JobReport>,
    now: Timestamp,
}

/// Jobs that were made.
pub struct Made {
    /// What they copy.
    pub copies: Vec<Copy>,
    /// Why there are not more of them.
    pub full: Option<Full>,
    /// Why making them ended early.
    pub error: Option<JobError>,
}

/// Why a Job could not be made.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceEnds,
    /// A Job of the same name is being deleted.
    #[error("Job {0:?} is still being deleted")]
    Ending(String),
    /// Somebody else has a Job of that name.
    #[error("a Job named {0:?} exists and is not this Image's; delete it")]
    NameTaken(String),
    /// Somebody else has the Secret that a Job would mount.
    #[error("a Secret named {0:?} exists and is not this Image's; delete it")]
    SecretTaken(String),
    /// AWS gives no token for the Job.
    #[error("{0}")]
    Aws(String),
    /// The agent has no right to make Jobs, or their Secrets, here.
    #[error("the agent may not make Jobs in this namespace; {0}")]
    NotEnabled(String),
    /// A quota, a policy or the schema is against it.
    #[error("the API server refuses the Job: {0}")]
    Refused(String),
    /// The API server did not answer.
    #[error(transparent)]
    Api(Box<kube::Error>),
}

impl<'a> Jobs<'a> {
    /// Finds and reads them, and notes in `podless` since when which of them have no pod. Asked of the API server each time: a cache may not know of a Job that
    /// this very process has just made.
    pub async fn of(
        context: &'a Context,
        image: &'a Image,
        route: String,
        podless: &mut HashMap<String, Timestamp>,
        now: Timestamp,
    ) -> Result<Self, kube::Error> {
        let namespace = image.namespace().unwrap_or_default();
        let uid = image.uid().unwrap_or_default();
        let api: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
        let mut reports = Vec::new();
        if context.may_have_jobs(&uid) {
            let jobs = owned_jobs(&context.lister, &namespace, &uid).await?;
            context.budget.set(&namespace, &uid, jobs.iter().filter(|job| is_unfinished(job)).count());
            context.has_jobs(&uid, !jobs.is_empty());
            if !jobs.is_empty() {
                let by_job = pods_by_job(&context.lister, &namespace, &uid, &jobs).await?;
                let none = Vec::new();
                let pods = |job: &Job| by_job.get(&job.name_any()).unwrap_or(&none);
                // Since when Jobs have been seen without a pod, as far as they still have none.
                let before = std::mem::take(podless);
                let without = jobs.iter().filter(|job| is_unfinished(job) && pods(job).is_empty());
                *podless = without
                    .map(|job| (job.name_any(), before.get(&job.name_any()).copied().unwrap_or(now)))
                    .collect();
                reports.extend(
                    jobs.iter().map(|job| report(job, pods(job), podless.get(&job.name_any()).copied(), now)),
                );
            }
        }
        Ok(Self { context, image, api, route, reports, now })
    }

    /// The Jobs that copy between the same repositories as the spec asks for now.
    fn on_route(&self) -> impl Iterator<Item = &JobReport> {
        self.reports.iter().filter(|report| report.route.as_deref() == Some(&self.route))
    }

    /// What became of their copies; `outcomes` has what became of some afterwards, and of those whose
    /// Jobs are gone.
    pub fn runs(&self, outcomes: &HashMap<Copy, Outcome>) -> Vec<Run> {
        let mut runs: Vec<Run> = self.on_route().flat_map(|report| report.runs.clone()).collect();
        for (copy, outcome) in outcomes {
            match runs.iter_mut().find(|run| run.copy == *copy) {
                Some(run) if run.outcome == Outcome::Succeeded || is_not_started(&run.outcome) => {
                    run.outcome = outcome.clone();
                }
                Some(_) => {}
                None => runs.push(Run { copy: copy.clone(), outcome: outcome.clone() }),
            }
        }
        runs
    }

    /// How many of the planned tags were copied by Jobs that are younger than the last sync.
    pub fn copied_since(&self, last_sync: Option<Timestamp>, plan: &Plan) -> u32 {
        let recent = self.on_route().filter(|report| match (report.created, last_sync) {
            (Some(created), Some(last)) => created >= last,
            _ => true,
        });
        let is_there = |run: &&Run| {
            let tag = &run.copy.destination_tag;
            plan.tags.iter().any(|t| t.destination_tag == *tag && t.action == TagAction::UpToDate)
        };
        let copied = recent.flat_map(|report| &report.runs);
        let copied = copied.filter(|run| run.outcome == Outcome::Succeeded).filter(is_there).count();
        u32::try_from(copied).unwrap_or(u32::MAX)
    }

    /// How many of these copies, from the first, may be begun now.
    pub fn room(&self, copies: &[Copy]) -> usize {
        let batches = batches(copies, self.context.config.tags_per_job.into());
        let (namespace, uid) =
            (self.image.namespace().unwrap_or_default(), self.image.uid().unwrap_or_default());
        let (places, _) = self.context.budget.room(&namespace, &uid, batches.len(), self.now);
        batches.iter().take(places).map(|(_, batch)| batch.len()).sum()
    }

    /// Makes Jobs for these copies, as many as there is room for, until one is refused.
    pub async fn make(&self, request: &CopyRequest, copies: &[Copy]) -> Made {
        let (namespace, uid) =
            (self.image.namespace().unwrap_or_default(), self.image.uid().unwrap_or_default());
        let config = &self.context.config;
        if let Err(error) = aws::keep_job_secrets(self.context, self.image, request).await {
            return Made { copies: Vec::new(), full: None, error: Some(error) };
        }
        let batches = batches(copies, config.tags_per_job.into());
        let (places, full) = self.context.budget.take(&namespace, &uid, batches.len(), self.now);
        let mut made = Made { copies: Vec::new(), full, error: None };
        for (order, batch) in batches.into_iter().take(places) {
            if made.error.is_none() {
                let job = job(self.image, request, &batch, order, config);
                made.error = self.create(&job, &uid, batch.len()).await.err();
            }
            if made.error.is_none() {
                made.copies.extend(batch);
            } else {
                self.context.budget.give_back(&namespace, &uid);
            }
        }
        made
    }

    /// Makes one Job. One that exists and is ours is as good as made: its name says what it does.
    async fn create(&self, job: &Job, uid: &str, tags: usize) -> Result<(), JobError> {
        self.context.has_jobs(uid, true);
        let name = job.name_any();
        match self.api.create(&PostParams::default(), job).await {
            Ok(_) => {
                self.context.metrics.jobs_created.inc();
                self.context.events.scheduled(self.image, &name, tags).await;
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.adopt(&name, uid).await,
            Err(kube::Error::Api(status)) => Err(self.refused(status)),
            Err(error) => Err(JobError::Api(Box::new(error))),
        }
    }

    async fn adopt(&self, name: &str, uid: &str) -> Result<(), JobError> {
        // Jobs may be listed anyway; to read one by name would need another right.
        let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
        let mut there: Option<Job> = None;
        let keep = |job| {
            there = Some(job);
            ControlFlow::Break(())
        };
        let found =
            self.context.lister.each(self.image.metadata.namespace.as_deref(), by_name, 1, keep).await;
        found.map_err(|e| JobError::Api(Box::new(e)))?;
        match there {
            Some(there) if !is_owned(&there, uid) => Err(JobError::NameTaken(name.to_owned())),
            Some(there) if there.metadata.deletion_timestamp.is_none() => Ok(()),
            _ => Err(JobError::Ending(name.to_owned())),
        }
    }

    fn refused(&self, status: Box<Status>) -> JobError {
        let message = super::outcome::printable(&status.message);
        if status.is_forbidden() {
            if message.contains("being terminated") {
                return JobError::NamespaceEnds;
            }
            // RBAC speaks of a user that cannot create; quotas and policies do not.
            if message.contains("cannot create resource") {
                return JobError::NotEnabled(self.context.how_to_enable(self.image));
            }
            return JobError::Refused(message);
        }
        if status.is_invalid() || status.code == 400 {
            return JobError::Refused(message);
        }
        JobError::Api(Box::new(kube::Error::Api(status)))
    }

    /// Copies of Jobs whose pods do not start, and what is said of them.
    pub fn stuck(&self) -> impl Iterator<Item = (Copy, Outcome)> {
        let stuck = self.reports.iter().filter(|report| report.stuck).flat_map(|report| &report.runs);
        stuck.filter(|run| is_not_started(&run.outcome)).map(|run| (run.copy.clone(), run.outcome.clone()))
    }

    /// Deletes Jobs whose pods do not start: they hold places. What they failed to copy is remembered.
    pub async fn drop_stuck(&self) -> Result<(), kube::Error> {
        let at = Request::new(Job::url_path(&(), self.image.metadata.namespace.as_deref()));
        for report in self.reports.iter().filter(|report| report.stuck) {
            let request = at.delete(&report.name, &DeleteParams::background());
            // The answer may be the whole Job, which nobody reads.
            match self.context.client.request_text(request.map_err(kube::Error::BuildRequest)?).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Counts the unfinished Jobs of an Image.
    pub async fn recount(context: &Context, image: &Image) -> Result<(), kube::Error> {
        let (namespace, uid) = (image.namespace().unwrap_or_default(), image.uid().unwrap_or_default());
        let mut unfinished = 0;
        let count = |job: Job| {
            unfinished += usize::from(is_owned(&job, &uid) && is_unfinished(&job));
            ControlFlow::Continue(())
        };
        context.lister.each(Some(&namespace), of_image(&uid), PAGES, count).await?;
        context.budget.set(&namespace, &uid, unfinished);
        Ok(())
    }
}

/// What is labelled as an Image's.
fn of_image(uid: &str) -> ListParams {
    ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY},{IMAGE_UID_LABEL}={uid}"))
}

/// The Jobs of an Image, but for what nobody reads of them.
async fn owned_jobs(lister: &Lister, namespace: &str, uid: &str) -> Result<Vec<Job>, kube::Error> {
    let (mut owned, mut bytes) = (Vec::new(), 0);
    let keep = |job: Job| {
        if is_owned(&job, uid) {
            bytes += job.annotations().values().map(String::len).sum::<usize>();
            if bytes > COPIES {
                tracing::warn!(namespace, uid, "the Jobs of an Image say too much; the rest is left out");
                return ControlFlow::Break(());
            }
            owned.push(job);
        }
        ControlFlow::Continue(())
    };
    lister.each(Some(namespace), of_image(uid), PAGES, keep).await?;
    Ok(owned)
}

/// The pods of these Jobs, by the names of those.
async fn pods_by_job(
    lister: &Lister,
    namespace: &str,
    uid: &str,
    jobs: &[Job],
) -> Result<HashMap<String, Vec<Pod>>, kube::Error> {
    let uids: HashSet<&str> = jobs.iter().filter_map(|job| job.metadata.uid.as_deref()).collect();
    let mut by_job: HashMap<String, Vec<Pod>> = HashMap::new();
    let keep = |pod: Pod| {
        let is_owned = pod.owner_references().iter().any(|owner| uids.contains(owner.uid.as_str()));
        if is_owned && let Some(job) = pod.labels().get(JOB_NAME_LABEL) {
            by_job.entry(job.clone()).or_default().push(pod);
        }
        ControlFlow::Continue(())
    };
    lister.each(Some(namespace), of_image(uid), PAGES, keep).await?;
    Ok(by_job)
}

fn is_not_started(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { reason: FailureReason::PodNotStarted, .. })
}

/// Whether a Job is this Image's own: labels are anybody's, the owner's UID is not.
pub fn is_owned(job: &Job, uid: &str) -> bool {
    job.owner_references().iter().any(|owner| owner.uid == uid && owner.controller == Some(true))
}

#[cfg(test)]
mod tests;
