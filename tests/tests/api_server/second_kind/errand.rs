//! `Errand`: a small kind that exists only in these tests, and all that a kind needs to be run by the agent's
//! controller. It asks for a number of Jobs, which need a login.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use imgop_agent::cluster::Freshness;
use imgop_agent::cluster::api_error::ApiError;
use imgop_agent::cluster::owner::Owner;
use imgop_agent::cluster::status::WithConditions;
use imgop_agent::cluster::watch::Keep;
use imgop_agent::controller::{Failure, PassResult, Reconcile, Report};
use imgop_agent::jobs::budget::Granted;
use imgop_agent::jobs::report::{ContainerState, JobReport};
use imgop_agent::jobs::template::{JobOptions, JobTemplate, PodNeeds, container};
use imgop_agent::{Agent, OfKinds};
use imgop_core::api::conditions::{NewCondition, READY, STALLED, merge, reasons};
use imgop_core::api::{DOCKER_CONFIG_KEY, Resources};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The annotation of a Job that holds the number of its step.
const STEP: &str = "test.imgop.io/step";
/// What errands bring of their own: what they read of their Jobs.
pub const OF_KINDS: OfKinds = OfKinds { job_annotations: &[STEP], job_cap: |_| None };
/// How often an Errand is reconciled that nothing wakes.
const INTERVAL: Duration = Duration::from_secs(1);

/// So many steps are to be run, each once.
#[derive(Debug, Clone, PartialEq, Eq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(group = "test.imgop.io", version = "v1", kind = "Errand", namespaced, status = "ErrandStatus")]
pub struct ErrandSpec {
    /// The number of steps.
    pub steps: u32,
    /// The Secret with the login.
    pub secret: String,
    /// No step is begun while this is set.
    #[serde(default)]
    pub suspend: bool,
}

/// How an Errand stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrandStatus {
    /// The steps that are done. It is the only durable memory.
    #[serde(default)]
    pub done: Vec<u32>,
    /// Whether it is ready.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

impl WithConditions for ErrandStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// The kind.
pub struct Errands(pub Arc<Agent>);

impl Reconcile for Errands {
    type Kind = Errand;
    type Status = ErrandStatus;
    type Memory = ();

    const KEEP: Keep = Keep::OBJECT;

    fn agent(&self) -> &Arc<Agent> {
        &self.0
    }

    fn status(errand: &Errand) -> Option<&ErrandStatus> {
        errand.status.as_ref()
    }

    async fn pass(
        &self,
        errand: &Errand,
        (): &mut (),
        now: Timestamp,
    ) -> Result<PassResult<ErrandStatus>, ApiError> {
        let owner = Owner::of(errand);
        let jobs = self.0.jobs.of_owner(&owner, now);
        let done = done(errand, &jobs);
        let (ready, reason, message) = if errand.spec.suspend {
            (None, reasons::SUSPENDED, "spec.suspend is set".to_owned())
        } else if let Some(problem) = self.login_problem(errand, &owner).await? {
            (Some(false), reasons::SECRET_UNUSABLE, problem)
        } else {
            self.run_steps(errand, &owner, &jobs, &done, now).await
        };
        let condition = NewCondition { type_: READY, status: ready, reason, message };
        let old = errand.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let conditions = merge(old, vec![condition], errand.metadata.generation, now);
        let report = Report {
            status: ErrandStatus { done, conditions },
            completed: None,
            names: Vec::new(),
            is_progress: false,
        };
        Ok(PassResult { report: Some(report), next: Some(INTERVAL), has_looked: true })
    }

    fn stalled(old: Option<&ErrandStatus>, failure: Failure<'_>, now: Timestamp) -> ErrandStatus {
        let old = old.cloned().unwrap_or_default();
        let condition = |type_, status| {
            let (reason, message) = (failure.reason, failure.message.to_owned());
            NewCondition { type_, status: Some(status), reason, message }
        };
        let new = vec![condition(READY, false), condition(STALLED, true)];
        let conditions = merge(&old.conditions, new, failure.generation, now);
        ErrandStatus { conditions, ..old }
    }
}

impl Errands {
    /// Returns what is wrong with the login.
    async fn login_problem(&self, errand: &Errand, owner: &Owner) -> Result<Option<String>, ApiError> {
        match self.0.secrets.get(&owner.namespace, &errand.spec.secret, Freshness::Now).await {
            Ok(secret) if secret.value(DOCKER_CONFIG_KEY).is_some() => Ok(None),
            Ok(_) => Ok(Some("the Secret holds no login".to_owned())),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    /// Creates as many Jobs as the budget allows for the steps that have none. Returns status, reason and
    /// message of the condition.
    async fn run_steps(
        &self,
        errand: &Errand,
        owner: &Owner,
        jobs: &[JobReport],
        done: &[u32],
        now: Timestamp,
    ) -> (Option<bool>, &'static str, String) {
        let has_job = |step: &u32| jobs.iter().any(|job| step_of(job) == Some(*step));
        let missing: Vec<u32> =
            (0..errand.spec.steps).filter(|step| !done.contains(step) && !has_job(step)).collect();
        let Granted { places, full } = self.0.jobs.take(owner, missing.len(), now);
        for (step, place) in missing.into_iter().zip(places) {
            if let Err(error) = self.0.jobs.create(owner, &job(owner, step), place).await {
                return (Some(false), reasons::JOB_REFUSED, error.to_string());
            }
        }
        let progress = format!("{} of {} steps are done", done.len(), errand.spec.steps);
        match full {
            Some(full) => (Some(false), reasons::PROGRESSING, format!("{progress}; {full}")),
            None if done.len() < errand.spec.steps as usize => (Some(false), reasons::PROGRESSING, progress),
            None => (Some(true), reasons::SUCCEEDED, progress),
        }
    }
}

/// Returns the steps that are done: by the status, and by Jobs that have ended well.
fn done(errand: &Errand, jobs: &[JobReport]) -> Vec<u32> {
    let before = errand.status.iter().flat_map(|status| status.done.iter().copied());
    let completed =
        jobs.iter().filter(|job| matches!(job.container("step"), ContainerState::Completed { .. }));
    let mut done: Vec<u32> = before.chain(completed.filter_map(step_of)).collect();
    done.sort_unstable();
    done.dedup();
    done
}

fn step_of(job: &JobReport) -> Option<u32> {
    job.annotations.get(STEP)?.parse().ok()
}

fn job(owner: &Owner, step: u32) -> k8s_openapi::api::batch::v1::Job {
    let step_container = container(
        "step".to_owned(),
        "step:1".to_owned(),
        "/step",
        vec![step.to_string()],
        &[],
        &Resources::default(),
    );
    JobTemplate {
        owner,
        app: "imgop-errand",
        identity: format!("step {step}"),
        annotations: BTreeMap::from([(STEP.to_owned(), step.to_string())]),
        init_containers: Vec::new(),
        containers: vec![step_container],
        volumes: Vec::new(),
        deadline_seconds: 3600,
        ttl_seconds: Some(3600),
        pod: PodNeeds::default(),
        options: JobOptions::default(),
    }
    .build()
}
