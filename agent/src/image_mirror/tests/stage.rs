//! What tests of whole passes run on: an agent, a fake API server, and a store of Images.

use imgop_core::api::conditions::find;
use imgop_core::api::{Image, ImageMirror, ImageMirrorSpec, ImageMirrorStatus, MirrorEntry, MirrorTarget};
use imgop_fakes::ApiServer;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::DeserializeGuard;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use crate::controller::{Objects, PassResult, Reconcile as _, Stored};
use crate::image::tests::fixtures::{agent_with, now};
use crate::image_mirror::{ImageMirrors, Memory};

/// An agent with one ImageMirror, and all that it talks to.
pub struct Stage {
    pub mirrors: ImageMirrors,
    pub mirror: ImageMirror,
    pub api: ApiServer,
    pub memory: Memory,
    pub now: Timestamp,
    writer: Writer<Stored<Image>>,
    seen: usize,
}

impl Stage {
    /// A mirror of this number of repositories that was never synced.
    pub fn new(repositories: usize) -> Self {
        Self::with(repositories, &[])
    }

    /// The same with an agent of these settings besides.
    pub fn with(repositories: usize, settings: &[&str]) -> Self {
        let api = ApiServer::default();
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let mirrors = ImageMirrors::new(agent_with(api.client(), settings), Objects::new([store]));
        let spec = ImageMirrorSpec {
            targets: vec![MirrorTarget {
                repository: "r.example.com/acme".into(),
                default: true,
                ..MirrorTarget::default()
            }],
            entries: (0..repositories).map(entry).collect(),
            ..ImageMirrorSpec::default()
        };
        let mut mirror = ImageMirror::new("acme", spec);
        mirror.metadata.namespace = Some("team-a".into());
        mirror.metadata.uid = Some("6f1d9a52-0000-4000-8000-0000000000aa".into());
        mirror.metadata.generation = Some(1);
        let memory = Memory::default();
        Self { mirrors, mirror, api, memory, now: now(), writer, seen: 0 }
    }

    /// The mirror has another spec.
    pub fn change(&mut self, edit: impl FnOnce(&mut ImageMirrorSpec)) {
        edit(&mut self.mirror.spec);
        self.mirror.metadata.generation = self.mirror.metadata.generation.map(|generation| generation + 1);
    }

    /// The mirror has this annotation.
    pub fn annotate(&mut self, name: &str, value: &str) {
        self.mirror.metadata.annotations.get_or_insert_default().insert(name.into(), value.into());
    }

    /// One pass, after this number of seconds. What it reports is the mirror's status then.
    pub async fn pass(&mut self, seconds: i64) -> PassResult<ImageMirrorStatus> {
        self.now += jiff::SignedDuration::from_secs(seconds);
        let result = Box::pin(self.mirrors.pass(&self.mirror, &mut self.memory, self.now)).await.unwrap();
        if let Some(report) = &result.report {
            self.mirror.status = Some(report.status.clone());
        }
        result
    }

    /// Passes until nothing is written any more, with a watch that shows at once what is. Returns how many Images were
    /// written or deleted.
    pub async fn settle(&mut self) -> usize {
        let before = self.writes().len();
        for _ in 0..200 {
            let count = self.writes().len();
            self.pass(11).await;
            self.watch();
            if self.writes().len() == count && !self.memory.is_busy {
                return count - before;
            }
        }
        panic!("it does not come to rest");
    }

    /// The requests that write Images.
    pub fn writes(&self) -> Vec<String> {
        let is_write = |line: &String| line.starts_with("PATCH ") || line.starts_with("DELETE ");
        self.api.requests().into_iter().filter(|line| is_write(line) && line.contains("/images/")).collect()
    }

    /// The watch shows what was written since the last time.
    pub fn watch(&mut self) {
        let bodies = self.api.bodies("PATCH");
        let applied: Vec<Value> = bodies[self.seen..].to_vec();
        self.seen = bodies.len();
        // What goes before an Image is taken over is no Image.
        let applied = applied.into_iter().filter(|body| body.get("kind").is_some());
        for (n, body) in applied.enumerate() {
            let mut image: Image = serde_json::from_value(body).unwrap();
            let name = image.metadata.name.clone().unwrap();
            image.metadata.uid.get_or_insert_with(|| format!("uid of {name}"));
            image.metadata.generation = Some(1);
            image.metadata.creation_timestamp =
                Some(Time(self.now + jiff::SignedDuration::from_millis(n.try_into().unwrap())));
            self.show(image);
        }
        for line in self.writes().iter().filter(|line| line.starts_with("DELETE ")) {
            let name = line.rsplit('/').next().unwrap().split('?').next().unwrap();
            let found = self.mirrors.images.get("team-a", name).and_then(|image| image.0.ok());
            if let Some(image) = found {
                self.writer.apply_watcher_event(&Event::Delete(stored(image)));
            }
        }
    }

    /// The watch shows this Image.
    pub fn show(&mut self, mut image: Image) {
        image.metadata.namespace = Some("team-a".into());
        self.writer.apply_watcher_event(&Event::Apply(stored(image)));
    }

    /// The Images that there are.
    pub fn images(&self) -> Vec<Image> {
        let mut all: Vec<Image> = self.mirrors.images.all().collect();
        all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        all
    }

    /// All Images say this of themselves.
    pub fn images_say(&mut self, is_ready: bool, reason: &str) {
        for mut image in self.images() {
            image.status = Some(
                serde_json::from_value(json!({
                    "observedGeneration": 1,
                    "lastHandledRequestedAt": image.metadata.annotations.as_ref()
                        .and_then(|a| a.get("imgop.skopeo.io/requested-at")),
                    "conditions": [{ "type": "Ready", "status": if is_ready { "True" } else { "False" },
                        "reason": reason, "message": "of an Image", "observedGeneration": 1,
                        "lastTransitionTime": self.now }],
                    "counts": { "matched": 2, "synced": if is_ready { 2 } else { 1 }, "copying": 0,
                        "failed": i32::from(!is_ready), "kept": 0, "excluded": 0 },
                    "failures": if is_ready { json!([]) } else {
                        json!([{ "tag": "1.1", "reason": "TagNotFound", "message": "no such tag" }]) },
                }))
                .unwrap(),
            );
            self.show(image);
        }
    }

    pub fn status(&self) -> &ImageMirrorStatus {
        self.mirror.status.as_ref().unwrap()
    }

    pub fn condition(&self, type_: &str) -> &Condition {
        find(&self.status().conditions, type_).unwrap()
    }
}

fn stored(image: Image) -> Stored<Image> {
    Stored::of(&DeserializeGuard(Ok(image)))
}

pub fn entry(n: usize) -> MirrorEntry {
    MirrorEntry {
        source: format!("quay.io/tools/widget{n}"),
        tags: vec!["1.0".into(), "1.1".into()],
        ..MirrorEntry::default()
    }
}
