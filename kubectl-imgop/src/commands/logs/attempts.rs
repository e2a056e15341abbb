//! Which pods' logs are printed: of the newest Job, of all parts of a build.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::place::ObjectJobs;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;
use crate::cluster::pod_logs::has_ended;
use crate::kinds::past_sync::SyncResult;
use crate::kinds::{JobContainer, KindRef};
use crate::output::Ui;
use crate::output::text::count;

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

/// Which logs are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those of this tag, or of this platform.
    pub works_on: Option<String>,
    /// Those of this build.
    pub run: Option<u64>,
    /// Those of the pod before the newest one.
    pub previous: bool,
    /// Whether a pod that is to come is waited for.
    pub waits_for_pod: bool,
}

/// Jobs that do the same, the newest first, with their containers.
pub type Run = Vec<(Job, Vec<JobContainer>)>;

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

    /// Returns the pod of the newest Job of a run, or the one before it, and says where its Job is.
    pub async fn attempt(&self, run: &Run) -> Result<Sought, CliError> {
        let is_previous = self.wanted.previous;
        if let Some((job, _)) = run.first().filter(|_| !is_previous) {
            self.say_where(job);
        }
        let ends_meanwhile = self.wanted.waits_for_pod && self.ends_before_its_pod(run).await?;
        let mut later = usize::from(is_previous);
        for (job, containers) in run {
            let cluster = self.cluster_of(job);
            let pods = cluster.pods_of(&job.name_any()).await?;
            if let Some(pod) = pods.into_iter().nth(later) {
                if is_previous {
                    self.say_where(job);
                }
                let containers = containers.clone();
                return Ok(Sought::Found(Box::new(Attempt { cluster, pod, containers })));
            }
            if !is_previous {
                break;
            }
            later = 0;
        }
        Ok(Sought::Missing(self.why_missing(run, ends_meanwhile)))
    }

    /// Returns the cluster with the namespace of a Job.
    fn cluster_of(&self, job: &Job) -> Cluster {
        self.cluster.in_namespace(job.namespace().as_deref())
    }

    /// Says where a Job is that is elsewhere than its object.
    fn say_where(&self, job: &Job) {
        let namespace = job.namespace().filter(|namespace| *namespace != self.cluster.namespace);
        if let Some(namespace) = namespace {
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
        while waited_since.elapsed() < POD_TIMEOUT && cluster.pods_of(&name).await?.is_empty() {
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

/// Whether there are Jobs of the run that is wanted, whatever they work on.
fn works_on_any(kind: KindRef, jobs: &[Job], wanted: &Wanted) -> bool {
    !runs(kind, jobs, &Wanted { works_on: None, ..wanted.clone() }).is_empty()
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

/// Returns the Jobs whose logs are wanted. Where Jobs are parts of one build, those of each part are one run.
fn runs(kind: KindRef, jobs: &[Job], wanted: &Wanted) -> Vec<Run> {
    let jobs = working_on(kind, jobs, wanted);
    let Some(number) = wanted.run.or_else(|| jobs.first().and_then(|(job, _)| kind.run_of(job))) else {
        return if jobs.is_empty() { Vec::new() } else { vec![jobs] };
    };
    let mut runs: Vec<Run> = Vec::new();
    for (job, containers) in jobs.into_iter().filter(|(job, _)| kind.run_of(job) == Some(number)) {
        let part = |(_, other): &(Job, Vec<JobContainer>)| *other == containers;
        match runs.iter_mut().find(|run| run.first().is_some_and(part)) {
            Some(run) => run.push((job, containers)),
            None => runs.push(vec![(job, containers)]),
        }
    }
    runs
}

/// Returns the Jobs that work on what is wanted, each with the containers that do. The Jobs come newest first.
fn working_on(kind: KindRef, jobs: &[Job], wanted: &Wanted) -> Run {
    let is_selected = |container: &JobContainer| {
        wanted.works_on.as_ref().is_none_or(|what| container.works_on == *what || container.writes == *what)
    };
    let selected = jobs.iter().filter_map(|job| {
        let all = kind.containers(job)?;
        let selected: Vec<String> =
            all.iter().filter(|it| is_selected(it)).map(|it| it.name.clone()).collect();
        let mut containers = each_once(all);
        containers.retain(|container| selected.contains(&container.name));
        (!containers.is_empty()).then(|| (job.clone(), containers))
    });
    selected.collect()
}

/// Returns each container once. One that works on several things has one log for all of them.
fn each_once(all: Vec<JobContainer>) -> Vec<JobContainer> {
    let mut once: Vec<(JobContainer, usize)> = Vec::new();
    for container in all {
        match once.iter_mut().find(|(known, _)| known.name == container.name) {
            Some((_, number)) => *number += 1,
            None => once.push((container, 1)),
        }
    }
    let named = |(container, number): (JobContainer, usize)| match number {
        1 => container,
        _ => JobContainer { works_on: count(number, "tag"), ..container },
    };
    once.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageBuilder;
    use serde_json::json;

    use super::*;
    use crate::kinds::{DEFAULT_KIND, Erased};

    fn job(name: &str, tags: &[&str]) -> Job {
        let copies: Vec<_> = tags
            .iter()
            .map(|tag| {
                json!({ "source": tag, "destination": format!("mirror-{tag}"), "attempt": 1,
                               "digest": format!("sha256:{}", "0".repeat(64)) })
            })
            .collect();
        serde_json::from_value(json!({ "metadata": { "name": name,
            "annotations": { "imgop.skopeo.io/copies": serde_json::to_string(&copies).unwrap() } } }))
        .unwrap()
    }

    fn of(kind: KindRef, jobs: &[Job], tag: Option<&str>) -> Vec<(Job, Vec<JobContainer>)> {
        working_on(kind, jobs, &Wanted { works_on: tag.map(str::to_owned), ..Wanted::default() })
    }

    #[test]
    fn the_newest_job_that_copies_the_tag_is_selected() {
        let jobs = [job("new", &["1.2", "1.1"]), job("old", &["1.1", "1.0"])];
        let named = |tag: Option<&str>| {
            let (job, containers) = of(DEFAULT_KIND, &jobs, tag).into_iter().next().unwrap_or_default();
            let job = job.name_any();
            containers.iter().map(|c| format!("{job}/{} {}", c.name, c.works_on)).collect::<Vec<_>>()
        };
        assert_eq!(named(None), ["new/copy-0 1.2", "new/copy-1 1.1"]);
        assert_eq!(named(Some("1.1")), ["new/copy-1 1.1"]);
        assert_eq!(named(Some("mirror-1.0")), ["old/copy-1 1.0"]);
        assert!(named(Some("0.9")).is_empty());
    }

    #[test]
    fn each_part_of_a_copy_has_a_log() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let copies = json!([
            { "source": "1.0", "destination": "1.0", "attempt": 1, "digest": digest("0"),
              "madeOf": { "origin": { "platformsOf": digest("1") }, "parts": [digest("2"), digest("3")] } },
            { "source": "1.1", "destination": "1.1", "attempt": 1, "digest": digest("4") },
        ]);
        let mut job = job("j", &[]);
        job.annotations_mut().insert("imgop.skopeo.io/copies".to_owned(), copies.to_string());
        let named = |tag: Option<&str>| {
            let jobs = of(DEFAULT_KIND, std::slice::from_ref(&job), tag);
            let (_, containers) = jobs.into_iter().next().unwrap_or_default();
            containers.into_iter().map(|c| format!("{} {}", c.name, c.works_on)).collect::<Vec<_>>()
        };
        assert_eq!(named(None), ["copy-0 1.0", "copy-0-1 1.0", "copy-1 1.1"]);
        assert_eq!(named(Some("1.0")), ["copy-0 1.0", "copy-0-1 1.0"]);
    }

    #[test]
    fn the_one_container_of_many_tags_has_one_log_whichever_of_them_is_asked_for() {
        let mut job = job("j", &["1.2", "1.1"]);
        let pod = json!({ "template": { "spec": { "containers": [{ "name": "copy" }] } } });
        job.spec = Some(serde_json::from_value(pod).unwrap());
        for (tag, expected) in
            [(None, &["copy 2 tags"][..]), (Some("1.1"), &["copy 2 tags"]), (Some("0.9"), &[])]
        {
            let jobs = of(DEFAULT_KIND, std::slice::from_ref(&job), tag);
            let containers = jobs.into_iter().flat_map(|(_, containers)| containers);
            let named: Vec<String> = containers.map(|it| format!("{} {}", it.name, it.works_on)).collect();
            assert_eq!(named, expected, "{tag:?}");
        }
    }

    #[test]
    fn a_build_is_all_its_platforms_each_with_its_last_try() {
        let job = |name: &str, number: u64, platform: &str| -> Job {
            let part = json!({ "number": number, "platform": platform, "attempt": 1 }).to_string();
            serde_json::from_value(json!({ "metadata": { "name": name,
                "annotations": { "imgop.skopeo.io/build": part } } }))
            .unwrap()
        };
        let jobs = [
            job("amd-2", 7, "linux/amd64"),
            job("arm-1", 7, "linux/arm64"),
            job("amd-1", 7, "linux/amd64"),
            job("old", 6, "linux/amd64"),
        ];
        let named = |wanted: Wanted| -> Vec<String> {
            let runs = runs(Erased::<ImageBuilder>::REF, &jobs, &wanted);
            let first = |run: &Run| run.first().map(|(job, containers)| (job.name_any(), containers.len()));
            runs.iter().filter_map(first).map(|(name, containers)| format!("{name} {containers}")).collect()
        };
        assert_eq!(named(Wanted::default()), ["amd-2 3", "arm-1 3"]);
        let arm = Wanted { works_on: Some("linux/arm64".to_owned()), ..Wanted::default() };
        assert_eq!(named(arm), ["arm-1 3"]);
        assert_eq!(named(Wanted { run: Some(6), ..Wanted::default() }), ["old 3"]);
        assert!(named(Wanted { run: Some(5), ..Wanted::default() }).is_empty());
    }
}
