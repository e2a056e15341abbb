//! Images as a watch shows them, for tests of whole passes.

use imgop_core::api::Image;
use imgop_fakes::ApiServer;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::ChildImages;
use crate::controller::{Objects, Stored};
use crate::object_room::RoomLimit;

const NAMESPACE: &str = "team-a";

/// The Images of one namespace, and the watch of them.
pub struct WatchedImages {
    api: ApiServer,
    images: Objects<Image>,
    writer: Writer<Stored<Image>>,
    seen: usize,
}

impl WatchedImages {
    /// None, beside this API server.
    pub fn new(api: &ApiServer) -> Self {
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        Self { api: api.clone(), images: Objects::new([store]), writer, seen: 0 }
    }

    /// What kinds are given.
    pub fn children(&self) -> ChildImages {
        ChildImages::new(self.images.clone())
    }

    /// The requests that write Images.
    pub fn writes(&self) -> Vec<String> {
        let is_write = |line: &String| line.starts_with("PATCH ") || line.starts_with("DELETE ");
        self.api.requests().into_iter().filter(|line| is_write(line) && line.contains("/images/")).collect()
    }

    /// The watch shows what was written since the last time.
    pub fn watch(&mut self, now: Timestamp) {
        let bodies = self.api.bodies("PATCH");
        let applied: Vec<Value> = bodies[self.seen..].to_vec();
        self.seen = bodies.len();
        // What is merged is no Image.
        let applied = applied.into_iter().filter(|body| body.get("kind").is_some());
        for (n, body) in applied.enumerate() {
            let mut image: Image = serde_json::from_value(body).unwrap();
            let name = image.metadata.name.clone().unwrap();
            image.metadata.uid.get_or_insert_with(|| format!("uid of {name}"));
            image.metadata.generation = Some(1);
            image.metadata.creation_timestamp =
                Some(Time(now + jiff::SignedDuration::from_millis(n.try_into().unwrap())));
            self.show(image);
        }
        for line in self.writes().iter().filter(|line| line.starts_with("DELETE ")) {
            let name = line.rsplit('/').next().unwrap().split('?').next().unwrap();
            let found = self.images.get(NAMESPACE, name).and_then(|image| image.0.ok());
            if let Some(image) = found {
                self.writer.apply_watcher_event(&Event::Delete(stored(image)));
            }
        }
    }

    /// The watch shows this Image.
    pub fn show(&mut self, mut image: Image) {
        image.metadata.namespace = Some(NAMESPACE.into());
        self.writer.apply_watcher_event(&Event::Apply(stored(image)));
    }

    /// There is no room for an Image, as the watch shows it.
    pub fn show_without_room(&mut self, mut image: Image) {
        image.metadata.namespace = Some(NAMESPACE.into());
        let refused = stored(image).refused(RoomLimit::OfNamespace(24 << 20));
        self.writer.apply_watcher_event(&Event::Apply(refused));
    }

    /// This version of the agent cannot read an Image.
    pub fn show_unreadable(&mut self, mut image: Image) {
        image.metadata.namespace = Some(NAMESPACE.into());
        let invalid = InvalidObject { error: "spec.mode: unknown".to_owned(), metadata: image.metadata };
        self.writer.apply_watcher_event(&Event::Apply(Stored::of(&DeserializeGuard(Err(invalid)))));
    }

    /// The Images that there are.
    pub fn all(&self) -> Vec<Image> {
        let mut all: Vec<Image> = self.images.all().collect();
        all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        all
    }

    /// All Images say this of themselves.
    pub fn say(&mut self, is_ready: bool, reason: &str, now: Timestamp) {
        for mut image in self.all() {
            image.status = Some(
                serde_json::from_value(json!({
                    "observedGeneration": 1,
                    "lastHandledRequestedAt": image.metadata.annotations.as_ref()
                        .and_then(|a| a.get("imgop.skopeo.io/requested-at")),
                    "conditions": [{ "type": "Ready", "status": if is_ready { "True" } else { "False" },
                        "reason": reason, "message": "of an Image", "observedGeneration": 1,
                        "lastTransitionTime": now }],
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
}

fn stored(image: Image) -> Stored<Image> {
    Stored::of(&DeserializeGuard(Ok(image)))
}
