//! What tests of whole passes run on: an agent, a fake API server, and a store of Images.

use imgop_core::api::conditions::find;
use imgop_core::api::{Image, ImageMirror, ImageMirrorSpec, ImageMirrorStatus, MirrorEntry, MirrorTarget};
use imgop_fakes::ApiServer;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::children::testing::WatchedImages;
use crate::controller::{PassResult, Reconcile as _};
use crate::image::tests::fixtures::{agent_with, now};
use crate::image_mirror::{ImageMirrors, Memory};

/// An agent with one ImageMirror, and all that it talks to.
pub struct Stage {
    pub mirrors: ImageMirrors,
    pub mirror: ImageMirror,
    pub api: ApiServer,
    pub memory: Memory,
    pub now: Timestamp,
    images: WatchedImages,
}

impl Stage {
    /// A mirror of this number of repositories that was never synced.
    pub fn new(repositories: usize) -> Self {
        Self::with(repositories, &[])
    }

    /// The same with an agent of these settings besides.
    pub fn with(repositories: usize, settings: &[&str]) -> Self {
        let api = ApiServer::default();
        let images = WatchedImages::new(&api);
        let mirrors = ImageMirrors::new(agent_with(api.client(), settings), images.children());
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
        Self { mirrors, mirror, api, memory, now: now(), images }
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
            if self.writes().len() == count && !self.memory.looks.is_busy {
                return count - before;
            }
        }
        panic!("it does not come to rest");
    }

    /// The requests that write Images.
    pub fn writes(&self) -> Vec<String> {
        self.images.writes()
    }

    /// The watch shows what was written since the last time.
    pub fn watch(&mut self) {
        self.images.watch(self.now);
    }

    /// The watch shows this Image.
    pub fn show(&mut self, image: Image) {
        self.images.show(image);
    }

    /// There is no room for an Image, as the watch shows it.
    pub fn show_without_room(&mut self, image: Image) {
        self.images.show_without_room(image);
    }

    /// This version of the agent cannot read an Image.
    pub fn show_unreadable(&mut self, image: Image) {
        self.images.show_unreadable(image);
    }

    /// The Images that there are.
    pub fn images(&self) -> Vec<Image> {
        self.images.all()
    }

    /// All Images say this of themselves.
    pub fn images_say(&mut self, is_ready: bool, reason: &str) {
        self.images.say(is_ready, reason, self.now);
    }

    pub fn status(&self) -> &ImageMirrorStatus {
        self.mirror.status.as_ref().unwrap()
    }

    pub fn condition(&self, type_: &str) -> &Condition {
        find(&self.status().conditions, type_).unwrap()
    }
}

pub fn entry(n: usize) -> MirrorEntry {
    MirrorEntry {
        source: format!("quay.io/tools/widget{n}"),
        tags: vec!["1.0".into(), "1.1".into()],
        ..MirrorEntry::default()
    }
}
