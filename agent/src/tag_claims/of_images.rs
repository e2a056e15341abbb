//! Other Images that select the same tags of the same destination: which of a namespace came first, and what those
//! of other namespaces dispute.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use imgop_core::access::AccessPolicy;
use imgop_core::api::Image;
use imgop_core::copy::{CopyRequest, Observed, OlderImage, disputed};
use imgop_core::creation::{Creation, OtherCreation};
use imgop_registry::oci::subject_of;
use imgop_registry::reference::{Repository, Tag};
use kube::ResourceExt as _;
use parking_lot::Mutex;

use super::{BuilderClaims, Disputes, ImageDestination, other_creations};
use crate::controller::Objects;
use crate::registry_access::Policies;

/// All Images that this process watches, and what it wrote for them.
pub struct Conflicts {
    images: Objects<Image>,
    /// Some may be of another destination by now.
    by_destination: Mutex<BTreeSet<Arc<Destined>>>,
    written: Mutex<HashMap<String, Written>>,
    /// What was written of tags that other namespaces dispute.
    pub disputes: Disputes,
}

/// An Image, by the path of its destination.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Destined {
    path: Box<str>,
    namespace: Box<str>,
    name: Box<str>,
}

/// What was written for one Image.
struct Written {
    destination: Repository,
    /// Only those that are named after a content.
    referrers: HashSet<Tag>,
}

impl Conflicts {
    /// Returns the conflicts of these Images, of which none has written anything yet.
    pub fn new(images: Objects<Image>) -> Self {
        let conflicts = Self {
            images,
            by_destination: Mutex::default(),
            written: Mutex::default(),
            disputes: Disputes::default(),
        };
        conflicts.images.all().for_each(|image| conflicts.seen(&image));
        conflicts
    }

    /// Notes an Image, whose destination may be new.
    pub fn seen(&self, image: &Image) {
        let Some(path) = destination_path(&self.images.completed(image.clone())) else { return };
        let (namespace, name) = (image.namespace().unwrap_or_default(), image.name_any());
        let destined = Destined { path: path.into(), namespace: namespace.into(), name: name.into() };
        self.by_destination.lock().insert(Arc::new(destined));
    }

    /// Returns the Images whose destination has this path, and possibly some that had.
    fn of_path(&self, path: &str) -> Vec<Image> {
        let first = Destined { path: path.into(), namespace: "".into(), name: "".into() };
        let destined = self.by_destination.lock();
        let of_path = destined.range::<Destined, _>(first..).take_while(|destined| *destined.path == *path);
        of_path.filter_map(|of| self.images.get(&of.namespace, &of.name)?.0.ok()).collect()
    }

    /// Returns whether all Images are known: before, one could be taken for the oldest that is not.
    pub fn is_known(&self) -> bool {
        self.images.are_known()
    }

    /// Records that a tag was put for an Image, with its credentials. That the destination shows a tag
    /// proves nothing: another program may have put it.
    pub fn record_write(&self, uid: &str, destination: &Repository, tag: &Tag) {
        let mut all = self.written.lock();
        let new = || Written { destination: destination.clone(), referrers: HashSet::new() };
        let written = all.entry(uid.to_owned()).or_insert_with(new);
        if !written.destination.is_same_place(destination) {
            *written = new();
        }
        if subject_of(tag).is_some() {
            written.referrers.insert(tag.clone());
        }
    }

    /// Returns where this process has put tags for an Image.
    pub fn written_to(&self, uid: &str) -> Option<Repository> {
        self.written.lock().get(uid).map(|written| written.destination.clone())
    }

    /// Drops what was written for Images that do not exist any more.
    pub fn evict(&self, exists: impl Fn(&str) -> bool) {
        self.written.lock().retain(|uid, _| exists(uid));
        self.disputes.evict(&exists);
        // Thousands are decoded, for which no pass waits. One that is gone by then may be back once it is locked.
        let all: Vec<Arc<Destined>> = self.by_destination.lock().iter().cloned().collect();
        let gone: Vec<Arc<Destined>> = all.into_iter().filter(|destined| !self.is_there(destined)).collect();
        let mut by_destination = self.by_destination.lock();
        for destined in gone.iter().filter(|destined| !self.is_there(destined)) {
            by_destination.remove(destined);
        }
    }

    /// Returns whether an Image still has this destination.
    fn is_there(&self, destined: &Destined) -> bool {
        let image = self.images.part::<ImageDestination>(&destined.namespace, &destined.name);
        let path = match image {
            Some(image) if image.is_open() => {
                let image = self.images.get(&destined.namespace, &destined.name);
                image.and_then(|image| destination_path(&image.0.ok()?))
            }
            image => image.and_then(|image| path_of(image.name())),
        };
        path.as_deref() == Some(&*destined.path)
    }

    /// Returns which of these tags belong to older Images, with the message for their failures.
    pub fn conflicts(
        &self,
        image: &Image,
        request: &CopyRequest,
        tags: &[&Tag],
        policy: &AccessPolicy,
    ) -> HashMap<Tag, String> {
        if tags.is_empty() {
            return HashMap::new();
        }
        let all = self.of_path(request.destination.path());
        let wrote = |older: &OlderImage<'_>, tag: &Tag| self.was_written_here(older, tag);
        let mut conflicts = imgop_core::copy::conflicts(image, request, tags, all.iter(), policy, wrote);
        let again = "; this one is checked again every few minutes, or at kubectl imgop sync";
        for message in conflicts.values_mut() {
            message.push_str(again);
        }
        conflicts
    }

    /// Returns which of these tags other Images may put at the same destination, in whichever namespace, suspended ones
    /// included; all of them where it cannot be read what one asks for.
    pub fn claimed(
        &self,
        uid: &str,
        request: &CopyRequest,
        tags: &[&Tag],
        policy: &AccessPolicy,
    ) -> BTreeSet<Tag> {
        if !self.images.are_all_decodable() {
            // It is not known where those put tags that cannot be read, or for which there is no room.
            return tags.iter().map(|tag| (*tag).clone()).collect();
        }
        let others = self.of_path(request.destination.path());
        let others = others.iter().filter(|other| other.metadata.uid.as_deref() != Some(uid));
        let mut claimed = BTreeSet::new();
        for other in others {
            let theirs = CopyRequest::parse(&other.spec).ok();
            let is_elsewhere = theirs
                .as_ref()
                .is_some_and(|theirs| !policy.is_one_repository(&theirs.destination, &request.destination));
            let is_claimed = |tag: &&&Tag| {
                !is_elsewhere && theirs.as_ref().is_none_or(|theirs| theirs.claim(tag).is_some())
            };
            claimed.extend(tags.iter().filter(is_claimed).map(|tag| (*tag).clone()));
        }
        claimed
    }

    /// Returns what other objects of the namespace say of the repository that an Image creates: Images, and these
    /// ImageBuilders.
    pub fn other_creations(
        &self,
        image: &Image,
        request: &CopyRequest,
        builders: &BuilderClaims,
        policies: &Policies,
    ) -> Vec<OtherCreation> {
        let (this, repository) = (&image.metadata, &request.destination);
        let namespace = this.namespace.as_deref().unwrap_or_default();
        let (images, builders) =
            (self.of_path(repository.path()).into_iter(), builders.near(namespace, repository));
        let may_create =
            |creation: &Creation| policies.refuses_creation(namespace, repository, creation) != Some(true);
        other_creations(this, repository, &policies.latest(), may_create, images, builders)
    }

    /// Returns which of the tags that were observed Images of other namespaces give other content. Those of a namespace
    /// that administrators keep from writing there give it none.
    pub fn disputed(
        &self,
        image: &Image,
        request: &CopyRequest,
        observed: &Observed,
        policy: &AccessPolicy,
        is_refused: impl Fn(&str) -> bool,
    ) -> BTreeSet<Tag> {
        let all = self.of_path(request.destination.path());
        let tags = observed.tags.iter().map(|tag| &tag.destination_tag);
        let may_write = |other: &&Image| !is_refused(other.metadata.namespace.as_deref().unwrap_or_default());
        disputed(image, request, tags, all.iter().filter(may_write), policy)
    }

    /// Returns whether this process has put a tag where the claim is. A tag that is named after a content,
    /// which need not be the claimant's own, must have been put by the claimant itself. A restart forgets that
    /// until one of the two Images is copied again.
    fn was_written_here(&self, older: &OlderImage<'_>, tag: &Tag) -> bool {
        let all = self.written.lock();
        let written = older.image.metadata.uid.as_ref().and_then(|uid| all.get(uid));
        written.is_some_and(|written| {
            written.destination.is_same_place(&older.request.destination)
                && (subject_of(tag).is_none() || written.referrers.contains(tag))
        })
    }
}

/// Returns the path of an Image's destination, whatever its registry is called.
fn destination_path(image: &Image) -> Option<String> {
    path_of(&image.spec.destination.name)
}

fn path_of(destination: &str) -> Option<String> {
    let destination: Repository = destination.parse().ok()?;
    Some(destination.path().to_owned())
}

#[cfg(test)]
mod tests;
