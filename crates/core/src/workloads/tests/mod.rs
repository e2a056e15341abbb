//! What stands in the documents of a `WorkloadMirror`, sentence by sentence.

mod children;
mod choice;
mod contents;
mod in_use;
mod observed;
mod origins;
mod paths;
mod platforms;
mod retention;
mod sight;
mod specs;

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, Repository};
use jiff::Timestamp;

use super::*;
use crate::access::AccessPolicy;
use crate::api::{Image, ImageSpec, UNUSED_SINCE_ANNOTATION, WorkloadDestination, WorkloadMirrorSpec};
use crate::build::ImageReference;
use crate::selection::SourceRef;

/// The name of the mirror, and of its namespace.
const MIRROR: &str = "cluster";
const NAMESPACE: &str = "team-a";
/// The time at which everything begins.
const START: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

/// What a plan is worked out from.
struct Stage {
    spec: WorkloadMirrorSpec,
    usage: Usage,
    children: Vec<ChildImage>,
    found: Vec<FoundOrigin>,
    targets: Vec<MirrorTarget>,
    max_tags: usize,
    nodes: BTreeSet<PlatformSelector>,
    architectures: BTreeMap<ImageReference, String>,
    /// What administrators have granted.
    policy: AccessPolicy,
    is_complete: bool,
    now: i64,
}

impl Stage {
    fn new() -> Self {
        let repository = "registry.corp:5000/mirror".to_owned();
        Self {
            spec: WorkloadMirrorSpec::new(WorkloadDestination {
                repository,
                ..WorkloadDestination::default()
            }),
            usage: Usage::default(),
            children: Vec::new(),
            found: Vec::new(),
            targets: Vec::new(),
            max_tags: 1000,
            nodes: BTreeSet::new(),
            architectures: BTreeMap::new(),
            policy: AccessPolicy::default(),
            is_complete: true,
            now: START,
        }
    }

    fn with(change: impl FnOnce(&mut WorkloadMirrorSpec)) -> Self {
        let mut stage = Self::new();
        change(&mut stage.spec);
        stage
    }

    fn request(&self) -> WorkloadRequest {
        WorkloadRequest::parse(&self.spec, NAMESPACE).unwrap().known_by(&self.policy)
    }

    /// A pod of a Deployment runs an image.
    fn runs(&mut self, image: &str, running: Option<&Digest>, pod: &str, started: i64, platform: &str) {
        let newest = Newest { started: time(started), pod: pod.to_owned() };
        let pods = RunningPods::one(Some(newest), platform.parse().ok());
        self.usage.add(image.parse().unwrap(), running.cloned(), user("Deployment", "web"), pods);
    }

    /// A template names an image.
    fn names(&mut self, image: &str) {
        self.named_by(image, user("Deployment", "web"));
    }

    fn named_by(&mut self, image: &str, user: ImageUser) {
        self.usage.add(image.parse().unwrap(), None, user, RunningPods::default());
    }

    fn plan<T>(&self, look: impl FnOnce(&Plan<'_>) -> T) -> T {
        let (request, used) = (self.request(), self.usage.clone().into_images());
        let situation = Situation {
            mirror: MIRROR,
            used: &used,
            is_complete: self.is_complete,
            children: &self.children,
            found: &self.found,
            targets: &self.targets,
            max_tags: self.max_tags,
            node_platforms: &self.nodes,
            architectures: &self.architectures,
            now: time(self.now),
        };
        look(&plan(&request, &situation))
    }

    /// Does what the plan says, so that the next one finds it.
    fn act(&mut self) -> Vec<String> {
        let request = self.request();
        let (planned, gone) = self.plan(|plan| (plan.children.clone(), plan.gone.clone()));
        let created = |name: &str| {
            let before = self.children.iter().find(|child| child.name == name);
            before.map_or(time(self.now), |child| child.created)
        };
        let images: Vec<Image> = planned
            .iter()
            .map(|child| image(child, request.image_spec(child), created(&child.name)))
            .collect();
        self.children = images.iter().filter_map(ChildImage::read).collect();
        gone
    }

    /// What is copied, as `source:tag -> destination:tag`.
    fn copies(&self) -> Vec<String> {
        self.plan(|plan| copies(&plan.children))
    }

    /// The name of each used image, and what becomes of it.
    fn outcomes(&self) -> Vec<String> {
        self.plan(|plan| {
            let outcome = |one: &Use<'_>| match &one.outcome {
                Outcome::Mirrored(places) => {
                    let places = places.iter().map(|(place, what)| format!("{place} {what}"));
                    places.collect::<Vec<_>>().join(", ")
                }
                Outcome::NotMirrored(why) => why.to_string(),
            };
            plan.uses.iter().map(|one| format!("{}: {}", one.image.reference, outcome(one))).collect()
        })
    }
}

/// An Image as the API server has it.
fn image(child: &PlannedChild, spec: ImageSpec, created: Timestamp) -> Image {
    let mut image = Image::new(&child.name, spec);
    image.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
    let annotation = child.unused_since.annotation();
    image.metadata.annotations =
        annotation.map(|text| BTreeMap::from([(UNUSED_SINCE_ANNOTATION.to_owned(), text)]));
    if child.is_on_the_fly {
        let label = (crate::api::ON_THE_FLY_LABEL.to_owned(), "true".to_owned());
        image.metadata.labels = Some(BTreeMap::from([label]));
    }
    image
}

fn copies(children: &[PlannedChild]) -> Vec<String> {
    let copies = children.iter().flat_map(|child| {
        child.tags.iter().map(move |one| {
            let name = one.name().map(ToString::to_string).unwrap_or_default();
            format!("{} {one} -> {}:{}", child.source, child.destination, short(&name))
        })
    });
    let mut copies: Vec<String> = copies.map(|copy| short(&copy)).collect();
    copies.sort();
    copies
}

/// Digests by their first digits.
fn short(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["A", "B", "C"] {
        text = text.replace(content(name).hex(), name);
    }
    text
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn content(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn user(kind: &str, name: &str) -> ImageUser {
    let [kind, name] = [kind, name].map(str::to_owned);
    ImageUser {
        kind,
        name,
        namespace: NAMESPACE.to_owned(),
        container: "main".to_owned(),
        is_opted_out: false,
    }
}

fn repository(text: &str) -> Repository {
    text.parse().unwrap()
}

fn pinned(name: &str) -> SourceRef {
    SourceRef::under_pin_tag(content(name)).unwrap()
}
