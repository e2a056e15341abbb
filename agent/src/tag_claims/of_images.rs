//! Other Images that select the same tags of the same destination: which of them came first, and whether
//! that counts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use imgop_core::api::Image;
use imgop_core::copy::{CopyRequest, OlderImage};
use imgop_registry::oci::subject_of;
use imgop_registry::reference::{Repository, Tag};
use kube::ResourceExt as _;
use parking_lot::Mutex;

use super::ImageDestination;
use crate::controller::Objects;

/// All Images that this process watches, and what it wrote for them. That is in their statuses too, a
/// moment later, and outlives the process there.
pub struct Conflicts {
    images: Objects<Image>,
    /// Some may be of another destination by now.
    by_destination: Mutex<BTreeSet<Arc<Destined>>>,
    written: Mutex<HashMap<String, Written>>,
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
        let conflicts = Self { images, by_destination: Mutex::default(), written: Mutex::default() };
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
    pub fn conflicts(&self, image: &Image, request: &CopyRequest, tags: &[&Tag]) -> HashMap<Tag, String> {
        if tags.is_empty() {
            return HashMap::new();
        }
        let all = self.of_path(request.destination.path());
        let counts = |older: &OlderImage<'_>, tag: &Tag| {
            older.is_recorded(image, tag) || self.was_written_here(older, tag)
        };
        let mut conflicts = imgop_core::copy::conflicts(image, request, tags, all.iter(), counts);
        let again = "; this one is checked again every few minutes, or at kubectl imgop sync";
        for message in conflicts.values_mut() {
            message.push_str(again);
        }
        conflicts
    }

    /// Returns whether this process has put a tag where the claim is. A tag that is named after a content,
    /// which need not be the claimant's own, must have been put by the claimant itself, in any namespace. That
    /// many names have no room in a status: a restart forgets them until one of the two Images is copied again.
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
mod tests {
    use imgop_core::api::conditions::{NewCondition, STALLED, merge, reasons};
    use imgop_core::api::{ImageStatus, Mode, Phase};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::controller::Stored;
    use crate::image::tests::fixtures::{image, now, request};

    /// `argocd` from another source, an hour older.
    fn older(edit: impl FnOnce(&mut Image)) -> Image {
        let mut other = image(Mode::Recurrent);
        other.metadata.name = Some("older".into());
        other.metadata.uid = Some("6f1d9a52-0000-4000-8000-000000000000".into());
        other.metadata.creation_timestamp = Some(Time(now() - std::time::Duration::from_hours(1)));
        other.spec.source.name = "ghcr.io/fork/argocd".into();
        edit(&mut other);
        other
    }

    fn younger() -> Image {
        let mut image = image(Mode::Recurrent);
        image.metadata.creation_timestamp = Some(Time(now()));
        image
    }

    fn conflicts(other: Image) -> Conflicts {
        let (store, mut writer) = kube::runtime::reflector::store();
        let other = Stored::of(&kube::core::DeserializeGuard(Ok(other)));
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(other));
        Conflicts::new(Objects::new([store]))
    }

    fn conflict_of(conflicts: &Conflicts, image: &Image) -> Option<String> {
        let tag: Tag = "v2.13.1".parse().unwrap();
        conflicts.conflicts(image, &request(image), &[&tag]).remove(&tag)
    }

    fn conflict(image: &Image, other: Image) -> Option<String> {
        conflict_of(&conflicts(other), image)
    }

    fn stalled(reason: &'static str) -> ImageStatus {
        let condition = NewCondition { type_: STALLED, status: Some(true), reason, message: String::new() };
        ImageStatus {
            conditions: merge(&[], vec![condition], Some(1), now()),
            observed_generation: Some(1),
            ..ImageStatus::default()
        }
    }

    #[test]
    fn a_tag_belongs_to_the_oldest_image_that_selects_it() {
        insta::assert_snapshot!(conflict(&younger(), older(|_| {})).unwrap(), @r#"registry.example.com:5000/mirror/argocd:v2.13.1 belongs to Image "older", which is older and copies it from ghcr.io/fork/argocd; give one of them another destination or delete it; this one is checked again every few minutes, or at kubectl imgop sync"#);
        let reversed = older(|_| {});
        assert_eq!(conflict(&reversed, younger()), None, "the older one goes on");
        let mut same_second = younger();
        same_second.metadata.creation_timestamp = older(|_| {}).metadata.creation_timestamp;
        assert!(conflict(&same_second, older(|_| {})).is_some(), "the lower UID wins");
    }

    #[test]
    fn another_namespace_counts_once_it_has_written_there_and_is_not_named() {
        let other = older(|o| o.metadata.namespace = Some("team-b".into()));
        let (uid, destination) = (other.metadata.uid.clone().unwrap(), request(&other).destination);
        let conflicts = conflicts(other);
        assert_eq!(conflict_of(&conflicts, &younger()), None, "who never wrote there may have no right to");
        assert_eq!(conflicts.written_to(&uid), None);
        conflicts.record_write(&uid, &destination, &"v2.13.2".parse().unwrap());
        assert_eq!(conflicts.written_to(&uid), Some(destination));
        insta::assert_snapshot!(conflict_of(&conflicts, &younger()).unwrap(), @"registry.example.com:5000/mirror/argocd:v2.13.1 belongs to an Image of another namespace, which is older; give this one another destination; this one is checked again every few minutes, or at kubectl imgop sync");
        conflicts.record_write(&uid, &"a.example/elsewhere".parse().unwrap(), &"v2.13.1".parse().unwrap());
        assert_eq!(conflict_of(&conflicts, &younger()), None, "it writes elsewhere now");
        conflicts.evict(|_| false);
        assert!(conflicts.written.lock().is_empty());
    }

    #[test]
    fn another_namespace_still_counts_after_a_restart() {
        let wrote_to = |repository: &str| {
            older(|o| {
                o.metadata.namespace = Some("team-b".into());
                let written_to = Some(repository.to_owned());
                o.status = Some(ImageStatus { written_to, ..ImageStatus::default() });
            })
        };
        let destination = younger().spec.destination.name;
        assert!(conflict(&younger(), wrote_to(&destination)).is_some());
        assert_eq!(conflict(&younger(), wrote_to("a.example/elsewhere")), None);
        let elsewhere = |o: Image| {
            let mut o = o;
            o.spec.destination.name = "a.example/mirror/argocd".into();
            o
        };
        assert_eq!(conflict(&younger(), elsewhere(wrote_to(&destination))), None);
    }

    #[test]
    fn a_forged_status_of_another_namespace_is_still_taken_for_proof() {
        let forged = older(|o| {
            o.metadata.namespace = Some("attacker".into());
            let written_to = Some(o.spec.destination.name.clone());
            o.status = Some(ImageStatus { written_to, ..ImageStatus::default() });
        });
        let conflicts = conflicts(forged);
        assert!(
            conflict_of(&conflicts, &younger()).is_some(),
            "nothing was put for it, and it keeps the tag"
        );
        assert!(conflicts.written.lock().is_empty());
        let signature: Tag = format!("{}.sig", "sha256-".to_owned() + &"0".repeat(64)).parse().unwrap();
        let image = younger();
        let kept = conflicts.conflicts(&image, &request(&image), &[&signature]);
        assert!(kept.is_empty(), "a tag that is named after a content needs the proof of this process");
    }

    #[test]
    fn what_refers_to_a_content_belongs_to_who_put_it_even_in_one_namespace() {
        let all = |mut image: Image| {
            image.spec.referrers = imgop_core::api::Referrers::All;
            image
        };
        let digest = imgop_registry::reference::Digest::of(b"a");
        let tag: Tag = format!("{}.sig", digest.as_str().replace(':', "-")).parse().unwrap();
        let other = all(older(|o| {
            let written_to = Some(o.spec.destination.name.clone());
            o.status = Some(ImageStatus { written_to, ..ImageStatus::default() });
        }));
        let (uid, destination) = (other.metadata.uid.clone().unwrap(), request(&other).destination);
        let (conflicts, image) = (conflicts(other), all(younger()));
        let is_conflict = || !conflicts.conflicts(&image, &request(&image), &[&tag]).is_empty();
        assert!(!is_conflict(), "the content may be none of the older one's");
        conflicts.record_write(&uid, &destination, &"v2.13.1".parse().unwrap());
        assert!(!is_conflict());
        conflicts.record_write(&uid, &destination, &tag);
        assert!(is_conflict());
    }

    #[test]
    fn only_images_with_the_same_destination_are_compared_also_after_an_edit() {
        let (store, mut writer) = kube::runtime::reflector::store();
        let conflicts = Conflicts::new(Objects::new([store]));
        let mut apply = |image: Image| {
            conflicts.seen(&image);
            let image = Stored::of(&kube::core::DeserializeGuard(Ok(image)));
            writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(image));
        };
        for n in 0..100 {
            apply(older(|o| {
                o.metadata.name = Some(format!("elsewhere-{n}"));
                o.spec.destination.name = format!("registry.example.com:5000/other/{n}");
            }));
        }
        let path = |image: &Image| destination_path(image).unwrap();
        assert!(conflicts.of_path(&path(&younger())).is_empty());
        apply(older(|o| {
            o.metadata.name = Some("elsewhere-7".to_owned());
        }));
        assert_eq!(conflicts.of_path(&path(&younger())).len(), 1);
        assert!(conflict_of(&conflicts, &younger()).is_some(), "it was edited");
        conflicts.evict(|_| true);
        assert_eq!(conflicts.by_destination.lock().len(), 100, "and its earlier destination is forgotten");
    }

    #[tokio::test]
    async fn an_image_that_was_edited_while_all_are_listed_anew_is_compared_whatever_is_evicted_meanwhile() {
        let (store, mut writer) = kube::runtime::reflector::store();
        let agent = crate::image::tests::fixtures::agent(imgop_fakes::ApiServer::default().client());
        let images = crate::image::Images::new(agent, Objects::new([store.clone()]));
        let mut watch = |event| {
            writer.apply_watcher_event(&event);
            crate::controller::show(&Ok(event), &store, &images);
        };
        let guarded = |image| Stored::of(&kube::core::DeserializeGuard(Ok(image)));
        let elsewhere = older(|o| o.spec.destination.name = "registry.example.com:5000/other".into());
        watch(Event::Apply(guarded(elsewhere)));
        watch(Event::Init);
        watch(Event::InitApply(guarded(older(|_| {}))));
        images.conflicts.evict(|_| true);
        watch(Event::InitDone);
        assert!(conflict_of(&images.conflicts, &younger()).is_some());
    }

    #[test]
    fn nothing_is_judged_before_all_images_are_known() {
        let (known, mut writer) = kube::runtime::reflector::store();
        let (unknown, _writer) = kube::runtime::reflector::store();
        assert!(!Conflicts::new(Objects::new([unknown.clone()])).is_known());
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Init);
        writer.apply_watcher_event(&kube::runtime::watcher::Event::InitDone);
        assert!(Conflicts::new(Objects::new([known.clone()])).is_known());
        assert!(!Conflicts::new(Objects::new([known, unknown])).is_known());
    }

    #[test]
    fn no_contest_where_the_destination_the_tag_or_the_content_is_another() {
        assert_eq!(
            conflict(&younger(), older(|o| o.spec.destination.name = "a.example/mirror/argocd".into())),
            None
        );
        let spelled = |host: &str| older(|o| o.spec.destination.name = format!("{host}/mirror/argocd"));
        assert!(conflict(&younger(), spelled("registry.example.com:05000")).is_some(), "the same place");
        assert_eq!(conflict(&younger(), spelled("registry.example.com")), None);
        assert_eq!(conflict(&younger(), older(|o| o.spec.source.version = "v2.14.x".into())), None);
        let same_source = younger().spec.source.name;
        assert_eq!(conflict(&younger(), older(|o| o.spec.source.name = same_source)), None);
        assert_eq!(
            conflict(&younger(), older(|o| o.spec.source.version = "2.x.y".into())),
            None,
            "unreadable"
        );
    }

    #[test]
    fn who_does_not_write_keeps_no_tag() {
        assert_eq!(conflict(&younger(), older(|o| o.spec.suspend = true)), None);
        assert_eq!(conflict(&younger(), older(|o| o.metadata.deletion_timestamp = Some(Time(now())))), None);
        let unauthorized = older(|o| o.status = Some(stalled(reasons::REGISTRY_UNAUTHORIZED)));
        assert!(conflict(&younger(), unauthorized).is_some(), "it will be back");
        assert!(
            conflict(&younger(), older(|o| o.status = Some(stalled(reasons::DESTINATION_CONFLICT))))
                .is_some()
        );
        let done = |o: &mut Image| {
            o.spec.mode = Mode::OneShot;
            o.status = Some(ImageStatus {
                phase: Some(Phase::Completed),
                observed_generation: Some(1),
                ..ImageStatus::default()
            });
        };
        assert_eq!(conflict(&younger(), older(done)), None);
        let edited = |o: &mut Image| {
            done(o);
            o.metadata.generation = Some(2);
        };
        assert!(conflict(&younger(), older(edited)).is_some());
    }
}
