//! An agent with one ImageBuilder on fakes that store what is written, an API server and a registry; the test is what
//! Kubernetes does with Jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser as _;
use imgop_core::api::{Architecture, ImageBuilder, Tls, TlsMode};
use imgop_core::build::step::{PushedImage, StepReport};
use imgop_fakes::{Interruption, Moment, StoringApiServer, WritableRegistry, Writes};
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

pub const BUILDER: &str = "/apis/buildah.io/v1alpha1/namespaces/team-a/imagebuilders/app";
pub const JOBS: &str = "/apis/batch/v1/namespaces/team-a/jobs";
pub const SECRETS: &str = "/api/v1/namespaces/team-a/secrets";
const PODS: &str = "/api/v1/namespaces/team-a/pods";
pub const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/team-a/events";
/// The time from one pass to the next, if none is due before: a status that only says how far a build has come is
/// written then.
const PACE: Duration = Duration::from_secs(6);
/// An object whose next pass is as far away as this is at rest.
const REST: Duration = Duration::from_hours(1);
/// More passes than any of the builds needs.
const MAX_PASSES: usize = 100;

/// What must not depend on the moment at which the agent was interrupted.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// Without times.
    pub status: Value,
    /// The paths of Jobs and Secrets that were created, in order of name: twice what was created twice.
    pub created: Vec<String>,
    /// The Jobs and Secrets that are there.
    pub left: Vec<String>,
    /// What was put under each tag.
    pub tags: BTreeMap<String, Vec<Digest>>,
    /// What was put by digest.
    pub contents: BTreeSet<String>,
}

/// The registry of all runs of a test: its address is in what they come to.
pub struct Place {
    registry: WritableRegistry,
    writes: Writes,
}

impl Place {
    /// Starts it.
    pub async fn start() -> Self {
        let writes = Writes::default();
        Self { registry: WritableRegistry::start_for(writes.clone()).await, writes }
    }
}

/// An agent, and all that it talks to.
pub struct World<'a> {
    pub api: StoringApiServer,
    registry: &'a WritableRegistry,
    pub writes: &'a Writes,
    now: Timestamp,
}

impl<'a> World<'a> {
    /// An ImageBuilder of two platforms and three tags, one of them in another repository, that pulls with two Secrets.
    pub fn new(Place { registry, writes }: &'a Place) -> Self {
        registry.clear();
        writes.begin(None);
        let api = StoringApiServer::new(writes.clone());
        let host = format!("127.0.0.1:{}", registry.address.port());
        let builder = fixtures::builder(|spec| {
            spec.architecture = Some(Architecture::Both);
            spec.image.name = format!("{host}/app");
            spec.image.additional_tags = vec!["latest".into(), format!("{host}/copy:v1")];
            spec.image.tls = Some(Tls { mode: TlsMode::PlainHttp, ca_secret_name: None });
            spec.registries = serde_json::from_value(json!([
                { "host": host, "tls": { "mode": "PlainHTTP" }, "credentials": { "secretName": "here" } },
                { "host": "registry.example.com", "credentials": { "secretName": "there" } },
            ]))
            .unwrap();
            spec.successful_builds_history_limit = 1;
        });
        api.put(BUILDER, serde_json::to_value(builder).unwrap());
        let world = Self { api, registry, writes, now: fixtures::now() };
        world.hold_credentials("here", &host, "1");
        world.hold_credentials("there", "registry.example.com", "1");
        world
    }

    /// A process of the agent starts, which remembers nothing, and to which this happens.
    pub fn start(&self, interruption: Option<(Moment, Interruption)>) -> Passes<ImageBuilders> {
        self.writes.begin(interruption);
        let plain =
            ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1", "--registry-loopback=true"];
        let config = Config::parse_from(plain);
        let mut agent = Agent::new(self.api.client(), config, Metrics::new(), OF_KINDS);
        agent.started = self.now;
        agent.policies.show(&[]);
        Passes::new(ImageBuilders::new(Arc::new(agent), Objects::new([]), Objects::new([])))
    }

    /// The spec is another one, and so is one of the Secrets.
    pub fn edit(&self) {
        self.api.change(BUILDER, |builder| {
            builder["spec"]["source"] = "FROM scratch\nLABEL a=c\n".into();
            builder["metadata"]["generation"] = 2.into();
        });
        self.hold_credentials("there", "registry.example.com", "2");
    }

    /// Makes passes, and lets Jobs end one after the other, until nothing is due. Returns the agent's writes; none if
    /// it is interrupted.
    pub async fn until_rest(&mut self, agent: &mut Passes<ImageBuilders>) -> Option<Vec<String>> {
        for _ in 0..MAX_PASSES {
            let (next, wrote) = self.pass(agent, async |_| false).await?;
            if wrote || self.end_a_job(1) {
                continue;
            }
            match next {
                Some(next) if next < REST => self.now += next.saturating_sub(PACE),
                _ => return Some(self.writes.lines()),
            }
        }
        panic!("it is not at rest: {:#}", self.status());
    }

    /// Makes passes until none writes anything.
    pub async fn until_quiet(&mut self, agent: &mut Passes<ImageBuilders>) {
        while self.pass(agent, async |_| false).await.unwrap().1 {}
    }

    /// Makes a pass. Returns after what time the next one is due, and whether this one wrote anything. If it is
    /// interrupted, `meanwhile` follows, and none is returned: that says whether the pass goes on to its end.
    pub async fn pass(
        &mut self,
        agent: &mut Passes<ImageBuilders>,
        meanwhile: impl AsyncFnOnce(&mut Self) -> bool,
    ) -> Option<(Option<Duration>, bool)> {
        self.now += PACE;
        self.api.set_time(self.now);
        let jobs = self.objects(JOBS).into_iter().map(|job| serde_json::from_value(job).unwrap());
        agent.kind().agent.jobs.list(&jobs.collect::<Vec<Job>>(), &self.objects(PODS));
        let builder: ImageBuilder = serde_json::from_value(self.api.get(BUILDER).unwrap()).unwrap();
        let before = self.writes.lines().len();
        let mut pass = Box::pin(agent.pass(&builder, self.now));
        let next = tokio::select! {
            biased;
            () = self.writes.interrupted() => {
                if meanwhile(self).await {
                    // What another one has done meanwhile may be a conflict: the controller tries again.
                    let _ = pass.await;
                }
                return None;
            }
            next = &mut pass => next.unwrap(),
        };
        Some((next, self.writes.lines().len() > before))
    }

    /// The first Job of this build or a later one ends that has not, if there is one: it has pushed its image.
    pub fn end_a_job(&self, build: u64) -> bool {
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

    pub fn status(&self) -> Value {
        self.api.get(BUILDER).unwrap()["status"].clone()
    }

    pub fn outcome(&self) -> Outcome {
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
    pub fn events(&self) -> Vec<String> {
        let text = |event: Value| format!("{}: {}", event["reason"], event["note"]);
        let mut events: Vec<String> = self.objects(EVENTS).into_iter().map(text).collect();
        events.sort_unstable();
        events
    }
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
