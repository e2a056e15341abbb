//! What tests of whole passes run on: an agent, a fake API server, what runs, and a store of Images.

use imgop_core::api::conditions::find;
use imgop_core::api::{
    Image, ImageMirror, WorkloadDestination, WorkloadMirror, WorkloadMirrorSpec, WorkloadMirrorStatus,
};
use imgop_fakes::ApiServer;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::children::testing::WatchedImages;
use crate::controller::{Objects, PassResult, Reconcile as _};
use crate::image::tests::fixtures::{agent_with, now};
use crate::workload_mirror::workloads::Workloads;
use crate::workload_mirror::{Memory, Others, WorkloadMirrors};

/// An agent with one WorkloadMirror, and all that it talks to.
pub struct Stage {
    pub mirrors: WorkloadMirrors,
    pub mirror: WorkloadMirror,
    pub api: ApiServer,
    pub workloads: Workloads,
    pub images: WatchedImages,
    pub memory: Memory,
    pub now: Timestamp,
}

impl Stage {
    /// A mirror to a registry that nothing is asked of.
    pub fn new() -> Self {
        Self::to("r.example.com/mirror", &[])
    }

    /// A mirror to this repository, beside these inventories.
    pub fn to(repository: &str, inventories: &[ImageMirror]) -> Self {
        let (api, workloads) = (ApiServer::default(), Workloads::listed());
        let images = WatchedImages::new(&api);
        let others = Others {
            image_mirrors: Objects::listed(inventories.iter().cloned()),
            workload_mirrors: Objects::listed([]),
        };
        let agent = agent_with(api.client(), &[]);
        let mirrors = WorkloadMirrors::new(agent, images.children(), workloads.clone(), others);
        let destination = WorkloadDestination { repository: repository.into(), ..Default::default() };
        let mut mirror = WorkloadMirror::new("all", WorkloadMirrorSpec::new(destination));
        mirror.metadata.namespace = Some("team-a".into());
        mirror.metadata.uid = Some("6f1d9a52-0000-4000-8000-0000000000bb".into());
        mirror.metadata.generation = Some(1);
        Self { mirrors, mirror, api, workloads, images, memory: Memory::default(), now: now() }
    }

    /// The mirror has another spec.
    pub fn change(&mut self, edit: impl FnOnce(&mut WorkloadMirrorSpec)) {
        edit(&mut self.mirror.spec);
        self.mirror.metadata.generation = self.mirror.metadata.generation.map(|generation| generation + 1);
    }

    /// One pass, after this number of seconds. What it reports is the mirror's status then.
    pub async fn pass(&mut self, seconds: i64) -> PassResult<WorkloadMirrorStatus> {
        self.now += jiff::SignedDuration::from_secs(seconds);
        let result = Box::pin(self.mirrors.pass(&self.mirror, &mut self.memory, self.now)).await.unwrap();
        if let Some(report) = &result.report {
            self.mirror.status = Some(report.status.clone());
        }
        result
    }

    /// One pass, after this number of seconds, which the API server keeps from its end.
    pub async fn fails(&mut self, seconds: i64) {
        self.now += jiff::SignedDuration::from_secs(seconds);
        let result = Box::pin(self.mirrors.pass(&self.mirror, &mut self.memory, self.now)).await;
        assert!(result.is_err(), "the API server answers");
    }

    /// Passes until nothing is written any more, with a watch that shows at once what is. Returns how many writes there
    /// were.
    pub async fn settle(&mut self) -> usize {
        let before = self.images.writes().len();
        for _ in 0..50 {
            let count = self.images.writes().len();
            self.pass(11).await;
            self.images.watch(self.now);
            if self.images.writes().len() == count && !self.memory.looks.is_busy {
                return count - before;
            }
        }
        panic!("it does not come to rest");
    }

    /// What the Images of the mirror copy: source, destination and tags.
    pub fn copied(&self) -> Vec<String> {
        let line = |image: Image| {
            let (source, destination) = (image.spec.source, image.spec.destination);
            format!("{} > {} {}", source.name, destination.name, source.tags.join(" "))
        };
        let mut all: Vec<String> = self.images.all().into_iter().map(line).collect();
        all.sort();
        all
    }

    pub fn status(&self) -> &WorkloadMirrorStatus {
        self.mirror.status.as_ref().unwrap()
    }

    pub fn condition(&self, type_: &str) -> &Condition {
        find(&self.status().conditions, type_).unwrap()
    }

    /// The events that were written, by their reasons.
    pub fn events(&self) -> Vec<String> {
        self.of_events("reason")
    }

    /// What the events say that were written.
    pub fn notes(&self) -> Vec<String> {
        self.of_events("note")
    }

    fn of_events(&self, field: &str) -> Vec<String> {
        let bodies = self.api.bodies("POST").into_iter();
        let events = bodies.filter(|body| body["regarding"].is_object());
        events.map(|event| event[field].as_str().unwrap_or_default().to_owned()).collect()
    }
}
