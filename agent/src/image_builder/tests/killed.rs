//! Builds whose agent is killed at each of its writes. The API server and the registry are fakes that store what is
//! written; the test is what Kubernetes does with Jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser as _;
use imgop_core::api::{Architecture, BuildResult, ImageBuilder, ImageBuilderStatus, Tls, TlsMode};
use imgop_core::build::step::{PushedImage, StepReport};
use imgop_fakes::{Kill, StoringApiServer, WritableRegistry, Writes};
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::stage::record_of;
use super::{fixtures, pods};
use crate::OF_KINDS;
use crate::agent::Agent;
use crate::config::Config;
use crate::controller::Objects;
use crate::controller::testing::Passes;
use crate::image_builder::ImageBuilders;
use crate::metrics::Metrics;

const BUILDER: &str = "/apis/buildah.io/v1alpha1/namespaces/team-a/imagebuilders/app";
const JOBS: &str = "/apis/batch/v1/namespaces/team-a/jobs";
const SECRETS: &str = "/api/v1/namespaces/team-a/secrets";
const PODS: &str = "/api/v1/namespaces/team-a/pods";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/team-a/events";
/// The time from one pass to the next, if none is due before: a status that only says how far a build has come is
/// written then.
const PACE: Duration = Duration::from_secs(6);
/// An object whose next pass is as far away as this is at rest.
const REST: Duration = Duration::from_hours(1);
/// More passes than any of the builds needs.
const MAX_PASSES: usize = 100;

/// The build whose writes are counted.
#[derive(Debug, Clone, Copy)]
enum Scenario {
    /// The first one.
    First,
    /// One for a new spec and a new Secret, after another one that has succeeded.
    AfterAnother,
    /// The same, which replaces one that runs.
    ReplacesAnother,
}

impl Scenario {
    /// The number of the build.
    fn build(self) -> u64 {
        match self {
            Self::First => 1,
            Self::AfterAnother | Self::ReplacesAnother => 2,
        }
    }

    /// Some of its writes, so that none of these kinds is missed. Each write is a moment of the test, whatever it is.
    fn writes(self) -> Vec<String> {
        let manifests =
            ["app/manifests/sha256:", "app/manifests/v1", "app/manifests/latest", "copy/manifests/v1"];
        let mut writes = manifests.map(|path| format!("PUT /v2/{path}")).to_vec();
        writes.extend([format!("POST {JOBS}"), format!("PATCH {BUILDER}/status"), format!("POST {EVENTS}")]);
        writes.extend(match self {
            Self::First => vec![format!("POST {SECRETS}")],
            Self::AfterAnother | Self::ReplacesAnother => {
                vec![format!("DELETE {JOBS}/"), format!("PUT {SECRETS}/")]
            }
        });
        writes
    }
}

/// What must not depend on the moment at which the agent was killed.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Without times.
    status: Value,
    /// The paths of Jobs and Secrets that were created, in order of name: twice what was created twice.
    created: Vec<String>,
    /// The Jobs and Secrets that are there.
    left: Vec<String>,
    /// What was put under each tag.
    tags: BTreeMap<String, Vec<Digest>>,
    /// What was put by digest.
    contents: BTreeSet<String>,
}

/// The registry of all runs of a test: its address is in what they come to.
struct Place {
    registry: WritableRegistry,
    writes: Writes,
}

/// An agent, and all that it talks to.
struct World<'a> {
    api: StoringApiServer,
    registry: &'a WritableRegistry,
    writes: &'a Writes,
    agent: Passes<ImageBuilders>,
    now: Timestamp,
}

impl<'a> World<'a> {
    /// An ImageBuilder of two platforms and three tags, one of them in another repository, that pulls with two Secrets.
    fn new(Place { registry, writes }: &'a Place) -> Self {
        registry.clear();
        writes.begin(None);
        let api = StoringApiServer::new(writes.clone());
        let host = format!("127.0.0.1:{}", registry.address.port());
        let builder = fixtures::builder(|spec| {
            spec.architecture = Some(Architecture::Both);
            spec.image.name = format!("{host}/app");
            spec.image.additional_tags = vec!["latest".into(), format!("{host}/copy:v1")];
            spec.image.tls = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
            spec.registries = serde_json::from_value(json!([
                { "host": host, "tls": { "mode": "PlainHTTP" }, "credentials": { "secretName": "here" } },
                { "host": "registry.example.com", "credentials": { "secretName": "there" } },
            ]))
            .unwrap();
            spec.successful_builds_history_limit = 1;
        });
        api.put(BUILDER, serde_json::to_value(builder).unwrap());
        let now = fixtures::now();
        let agent = agent(&api, now);
        let world = Self { api, registry, writes, agent, now };
        world.hold_credentials("here", &host, "1");
        world.hold_credentials("there", "registry.example.com", "1");
        world
    }

    /// Runs a build to its end, with the agent killed once, if at all. Returns what comes of it, and its writes.
    /// `meanwhile` says whether the Jobs of the build end before the next
    /// agent starts.
    async fn run(
        place: &'a Place,
        scenario: Scenario,
        kill: Option<Kill>,
        meanwhile: bool,
    ) -> (Self, Vec<String>) {
        let mut world = Self::new(place);
        world.prepare(scenario).await;
        world.start(kill);
        let mut writes = world.until_rest().await;
        if kill.is_some() {
            assert!(writes.is_none(), "{scenario:?}: it was not killed");
            while meanwhile && world.end_a_job(scenario.build()) {}
            world.start(None);
            writes = world.until_rest().await;
        }
        (world, writes.unwrap())
    }

    async fn prepare(&mut self, scenario: Scenario) {
        match scenario {
            Scenario::First => return,
            Scenario::AfterAnother => _ = self.until_rest().await.unwrap(),
            Scenario::ReplacesAnother => {
                while self.pass().await.unwrap().1 > 0 {}
                assert!(self.end_a_job(1));
                while self.pass().await.unwrap().1 > 0 {}
                assert_eq!(self.api.list(JOBS).len(), 2);
            }
        }
        self.api.change(BUILDER, |builder| {
            builder["spec"]["source"] = "FROM scratch\nLABEL a=c\n".into();
            builder["metadata"]["generation"] = 2.into();
        });
        self.hold_credentials("there", "registry.example.com", "2");
    }

    /// An agent starts that remembers nothing.
    fn start(&mut self, kill: Option<Kill>) {
        self.writes.begin(kill);
        self.agent = agent(&self.api, self.now);
    }

    /// Makes passes, and lets Jobs end one after the other, until nothing is due. Returns the agent's writes; none if
    /// it was killed.
    async fn until_rest(&mut self) -> Option<Vec<String>> {
        for _ in 0..MAX_PASSES {
            let (next, wrote) = self.pass().await?;
            if wrote > 0 || self.end_a_job(1) {
                continue;
            }
            match next {
                Some(next) if next < REST => self.now += next.saturating_sub(PACE),
                _ => return Some(self.writes.lines()),
            }
        }
        panic!("it is not at rest: {:#}", self.status());
    }

    /// Makes a pass. Returns after what time the next one is due, and how many writes this one made; none if the agent
    /// was killed.
    async fn pass(&mut self) -> Option<(Option<Duration>, usize)> {
        self.now += PACE;
        self.api.set_time(self.now);
        let jobs: Vec<Job> =
            self.objects(JOBS).into_iter().map(|job| serde_json::from_value(job).unwrap()).collect();
        self.agent.kind().agent.jobs.list(&jobs, &self.objects(PODS));
        let builder: ImageBuilder = serde_json::from_value(self.api.get(BUILDER).unwrap()).unwrap();
        let before = self.writes.lines().len();
        let next = tokio::select! {
            biased;
            () = self.writes.killed() => return None,
            next = Box::pin(self.agent.pass(&builder, self.now)) => next.unwrap(),
        };
        Some((next, self.writes.lines().len() - before))
    }

    /// The first Job of this build or a later one ends that has not, if there is one: it has pushed its image.
    fn end_a_job(&self, build: u64) -> bool {
        let runs = |(path, object): (String, Value)| {
            let job: Job = serde_json::from_value(object.clone()).unwrap();
            let record = record_of(&job);
            (record.number >= build && object["status"]["conditions"].is_null())
                .then_some((path, job, record))
        };
        let Some((path, job, record)) = self.api.list(JOBS).into_iter().find_map(runs) else { return false };
        let (name, uid) = (&job.metadata.name.unwrap(), &job.metadata.uid.unwrap());
        let platform = record.platform.to_string();
        let digest = pods::push(self.registry, "app", &platform, name);
        let pushed = StepReport { image: Some(PushedImage { digest, size: 7 }), ..StepReport::default() };
        let well = StepReport::default();
        let containers = [(0, &well), (0, &well), (0, &pushed)];
        let how = Some("Complete");
        self.api.put(&format!("{PODS}/{name}"), pods::ended((name, name, uid), how, containers, self.now));
        self.api.change(&path, |job| job["status"] = pods::job_status(how, self.now));
        true
    }

    fn hold_credentials(&self, name: &str, host: &str, password: &str) {
        let auth = STANDARD.encode(format!("u:{password}"));
        let config = STANDARD.encode(json!({ "auths": { host: { "auth": auth } } }).to_string());
        let secret = json!({ "metadata": { "name": name }, "data": { ".dockerconfigjson": config } });
        self.api.put(&format!("{SECRETS}/{name}"), secret);
    }

    fn objects(&self, collection: &str) -> Vec<Value> {
        self.api.list(collection).into_iter().map(|(_, object)| object).collect()
    }

    fn status(&self) -> Value {
        self.api.get(BUILDER).unwrap()["status"].clone()
    }

    fn outcome(&self) -> Outcome {
        let mut status = self.status();
        remove_times(&mut status);
        let mut created = self.api.created();
        created.retain(|path| !path.starts_with(EVENTS));
        created.sort_unstable();
        let left = [JOBS, SECRETS].iter().flat_map(|of| self.api.list(of)).map(|(path, _)| path).collect();
        let (mut tags, mut contents) = (BTreeMap::<_, Vec<Digest>>::new(), BTreeSet::new());
        for (path, digest) in self.registry.puts() {
            if path.ends_with(digest.as_str()) {
                contents.insert(path);
            } else {
                tags.entry(path).or_default().push(digest);
            }
        }
        Outcome { status, created, left, tags, contents }
    }

    /// The reasons and notes of all events, in order of text.
    fn events(&self) -> Vec<String> {
        let text = |event: Value| format!("{}: {}", event["reason"], event["note"]);
        let mut events: Vec<String> = self.objects(EVENTS).into_iter().map(text).collect();
        events.sort_unstable();
        events
    }
}

/// An agent that starts now.
fn agent(api: &StoringApiServer, now: Timestamp) -> Passes<ImageBuilders> {
    let config = Config::parse_from(["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1"]);
    let mut agent = Agent::new(api.client(), config, Metrics::new(), OF_KINDS);
    agent.started = now;
    Passes::new(ImageBuilders::new(Arc::new(agent), Objects::new([]), Objects::new([])))
}

fn remove_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_time =
                |key: &str| key.ends_with("Time") || ["builtAt", "duration", "startedAt"].contains(&key);
            fields.retain(|key, _| !is_time(key));
            fields.values_mut().for_each(remove_times);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_times),
        _ => {}
    }
}

/// Kills the agent at each write of a build, before and after the server does it.
async fn kill_at_each_write(scenario: Scenario) {
    let writes = Writes::default();
    let place = Place { registry: WritableRegistry::start_for(writes.clone()).await, writes };
    let (undisturbed, writes) = World::run(&place, scenario, None, false).await;
    let (wanted, events) = (undisturbed.outcome(), undisturbed.events());
    for wanted in scenario.writes() {
        assert!(
            writes.iter().any(|line| line.starts_with(&wanted)),
            "{scenario:?}: no {wanted} in {writes:#?}"
        );
    }
    let status: ImageBuilderStatus = serde_json::from_value(undisturbed.status()).unwrap();
    assert_eq!(status.history.last().map(|build| build.result), Some(BuildResult::Succeeded), "{status:?}");
    for (write, line) in (1..).zip(&writes) {
        for (is_done, meanwhile) in [(false, false), (true, false), (false, true), (true, true)] {
            let (world, _) = World::run(&place, scenario, Some(Kill { write, is_done }), meanwhile).await;
            let when = format!(
                "{scenario:?}: killed at write {write}, {line} (done: {is_done}, Jobs end: {meanwhile})"
            );
            assert_eq!(world.outcome(), wanted, "{when}");
            let mut left = events.clone();
            for event in world.events() {
                let place = left.iter().position(|wanted| *wanted == event);
                left.remove(place.unwrap_or_else(|| panic!("{when}: {event} is one too many")));
            }
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_write_of_a_build_loses_and_repeats_nothing() {
    kill_at_each_write(Scenario::First).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_write_of_a_rebuild_loses_and_repeats_nothing() {
    kill_at_each_write(Scenario::AfterAnother).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_write_of_a_build_that_replaces_one_loses_and_repeats_nothing() {
    kill_at_each_write(Scenario::ReplacesAnother).await;
}
