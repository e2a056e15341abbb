//! What pods and templates use, whoever has read them: the agent's watches, or the plugin with its user's rights.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use imgop_registry::oci::PlatformSelector;

use super::observed::{ObservedImage, ObservedMetadata, ObservedPod, ObservedWorkload};
use super::request::WorkloadRequest;
use super::usage::{ImageUser, Newest, RunningPods, Usage};
use crate::api::{WorkloadKind, WorkloadMirrorSpec, WorkloadTrigger};
use crate::build::ImageReference;

/// What names images: a workload by its template, or pods that differ in nothing that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The kind; a pod's is Pod, whatever made it.
    pub kind: WorkloadKind,
    /// The namespace.
    pub namespace: &'a str,
    /// Its own name.
    pub name: &'a str,
    /// What made it.
    pub controller: Option<Controller<'a>>,
    /// Whether it says that it is not to be mirrored.
    pub is_opted_out: bool,
    /// Whether it cannot be read, so that it is not known what it uses.
    pub is_unreadable: bool,
    /// What it names.
    pub images: Vec<ObservedImage<'a>>,
    /// How many pods it is, and where they run; none of a template.
    pub pods: RunningPods,
}

/// What made an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controller<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// What stands between pods and what users write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Between {
    /// Made by a Deployment, or by what takes its place.
    ReplicaSet,
    /// Made by a CronJob, where anything that is looked at has made it.
    Job,
}

/// What made something between: its kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// Its kind.
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// What made what stands between, by its UID: none of what was made by hand, or is gone. What is not in it is not known yet.
pub type Makers = HashMap<Box<str>, Option<Maker>>;

/// What the pods and templates use that a mirror looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// The images, with who uses them.
    pub usage: Usage,
    /// Images that nodes cannot pull, each with the namespaces whose pods wait for it.
    pub waiting: BTreeMap<ImageReference, BTreeSet<String>>,
    /// How many pods count.
    pub pods: u32,
    /// An object of which it is not known what it uses: the first by its name.
    pub unreadable: Option<String>,
}

/// The workload that something counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Top<'a> {
    kind: &'a str,
    name: &'a str,
}

/// Returns the kinds that are read for a mirror: pods, and those whose templates count. What only copies what pods cannot
/// pull needs no templates.
pub fn kinds_read(spec: &WorkloadMirrorSpec) -> HashSet<WorkloadKind> {
    let of_spec = if spec.kinds.is_empty() { WorkloadKind::ALL.as_slice() } else { &spec.kinds };
    let counts_templates = spec.triggers.contains(&WorkloadTrigger::Running);
    let kinds = if counts_templates { of_spec } else { &[] };
    kinds.iter().copied().chain([WorkloadKind::Pod]).collect()
}

/// Adds up what these use, of the namespaces that a mirror sees. What counts for a workload that is not known yet is left
/// out.
pub fn in_use(request: &WorkloadRequest, members: &[Member<'_>], makers: &Makers) -> InUse {
    let kinds = kinds_read(request.spec());
    let read = || members.iter().filter(|one| kinds.contains(&one.kind));
    let opted_out = read().filter(|one| one.kind != WorkloadKind::Pod && one.is_opted_out);
    let opted_out: HashSet<(&str, Top<'_>)> =
        opted_out.filter_map(|one| Some((one.namespace, one.top(makers)?))).collect();
    let mut all = InUse::default();
    for one in read() {
        if one.is_unreadable {
            let name = format!("{} {}/{}", one.kind.name(), one.namespace, one.name);
            let before = all.unreadable.take();
            all.unreadable = Some(before.map_or(name.clone(), |before| before.min(name)));
        }
        let Some(top) = one.top(makers).filter(|top| is_looked_at(request, one.kind, top)) else { continue };
        let is_opted_out = one.is_opted_out || opted_out.contains(&(one.namespace, top));
        all.pods = all.pods.saturating_add(one.pods.count);
        all.add(request, one, top, is_opted_out);
    }
    all
}

impl InUse {
    fn add(&mut self, request: &WorkloadRequest, one: &Member<'_>, top: Top<'_>, is_opted_out: bool) {
        for used in &one.images {
            // What is no reference is reported by its pod; it is in no registry.
            let Ok(reference) = used.image.parse::<ImageReference>() else { continue };
            let user = ImageUser {
                kind: top.kind.to_owned(),
                namespace: one.namespace.to_owned(),
                name: top.name.to_owned(),
                container: used.container.to_owned(),
                is_opted_out,
            };
            if used.cannot_be_pulled && !request.exclusions.excludes_user(&user) {
                let namespaces = self.waiting.entry(reference.clone()).or_default();
                namespaces.insert(one.namespace.to_owned());
            }
            self.usage.add(reference, used.digest.clone(), user, one.pods.clone());
        }
    }
}

impl<'a> Member<'a> {
    /// Returns a pod on a node of a platform; none that has ended, and none of the agent's own.
    pub fn of_pod(pod: &'a ObservedPod, platform: Option<&PlatformSelector>) -> Option<Self> {
        let newest = pod.status.start_time.map(|started| Newest { started, pod: pod.metadata.name.clone() });
        let pods = RunningPods::one(newest, platform.cloned());
        let is_opted_out = pod.metadata.is_opted_out();
        let member = Self::new(WorkloadKind::Pod, &pod.metadata);
        pod.is_counted().then(|| Self { is_opted_out, images: pod.images().collect(), pods, ..member })
    }

    /// Returns a workload; none that the agent has made.
    pub fn of_workload(kind: WorkloadKind, workload: &'a ObservedWorkload) -> Option<Self> {
        let (is_opted_out, images) = (workload.is_opted_out(), workload.images().collect());
        let member = Self::new(kind, &workload.metadata);
        workload.is_counted().then_some(Self { is_opted_out, images, ..member })
    }

    fn new(kind: WorkloadKind, metadata: &'a ObservedMetadata) -> Self {
        let controller = metadata.controller();
        Self {
            kind,
            namespace: &metadata.namespace,
            name: &metadata.name,
            controller: controller.map(|of| Controller { kind: &of.kind, name: &of.name, uid: &of.uid }),
            is_opted_out: false,
            is_unreadable: false,
            images: Vec::new(),
            pods: RunningPods::default(),
        }
    }

    /// Returns what made it, where something else has made that as a rule: it is to be known which.
    pub fn made_between(&self) -> Option<(Between, Controller<'a>)> {
        let controller = self.controller.filter(|_| self.kind == WorkloadKind::Pod)?;
        Some((Between::of(controller.kind)?, controller))
    }

    /// Returns the workload that a pod counts for, by its kind and name, where that kind is not read: it is to be asked for
    /// whether it is to be mirrored. Where only what pods cannot pull is copied, that matters for such pods alone.
    pub fn workload_to_ask<'m>(
        &'m self,
        request: &WorkloadRequest,
        makers: &'m Makers,
    ) -> Option<(WorkloadKind, &'m str)> {
        let matters = request.has_trigger(WorkloadTrigger::Running)
            || self.images.iter().any(|image| image.cannot_be_pulled);
        if self.kind != WorkloadKind::Pod || self.is_opted_out || !matters {
            return None;
        }
        let top = self.top(makers).filter(|top| is_looked_at(request, self.kind, top))?;
        let kind = WorkloadKind::ALL.into_iter().find(|known| known.name() == top.kind)?;
        (!kinds_read(request.spec()).contains(&kind)).then_some((kind, top.name))
    }

    /// Returns the workload that it counts for, which is the same for a template and for its pods; none where that is not
    /// known yet. What has made a workload itself, such as an operator, is not asked for: its pods do not know of it.
    fn top(&self, makers: &'a Makers) -> Option<Top<'a>> {
        let own = Top { kind: self.kind.name(), name: self.name };
        let Some(controller) = self.controller else { return Some(own) };
        let of_controller = Top { kind: controller.kind, name: controller.name };
        match (self.kind, Between::of(controller.kind)) {
            (WorkloadKind::Pod, Some(between)) => {
                let maker = makers.get(controller.uid)?.as_ref().filter(|maker| between.counts_for(maker));
                // What is gone keeps nothing from being mirrored.
                Some(maker.map_or(of_controller, |maker| Top { kind: &maker.kind, name: &maker.name }))
            }
            (WorkloadKind::Pod, None) => Some(of_controller),
            (WorkloadKind::Job, _) if controller.kind == WorkloadKind::CronJob.name() => Some(of_controller),
            _ => Some(own),
        }
    }
}

impl Between {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "ReplicaSet" => Some(Self::ReplicaSet),
            "Job" => Some(Self::Job),
            _ => None,
        }
    }

    /// Whether it counts for what made it. A Job is a workload itself, and a ReplicaSet is one of many of its maker.
    fn counts_for(self, maker: &Maker) -> bool {
        self == Self::ReplicaSet || *maker.kind == *WorkloadKind::CronJob.name()
    }
}

/// Returns whether a mirror looks at a workload, or at every pod.
fn is_looked_at(request: &WorkloadRequest, kind: WorkloadKind, top: &Top<'_>) -> bool {
    let of_top = WorkloadKind::ALL.into_iter().find(|known| known.name() == top.kind);
    let is_of_pods = kind == WorkloadKind::Pod && request.looks_at(WorkloadKind::Pod);
    is_of_pods || of_top.is_some_and(|kind| request.looks_at(kind))
}
