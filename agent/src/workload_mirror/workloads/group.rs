//! What is kept of pods and workloads: what many of them have in common, once.

use std::sync::Arc;

use imgop_core::api::WorkloadKind;
use imgop_core::workloads::{
    self, ObservedImage, ObservedMetadata, ObservedOwner, ObservedPod, ObservedWorkload,
};
use imgop_registry::reference::Digest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::names::Interner;

/// The longest text that is kept, in bytes: no reference of an image is longer.
const MAX_TEXT: usize = 512;
/// Images that one object may name: more are no workload's.
const MAX_USES: usize = 200;

/// Pods that differ in nothing that is read of them but their names, nodes and times; or one workload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// The kind; a pod's is Pod, whatever made it.
    pub kind: WorkloadKind,
    pub namespace: Arc<str>,
    /// Its own name; none of pods that something made.
    pub name: Option<Arc<str>>,
    /// What made it.
    pub controller: Option<Arc<Controller>>,
    /// Whether it says that it is not to be mirrored.
    pub is_opted_out: bool,
    /// Whether it cannot be read, so that it is not known what it uses.
    pub is_unreadable: bool,
    /// What it uses.
    pub uses: Box<[Used]>,
}

/// What made an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Controller {
    pub kind: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
}

/// An image that a pod or a workload uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Used {
    /// The name of the container, or of the volume.
    pub container: Arc<str>,
    /// As it is written.
    pub image: Arc<str>,
    /// What runs, where that is reported.
    pub digest: Option<Arc<Digest>>,
    /// Whether the node cannot pull it.
    pub cannot_be_pulled: bool,
}

/// Makes groups of what is read.
#[derive(Debug, Default)]
pub(super) struct Groups {
    texts: Interner<str>,
    digests: Interner<Digest>,
    controllers: Interner<Controller>,
    known: Interner<Group>,
}

impl Groups {
    pub fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.intern(text)
    }

    pub fn of_pod(&mut self, pod: &ObservedPod) -> Arc<Group> {
        let uses = self.uses(pod.images());
        self.of_object(WorkloadKind::Pod, &pod.metadata, pod.metadata.is_opted_out(), uses)
    }

    pub fn of_workload(&mut self, kind: WorkloadKind, workload: &ObservedWorkload) -> Arc<Group> {
        let uses = self.uses(workload.images());
        self.of_object(kind, &workload.metadata, workload.is_opted_out(), uses)
    }

    fn of_object(
        &mut self,
        kind: WorkloadKind,
        metadata: &ObservedMetadata,
        is_opted_out: bool,
        uses: Option<Box<[Used]>>,
    ) -> Arc<Group> {
        let names = (metadata.namespace.as_str(), metadata.name.as_str());
        let group = match uses {
            Some(uses) => {
                let controller = metadata.controller().filter(|owner| Controller::has_short_texts(owner));
                Group { is_opted_out, uses, ..self.group(kind, names, controller) }
            }
            None => Group { is_unreadable: true, ..self.group(kind, names, None) },
        };
        self.known.intern(group)
    }

    /// Returns what an object uses; nothing of one that names more than an object may.
    fn uses<'o>(&mut self, images: impl Iterator<Item = ObservedImage<'o>>) -> Option<Box<[Used]>> {
        let mut uses = Vec::new();
        for image in images {
            if uses.len() == MAX_USES {
                return None;
            }
            uses.extend(self.used(&image));
        }
        Some(uses.into_boxed_slice())
    }

    /// Drops a group at once if nothing else has it: it may be large, and whoever edits an object makes one after the other.
    pub fn release(&mut self, group: Arc<Group>) {
        self.known.release(group);
    }

    /// Returns how many groups are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Drops what is of no use any more.
    pub fn sweep(&mut self) {
        self.known.sweep();
        self.controllers.sweep();
        self.digests.sweep();
        self.texts.sweep();
    }

    /// Returns what is known of an object that cannot be read, or of which there is no room to keep more.
    pub fn unreadable(&mut self, kind: WorkloadKind, metadata: &ObjectMeta) -> Arc<Group> {
        let [namespace, name] =
            [&metadata.namespace, &metadata.name].map(|text| text.as_deref().unwrap_or_default());
        let group = self.group(kind, (namespace, name), None);
        self.known.intern(Group { is_unreadable: true, ..group })
    }

    /// Returns a group that uses nothing.
    fn group(
        &mut self,
        kind: WorkloadKind,
        (namespace, name): (&str, &str),
        controller: Option<&ObservedOwner>,
    ) -> Group {
        let is_one_of_many = kind == WorkloadKind::Pod && controller.is_some();
        Group {
            kind,
            namespace: self.text(namespace),
            name: (!is_one_of_many).then(|| self.text(name)),
            controller: controller.map(|owner| self.controllers.intern(Controller::of(owner))),
            is_opted_out: false,
            is_unreadable: false,
            uses: Box::default(),
        }
    }

    fn used(&mut self, of: &ObservedImage<'_>) -> Option<Used> {
        (of.image.len() <= MAX_TEXT).then(|| Used {
            container: self.text(of.container),
            image: self.text(of.image),
            digest: of.digest.clone().map(|digest| self.digests.intern(digest)),
            cannot_be_pulled: of.cannot_be_pulled,
        })
    }
}

impl Used {
    /// Returns it as it was read.
    pub(super) fn observed(&self) -> ObservedImage<'_> {
        ObservedImage {
            container: &self.container,
            image: &self.image,
            digest: self.digest.as_deref().cloned(),
            cannot_be_pulled: self.cannot_be_pulled,
        }
    }
}

impl Controller {
    /// Returns it as it was read.
    pub(super) fn named(&self) -> workloads::Controller<'_> {
        workloads::Controller { kind: &self.kind, name: &self.name, uid: &self.uid }
    }

    /// The API server bounds none of them.
    fn has_short_texts(owner: &ObservedOwner) -> bool {
        [&owner.kind, &owner.name, &owner.uid].into_iter().all(|text| text.len() <= MAX_TEXT)
    }

    fn of(owner: &ObservedOwner) -> Self {
        Self {
            kind: owner.kind.as_str().into(),
            name: owner.name.as_str().into(),
            uid: owner.uid.as_str().into(),
        }
    }
}
