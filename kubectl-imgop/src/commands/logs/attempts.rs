//! Which pods' logs are printed: of the newest Job, of all parts of a build.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::place::{ObjectJobs, unseen_in};
use super::wanted::{Run, Wanted, runs, works_on_any};
use crate::cli_error::{CliError, Kind};
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;
use crate::cluster::pod_logs::has_ended;
use crate::kinds::JobContainer;
use crate::kinds::past_sync::SyncResult;
use crate::output::Ui;

/// How long a Job's pod is waited for. A Job that is refused its pod has none for longer.
pub const POD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const POD_INTERVAL: Duration = Duration::from_secs(1);

/// A pod, and its containers that are printed.
pub struct Attempt {
    /// The cluster, with the namespace of the pod.
    pub cluster: Cluster,
    /// The pod.
    pub pod: String,
    /// Its containers.
    pub containers: Vec<JobContainer>,
}

/// What the search for the pod of a run found.
pub enum Sought {
    /// The pod.
    Found(Box<Attempt>),
    /// None; why.
    Missing(CliError),
}

/// The pods of an object's Jobs.
pub struct Pods<'a> {
    /// Says what is waited for.
    pub ui: Ui,
    /// Where the object is.
    pub cluster: &'a Cluster,
    /// Its Jobs.
    pub jobs: &'a ObjectJobs,
    /// The object.
    pub found: &'a FoundObject,
    /// Which logs are wanted.
    pub wanted: &'a Wanted,
    /// When they are.
    pub now: Timestamp,
}

impl Pods<'_> {
    /// Returns the runs whose logs are printed: one for each platform of a build, else one.
    pub fn runs(&self) -> Result<Vec<Run>, CliError> {
        let Self { jobs, found, wanted, .. } = *self;
        let runs = runs(found.kind, &jobs.newest_first, wanted);
        if !runs.is_empty() {
            return Ok(runs);
        }
        let works_on = wanted.works_on.iter().map(|what| format!(" that works on {what}"));
        let of_run = wanted.run.map(|number| format!(" of build {number}"));
        let which: Vec<String> = works_on.chain(of_run).collect();
        let error =
            if works_on_any(found.kind, &jobs.newest_first, wanted) { None } else { gone(found, wanted) };
        let error = error.unwrap_or_else(|| {
            CliError::failed(format!("{} has no Job{}", found.reference(), which.concat()))
        });
        Err(self.with_unseen(error.hinted(self.to_see())))
    }

    /// Returns the pod of the newest Job of a run, or the one before it, and says where its Job is, and where there may be a newer
    /// one.
    pub async fn attempt(&self, run: &Run) -> Result<Sought, CliError> {
        let is_previous = self.wanted.previous;
        if let Some((job, _)) = run.first().filter(|_| !is_previous) {
            self.say_where(job);
        }
        let ends_meanwhile = self.wanted.waits_for_pod && self.ends_before_its_pod(run).await?;
        let mut newer = self.jobs.newer_unseen(&self.found.object, self.now).cloned();
        // Where the newest one may be hidden, the newest that is seen is the one before.
        let mut later = usize::from(is_previous && newer.is_none());
        for (job, containers) in run {
            let cluster = self.cluster_of(job);
            let pods = match cluster.pods_of(&job.name_any()).await {
                Ok(pods) => pods,
                Err(error) => {
                    let hidden = self.hidden(job, &error);
                    if !is_previous || hidden.is_none() {
                        return Err(hidden.into_iter().fold(error, CliError::hinted));
                    }
                    // The user may see the pods of the Job before.
                    (newer, later) = (hidden, 0);
                    continue;
                }
            };
            if let Some(pod) = pods.into_iter().nth(later) {
                if is_previous {
                    self.say_where(job);
                }
                if let Some(place) = newer {
                    self.ui.note(&format!("there may be a newer log: {place}"));
                }
                let containers = containers.clone();
                return Ok(Sought::Found(Box::new(Attempt { cluster, pod, containers })));
            }
            if !is_previous {
                break;
            }
            later = 0;
        }
        let error = self.why_missing(run, ends_meanwhile);
        let newer = newer.filter(|place| !error.hints.contains(place));
        Ok(Sought::Missing(newer.into_iter().fold(error, CliError::hinted)))
    }

    /// Returns the cluster with the namespace of a Job.
    fn cluster_of(&self, job: &Job) -> Cluster {
        self.cluster.in_namespace(job.namespace().as_deref())
    }

    /// Returns the namespace of a Job that is elsewhere than its object.
    fn elsewhere(&self, job: &Job) -> Option<String> {
        job.namespace().filter(|namespace| *namespace != self.cluster.namespace)
    }

    /// Returns where the pods of a Job are that the user may not list; none where that is not what is wrong, or not elsewhere.
    fn hidden(&self, job: &Job, error: &CliError) -> Option<String> {
        let namespace = self.elsewhere(job).filter(|_| error.kind == Kind::Forbidden)?;
        Some(unseen_in(&namespace))
    }

    /// Says where a Job is that is elsewhere than its object.
    fn say_where(&self, job: &Job) {
        if let Some(namespace) = self.elsewhere(job) {
            let why = "since it uses what an administrator lends";
            self.ui.note(&format!("the Job is in namespace {namespace}, {why}"));
        }
    }

    /// Waits until the newest Job of a run has a pod, and says so: it has none yet where it was created just now. Returns
    /// whether the Job has ended meanwhile, as one does that is refused its pod for too long.
    async fn ends_before_its_pod(&self, run: &Run) -> Result<bool, CliError> {
        let Some((job, _)) = run.first().filter(|(job, _)| !has_ended(job)) else { return Ok(false) };
        let (name, waited_since, mut is_said) = (job.name_any(), Instant::now(), false);
        let (cluster, uid) = (self.cluster_of(job), self.found.object.uid().unwrap_or_default());
        let explained = |error: CliError| self.hidden(job, &error).into_iter().fold(error, CliError::hinted);
        while waited_since.elapsed() < POD_TIMEOUT
            && cluster.pods_of(&name).await.map_err(explained)?.is_empty()
        {
            if !std::mem::replace(&mut is_said, true) {
                self.ui.note(&format!("waiting for a pod of Job {name}"));
            }
            sleep(POD_INTERVAL).await;
            // One that was deleted starts no pod either.
            let jobs = cluster.jobs(&uid).await?;
            if jobs.iter().find(|job| job.name_any() == name).is_none_or(has_ended) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns why a run has no pod whose logs could be printed.
    fn why_missing(&self, run: &Run, ends_meanwhile: bool) -> CliError {
        let newest = run.first().map(|(job, _)| (job.name_any(), has_ended(job)));
        let (name, had_ended) = newest.unwrap_or_default();
        if self.wanted.previous {
            let message = format!("{} has no earlier pod", self.found.reference());
            return self.with_unseen(CliError::failed(message).hinted(self.to_see()));
        }
        if had_ended {
            let message = format!("the pods of Job {name} are gone, and their logs with them");
            return CliError::failed(message).hinted(self.to_see());
        }
        if ends_meanwhile {
            return CliError::failed(format!("Job {name} has ended and has no pod")).hinted(self.to_see());
        }
        CliError::failed(format!("Job {name} has no pod yet"))
    }

    /// Adds to an error where there may be Jobs that the user may not see.
    fn with_unseen(&self, error: CliError) -> CliError {
        self.jobs.unseen.iter().fold(error, CliError::hinted)
    }

    fn to_see(&self) -> String {
        let (object, place) = (self.found.reference(), self.cluster.place());
        format!("kubectl imgop describe {object}{place} shows what became of it")
    }
}

/// Returns why a run that was asked for by its number has no Job: it was never begun, or its Jobs are no longer kept.
fn gone(found: &FoundObject, wanted: &Wanted) -> Option<CliError> {
    let (object, number, kept) = (found.reference(), wanted.run?, found.kind.job_words().kept?);
    let history = found.kind.history(&found.object).ok()?;
    let newest = history.iter().filter_map(|past| past.number).max()?;
    // The next one may have begun, and have no Job yet.
    if number == newest.saturating_add(1) {
        return None;
    }
    if number > newest {
        return Some(CliError::failed(format!("{object} has had no build {number}; the newest is {newest}")));
    }
    let past = history.iter().find(|past| past.number == Some(number));
    let field = match past.map(|past| past.result) {
        Some(SyncResult::Succeeded) => kept.succeeded,
        _ => kept.others,
    };
    Some(CliError::failed(format!(
        "the Jobs of build {number} of {object} are gone, and their logs with them: spec.{field} says how many builds \
         keep theirs"
    )))
}
