//! Charts are rendered by Jobs: the real Helm in the mirror's own namespace, without credentials, and after it a container
//! that reports the images of what it wrote. A chart is foreign code, and none of it runs in the agent.
//!
//! What a Job does is its name, and the version of its chart is exact: what it came to holds for ever.

use std::collections::{BTreeMap, HashMap};

use imgop_core::api::{ImageMirror, ImageMirrorSpec};
use imgop_core::sources::ChartRun;
use imgop_core::sources::charts::report::{IMAGES_OF, of_message};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use parking_lot::Mutex;

use super::super::Pass;
use super::Unknown;
use crate::cluster::api_error::printable;
use crate::cluster::owner::Owner;
use crate::config::Config;
use crate::jobs::refusals::Advice;
use crate::jobs::report::{ContainerEnd, ContainerState, JobReport};
use crate::jobs::template::{JobTemplate, PodNeeds, container};
use crate::jobs::{Created, JobError};
use crate::metrics::OfKind;

/// The containers.
const HELM: &str = "helm";
const IMAGES: &str = "images";
/// The program of the second one.
const STEP: &str = "imgop-step";
/// Where Helm writes to: the volume that both have.
const FOLDER: &str = "/tmp/charts";
/// Seconds that a Job may take, with pulling its images.
const DEADLINE_SECONDS: u32 = 300;
/// What is said where no administrator lets Helm run.
const NO_HELM: &str = "HelmUnavailable: templates are rendered only where an administrator has set HELM_IMAGE of the agent; \
                       imagesFrom: [Annotation, Values] needs no Helm";

/// What charts came to, by the names of their Jobs: YAML with the images, or why there is none.
#[derive(Debug, Default)]
pub(super) struct Rendered(HashMap<String, Result<String, String>>);

/// The charts of one look: what is known of them, and the Jobs that are wanted for the others.
pub(super) struct Charts<'a> {
    owner: &'a Owner,
    spec: &'a ImageMirrorSpec,
    config: &'a Config,
    known: &'a Rendered,
    jobs: Mutex<ChartJobs>,
}

#[derive(Default)]
struct ChartJobs {
    used: Vec<String>,
    wanted: Vec<Job>,
}

impl Rendered {
    /// Returns whether a Job has ended.
    pub fn knows(&self, job: &str) -> bool {
        self.0.contains_key(job)
    }

    /// Forgets Jobs that nothing asks for.
    pub fn retain(&mut self, is_used: impl Fn(&str) -> bool) {
        self.0.retain(|job, _| is_used(job));
    }

    fn take(&mut self, job: &JobReport) {
        if job.deleting_since.is_none()
            && !self.knows(&job.name)
            && let Some(outcome) = outcome(job)
        {
            self.0.insert(job.name.clone(), outcome);
        }
    }
}

impl Charts<'_> {
    /// Returns the images of a chart as YAML; nothing at first, where a Job has to find them.
    pub fn rendered(&self, run: &ChartRun) -> Result<String, String> {
        if self.config.version_sources.helm_image.is_empty() {
            return Err(NO_HELM.to_owned());
        }
        let job = job(self.owner, self.spec, run, self.config);
        let mut jobs = self.jobs.lock();
        jobs.used.push(job.name_any());
        if let Some(outcome) = self.known.0.get(&job.name_any()) {
            return outcome.clone();
        }
        jobs.wanted.push(job);
        Ok(String::new())
    }

    /// Returns the names of all Jobs that were asked for, and those that have not ended.
    pub fn into_jobs(self) -> (Vec<String>, Vec<Job>) {
        let ChartJobs { used, wanted } = self.jobs.into_inner();
        (used, wanted)
    }
}

impl Pass<'_> {
    pub(super) fn charts<'a>(&'a self, known: &'a Rendered) -> Charts<'a> {
        let (spec, config) = (&self.mirror.spec, &self.agent().config);
        Charts { owner: &self.owner, spec, config, known, jobs: Mutex::default() }
    }

    /// Reads what the Jobs of charts came to, and deletes those of which nothing more will come.
    pub(super) async fn chart_jobs(&self, rendered: &mut Rendered) -> Vec<JobReport> {
        let jobs = &self.agent().jobs;
        let mut reports = jobs.of_owner(&self.owner, self.now);
        jobs.explain(&mut reports, &Advice::RESTRICTED).await;
        for report in &reports {
            rendered.take(report);
            if report.is_to_be_deleted() && report.deleting_since.is_none() {
                self.delete_job(report).await;
            }
        }
        reports
    }

    /// Forgets Jobs that failed, so that they are made anew.
    pub(super) async fn forget_failed(&self, names: &[String], jobs: &[JobReport], rendered: &mut Rendered) {
        for name in names {
            if !matches!(rendered.0.get(name), Some(Err(_))) {
                continue;
            }
            rendered.0.remove(name);
            if let Some(job) = jobs.iter().find(|job| job.name == *name && job.deleting_since.is_none()) {
                self.delete_job(job).await;
            }
        }
    }

    /// Creates the Jobs that there are not yet, as many as the budget allows. The mirror is woken when there is room for more.
    pub(super) async fn create_jobs(&self, wanted: Vec<Job>, jobs: &[JobReport]) -> Result<(), Unknown> {
        let agent = self.agent();
        let is_there =
            |job: &Job| jobs.iter().any(|there| there.name == job.name_any() && !there.is_finished());
        let wanted: Vec<Job> = wanted.into_iter().filter(|job| !is_there(job)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let granted = agent.jobs.take(&self.owner, wanted.len(), self.now);
        for (job, place) in wanted.iter().zip(granted.places) {
            match agent.jobs.create(&self.owner, job, place).await {
                Ok(Created::New) => {
                    agent.metrics.jobs_created.get_or_create(&OfKind::of::<ImageMirror>()).inc();
                }
                Ok(Created::Adopted) | Err(JobError::StillDeleting(_)) => {}
                Err(error) => return Err(Unknown::because(error)),
            }
        }
        Ok(())
    }

    async fn delete_job(&self, job: &JobReport) {
        if let Err(error) = self.agent().jobs.delete(job).await {
            let (name, namespace) = (&job.name, &job.namespace);
            tracing::warn!(job = name, namespace, %error, "cannot delete the Job of a chart");
        }
    }
}

/// Returns the Job that renders a chart.
fn job(owner: &Owner, spec: &ImageMirrorSpec, run: &ChartRun, config: &Config) -> Job {
    let mut options = config.job_options(&spec.job_template);
    // A chart that fails does so again.
    (options.backoff_limit, options.deadline_seconds) = (0, None);
    let helm_image = &config.version_sources.helm_image;
    let arguments = run.template_arguments_into(FOLDER);
    let identity = format!("{helm_image}\n{}", arguments.join("\n"));
    // Kubernetes replaces `$(NAME)` and `$$` in arguments.
    let arguments = arguments.iter().map(|argument| argument.replace('$', "$$")).collect();
    let container_of = |name: &str, image: &str, program, arguments| {
        container(name.to_owned(), image.to_owned(), program, arguments, &[], &options.resources)
    };
    let helm = container_of(HELM, helm_image, "helm", arguments);
    let reading = vec![IMAGES_OF.to_owned(), FOLDER.to_owned()];
    let images = container_of(IMAGES, &config.builds.builder_image, STEP, reading);
    JobTemplate {
        owner,
        app: "imgop-chart",
        identity,
        annotations: BTreeMap::new(),
        init_containers: vec![helm],
        containers: vec![images],
        volumes: Vec::new(),
        deadline_seconds: DEADLINE_SECONDS,
        ttl_seconds: Some(config.job_deletion_delay_seconds),
        pod: PodNeeds::default(),
        options,
    }
    .build()
}

/// Returns what a Job came to; none while that is not known.
fn outcome(job: &JobReport) -> Option<Result<String, String>> {
    match (job.container(HELM), job.container(IMAGES)) {
        (ContainerState::Ended(end), _) if end.exit_code != 0 => Some(Err(said(HELM, &end))),
        (_, ContainerState::Ended(end)) if end.exit_code != 0 => Some(Err(said(IMAGES, &end))),
        (_, ContainerState::Ended(end)) => Some(of_message(&end.message).map_err(|error| error.to_string())),
        (_, ContainerState::Running | ContainerState::Completed { are_pods_known: false, .. }) => None,
        (_, ContainerState::NotStarted { message, .. }) => {
            Some(Err(format!("its Job does not start: {message}")))
        }
        (_, ContainerState::DeadlineExceeded { .. }) => {
            Some(Err(format!("its Job takes longer than {DEADLINE_SECONDS} seconds")))
        }
        (
            _,
            ContainerState::Completed { .. }
            | ContainerState::Interrupted { .. }
            | ContainerState::PodGone { .. },
        ) => Some(Err("the pod of its Job is gone, and with it what was found".to_owned())),
    }
}

/// Returns the last words of a container.
fn said(container: &str, end: &ContainerEnd) -> String {
    if end.reason == "OOMKilled" {
        return format!("{container}: it needs more memory than it may use (spec.jobTemplate.resources)");
    }
    let last = end.message.lines().rfind(|line| !line.trim().is_empty());
    match last {
        Some(line) => format!("{container}: {}", printable(line.trim().trim_start_matches("Error: "))),
        None => format!("{container}: it ended with code {}", end.exit_code),
    }
}
