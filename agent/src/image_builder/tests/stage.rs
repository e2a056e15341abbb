//! What tests of whole passes run on: an agent, a fake API server, and a fake registry.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser as _;
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{
    BUILD_ANNOTATION, BuildReason, ImageBuilder, ImageBuilderSpec, ImageBuilderStatus, Tls, TlsMode,
};
use imgop_core::build::step::{PushedImage, PushedLayers, StepReport};
use imgop_core::build::{BuildFailure, PartRecord};
use imgop_fakes::{ApiServer, WritableRegistry};
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::{fixtures, pods};
use crate::OF_KINDS;
use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::secrets::Secrets;
use crate::config::Config;
use crate::controller::{Objects, PassResult, Reconcile as _};
use crate::image_builder::ImageBuilders;
use crate::image_builder::memory::Memory;
use crate::jobs::report::JobReport;
use crate::jobs::testing::report_of;
use crate::metrics::Metrics;

/// An agent with one ImageBuilder, and all that it talks to.
pub struct Stage {
    pub builders: ImageBuilders,
    pub builder: ImageBuilder,
    pub api: ApiServer,
    pub registry: WritableRegistry,
    pub memory: Memory,
    pub now: Timestamp,
    /// Whether the API server has the object as the watch shows it.
    pub is_live: bool,
    /// When the next pass is; none waits for a change.
    pub next: Option<Duration>,
    version: u32,
}

impl Stage {
    /// An ImageBuilder that was never reconciled. Its image and its base images are at one plain registry.
    pub async fn new(edit: impl FnOnce(&mut ImageBuilderSpec, &str)) -> Self {
        Self::with_settings(&[], edit).await
    }

    /// The same, with these settings of the agent.
    pub async fn with_settings(settings: &[&str], edit: impl FnOnce(&mut ImageBuilderSpec, &str)) -> Self {
        Self::with_agent(settings, |agent| agent, edit).await
    }

    /// The same, with these settings of the agent, which is changed like this.
    pub async fn with_agent(
        settings: &[&str],
        change: impl FnOnce(Agent) -> Agent,
        edit: impl FnOnce(&mut ImageBuilderSpec, &str),
    ) -> Self {
        let (api, registry) = (ApiServer::default(), WritableRegistry::start().await);
        let host = format!("127.0.0.1:{}", registry.address.port());
        let mut builder = fixtures::builder(|spec| {
            spec.image.name = format!("{host}/app");
            spec.image.tls = Some(Tls { mode: TlsMode::PlainHttp, ca_secret_name: None });
            spec.registries =
                serde_json::from_value(json!([{ "host": host, "tls": { "mode": "PlainHTTP" } }])).unwrap();
            edit(spec, &host);
        });
        builder.metadata.resource_version = Some("0".into());
        let plain =
            ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1", "--registry-loopback=true"];
        let config = Config::parse_from(plain.iter().chain(settings));
        let mut agent = change(Agent::new(api.client(), config, Metrics::new(), OF_KINDS));
        agent.started = fixtures::now() - Duration::from_hours(1);
        agent.jobs.are_listed();
        agent.policies.show(&[]);
        let builders = ImageBuilders::new(Arc::new(agent), Objects::new([]), Objects::new([]));
        let (memory, now) = (Memory::default(), fixtures::now());
        let next = None;
        Self { builders, builder, api, registry, memory, now, is_live: true, next, version: 0 }
    }

    /// Returns a build of amd64 whose Job is created.
    pub async fn running() -> Self {
        let mut stage = Self::new(|_, _| ()).await;
        stage.passes(2).await;
        stage
    }

    /// Returns a build of amd64 that has succeeded.
    pub async fn succeeded() -> Self {
        let mut stage = Self::running().await;
        stage.succeeds().await;
        stage
    }

    /// The first created Job, of amd64, ends well, and so does the build.
    pub async fn succeeds(&mut self) {
        let digest = self.pushed("linux/amd64", "1");
        self.end_well(0, &digest);
        self.pass().await;
        assert_eq!(self.ready().0, "Succeeded", "{}", self.ready().1);
    }

    /// One pass, a second after the last one. The watch shows what it reports.
    pub async fn pass(&mut self) -> ImageBuilderStatus {
        let result = self.try_pass().await.unwrap();
        self.next = result.next;
        if let Some(report) = result.report {
            self.builders.reported(&self.builder, &report, self.now);
            self.builder.status = Some(report.status);
            self.version += 1;
            self.builder.metadata.resource_version = Some(self.version.to_string());
        }
        self.builder.status.clone().unwrap_or_default()
    }

    /// One pass, which may fail; what it reports is not shown.
    pub async fn try_pass(&mut self) -> Result<PassResult<ImageBuilderStatus>, ApiError> {
        self.now += Duration::from_secs(1);
        if self.is_live {
            self.api.hold_list("imagebuilders", vec![serde_json::to_value(&self.builder).unwrap()]);
        }
        Box::pin(self.builders.pass(&self.builder, &mut self.memory, self.now)).await
    }

    /// The agent is another process now, which remembers nothing.
    pub fn restart(&mut self) {
        self.memory = Memory::default();
        let client = self.api.client();
        Arc::get_mut(&mut self.builders.agent).unwrap().secrets = Secrets::new(client);
    }

    /// Makes this number of passes.
    pub async fn passes(&mut self, number: usize) -> ImageBuilderStatus {
        for _ in 1..number {
            self.pass().await;
        }
        self.pass().await
    }

    /// Changes the spec.
    pub fn edit(&mut self, edit: impl FnOnce(&mut ImageBuilderSpec)) {
        edit(&mut self.builder.spec);
        let generation = self.builder.metadata.generation.get_or_insert_default();
        *generation += 1;
    }

    /// Sets an annotation.
    pub fn annotate(&mut self, name: &str, value: &str) {
        let annotations = self.builder.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), value.to_owned());
    }

    /// Returns the reason and the message of the condition Ready.
    pub fn ready(&self) -> (String, String) {
        let status = self.builder.status.clone().unwrap_or_default();
        find(&status.conditions, READY).map(|ready| (ready.reason.clone(), ready.message.clone())).unwrap()
    }

    /// Returns the Jobs that were created, in order.
    pub fn jobs(&self) -> Vec<Job> {
        let bodies = self
            .api
            .bodies("POST")
            .into_iter()
            .filter(|body| body["kind"] == "Job" || body["spec"]["template"].is_object());
        bodies.map(|body| serde_json::from_value(body).unwrap()).collect()
    }

    /// Returns which part each created Job is: `7 linux/amd64 1`.
    pub fn parts(&self) -> Vec<String> {
        self.jobs()
            .iter()
            .map(record_of)
            .map(|r| format!("{} {} {}", r.number, r.platform, r.attempt))
            .collect()
    }

    /// A Secret of type dockerconfigjson is there, with credentials of this user for these scopes.
    pub fn hold_docker_config(&self, name: &str, scopes: &[&str], user: &str) {
        let encode = |text: String| STANDARD.encode(text);
        let auth = |scope: &&str| ((*scope).to_owned(), json!({ "auth": encode(format!("{user}:p")) }));
        let auths: serde_json::Map<String, Value> = scopes.iter().map(auth).collect();
        let config = encode(json!({ "auths": auths }).to_string());
        let secret = json!({ "metadata": { "name": name }, "data": { ".dockerconfigjson": config } });
        self.api.hold(&format!("/api/v1/namespaces/team-a/secrets/{name}"), secret);
    }

    /// Returns the credentials that the agent wrote into a Secret.
    pub fn written_docker_config(&self) -> Value {
        let bodies = ["POST", "PATCH", "PUT"].map(|method| self.api.bodies(method)).concat();
        let written = bodies.iter().find_map(|body| body["data"][".dockerconfigjson"].as_str()).unwrap();
        serde_json::from_slice(&STANDARD.decode(written).unwrap()).unwrap()
    }

    /// A manifest of this platform is at the registry, as `push` would have put it. Returns its digest.
    pub fn pushed(&self, platform: &str, content: &str) -> Digest {
        self.pushed_to("app", platform, content)
    }

    /// The same in this repository.
    pub fn pushed_to(&self, repository: &str, platform: &str, content: &str) -> Digest {
        pods::push(&self.registry, repository, platform, content)
    }

    /// The nth created Job ends well, having pushed this manifest.
    pub fn end_well(&self, nth: usize, digest: &Digest) {
        let image = Some(PushedImage { digest: digest.clone(), size: 7 });
        let pushed = StepReport { image, ..StepReport::default() };
        let well = StepReport::default();
        self.end(nth, Some("Complete"), [(0, &well), (0, &well), (0, &pushed)]);
    }

    /// The same, with what its layers are.
    pub fn end_well_with(&self, nth: usize, digest: &Digest, layers: PushedLayers) {
        let image = Some(PushedImage { digest: digest.clone(), size: 7 });
        let of_cache = PushedLayers { cached: layers.cached, ..PushedLayers::default() };
        let built = StepReport { layers: of_cache, ..StepReport::default() };
        let layers = PushedLayers { cached: 0, ..layers };
        let pushed = StepReport { image, layers, ..StepReport::default() };
        self.end(nth, Some("Complete"), [(0, &StepReport::default()), (0, &built), (0, &pushed)]);
    }

    /// The same, with what its `prepare` reports.
    pub fn end_well_after(&self, nth: usize, digest: &Digest, prepared: &StepReport) {
        let image = Some(PushedImage { digest: digest.clone(), size: 7 });
        let pushed = StepReport { image, ..StepReport::default() };
        self.end(nth, Some("Complete"), [(0, prepared), (0, &StepReport::default()), (0, &pushed)]);
    }

    /// The containers of the nth created Job end well, and one that something else added to its pod goes on.
    pub fn end_well_beside_another(&self, nth: usize, digest: &Digest) {
        let image = Some(PushedImage { digest: digest.clone(), size: 7 });
        let pushed = StepReport { image, ..StepReport::default() };
        let well = StepReport::default();
        self.end(nth, None, [(0, &well), (0, &well), (0, &pushed)]);
    }

    /// The pod of the nth created Job waits for its image, for longer than it may.
    pub fn does_not_start(&mut self, nth: usize) {
        let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "denied" } });
        self.shows_pod(
            nth,
            &json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "prepare", "state": waiting }] }),
        );
        self.now += Duration::from_mins(2);
    }

    /// The pod of the nth created Job has no node, for longer than it takes to get one.
    pub fn waits_for_node(&mut self, nth: usize) {
        let unscheduled = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" });
        self.shows_pod(nth, &json!({ "phase": "Pending", "conditions": [unscheduled] }));
        self.now += Duration::from_mins(2);
    }

    /// The node of the pod of the nth created Job does not answer any more.
    pub fn loses_node(&mut self, nth: usize) {
        let running = json!({ "running": { "startedAt": self.now } });
        let pod =
            json!({ "phase": "Running", "initContainerStatuses": [{ "name": "prepare", "state": running }] });
        self.shows_pod(nth, &pod);
        self.now += Duration::from_mins(5);
    }

    /// The nth created Job runs, and its pod, which is to end at once, has this status.
    fn shows_pod(&self, nth: usize, status: &Value) {
        let (job, uid) = self.shown(nth, &json!({ "active": 1, "startTime": self.now }));
        let is_lost = status["phase"] == "Running";
        self.builders.agent.jobs.show_pod(&json!({
            "metadata": { "name": format!("pod-{nth}"), "namespace": "team-a", "creationTimestamp": self.now,
                "deletionTimestamp": is_lost.then_some(self.now),
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "controller": true, "uid": uid, "name": job }] },
            "status": status,
        }));
    }

    /// Returns how many Jobs were deleted.
    pub fn deleted(&self) -> usize {
        let is_deletion = |line: &&String| line.starts_with("DELETE") && line.contains("/jobs/");
        self.api.requests().iter().filter(is_deletion).count()
    }

    /// The nth created Job runs, and its annotation has this key.
    pub fn is_of_key(&self, nth: usize, key: &str) {
        let mut job = self.jobs()[nth].clone();
        let record = PartRecord { key: key.to_owned(), ..record_of(&job) };
        let annotations = job.metadata.annotations.get_or_insert_default();
        annotations.insert(BUILD_ANNOTATION.to_owned(), serde_json::to_string(&record).unwrap());
        self.builders.agent.jobs.is_gone(&self.jobs()[nth]);
        self.builders.agent.jobs.show(&job);
    }

    /// The nth created Job is deleted.
    pub fn vanishes(&self, nth: usize) {
        self.builders.agent.jobs.is_gone(&self.jobs()[nth]);
    }

    /// Shows the nth created Job with this status. Returns its name and its UID.
    fn shown(&self, nth: usize, status: &Value) -> (Option<String>, String) {
        let mut job = self.jobs()[nth].clone();
        let uid = format!("uid-of-{nth}");
        job.metadata.uid = Some(uid.clone());
        job.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now));
        job.status = Some(serde_json::from_value(status.clone()).unwrap());
        self.builders.agent.jobs.is_gone(&job);
        self.builders.agent.jobs.show(&job);
        (job.metadata.name, uid)
    }

    /// The nth created Job fails in the container that builds.
    pub fn end_badly(&self, nth: usize, reason: BuildFailure) {
        let failure = imgop_core::build::step::StepFailure {
            reason,
            message: "it failed".into(),
            step: None,
            exit_code: None,
            last_lines: Vec::new(),
        };
        let failed = StepReport { failure: Some(failure), ..StepReport::default() };
        let well = StepReport::default();
        self.end(nth, Some("Failed"), [(0, &well), (1, &failed), (1, &well)]);
    }

    /// The containers of the nth created Job have ended so. Without `how` the Job goes on, as something else runs in its
    /// pod.
    fn end(&self, nth: usize, how: Option<&str>, containers: [(i32, &StepReport); 3]) {
        let (name, uid) = self.shown(nth, &pods::job_status(how, self.now));
        self.builders.agent.jobs.show_pod(&pods::ended(
            (&format!("pod-{nth}"), name.as_deref().unwrap(), &uid),
            how,
            containers,
            self.now,
        ));
    }
}

pub fn record_of(job: &Job) -> PartRecord {
    serde_json::from_str(&job.metadata.annotations.as_ref().unwrap()[BUILD_ANNOTATION]).unwrap()
}

/// Returns the report of a Job of a build, which has ended or not.
pub fn job_of_build(number: u64, has_ended: bool, now: Timestamp) -> JobReport {
    let record = PartRecord {
        number,
        reason: BuildReason::Created,
        key: String::new(),
        platform: "linux/amd64".parse().unwrap(),
        attempt: 1,
        emulated: false,
    };
    let complete = json!({ "type": "Complete", "status": "True", "lastTransitionTime": now });
    let conditions: Value = if has_ended { json!([complete]) } else { json!([]) };
    let job = json!({
        "metadata": {
            "name": format!("build-{number}"), "namespace": "team-a", "uid": format!("job-{number}"),
            "creationTimestamp": now,
            "annotations": { BUILD_ANNOTATION: serde_json::to_string(&record).unwrap() },
        },
        "spec": { "template": { "spec": {
            "initContainers": [{ "name": "prepare" }, { "name": "build" }], "containers": [{ "name": "push" }] } } },
        "status": { "conditions": conditions },
    });
    report_of(&job, &[], now)
}
