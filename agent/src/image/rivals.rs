//! Other Images that mean the same tags of the same destination.
//!
//! Two that put different content under one tag would overwrite each other for ever. So a tag belongs
//! to the oldest Image that means it (reliability.md §2, I2); the others say so and leave it alone.

use std::collections::HashMap;
use std::sync::OnceLock;

use imgop_core::api::conditions::{STALLED, find, reasons};
use imgop_core::api::{Image, Mode, Phase};
use imgop_core::plan::CopyRequest;
use imgop_core::reference::Repository;
use imgop_core::tags::Tag;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::Store;

use super::Guarded;

/// All Images that this process watches.
#[derive(Default)]
pub struct Rivals(OnceLock<Vec<Store<Guarded>>>);

impl Rivals {
    /// Says where the Images are; once, before the first look.
    pub fn watch(&self, stores: Vec<Store<Guarded>>) {
        // A second call would come from a second controller, of which there is none.
        let _ = self.0.set(stores);
    }

    /// Which of these tags belong to older Images, and what is said of it.
    pub fn taken(&self, image: &Image, request: &CopyRequest, tags: &[&Tag]) -> HashMap<Tag, String> {
        let mut taken = HashMap::new();
        if tags.is_empty() {
            return taken;
        }
        for other in self.0.get().into_iter().flatten().flat_map(Store::state) {
            if let Ok(other) = &other.0
                && let Some(older) = older_claimant(image, &request.destination, other)
            {
                taken.extend(tags.iter().filter_map(|tag| {
                    let theirs = older.claim(tag)?;
                    // The same tag of the same source is the same content, whoever copies it.
                    (request.claim(tag).as_ref() != Some(&theirs))
                        .then(|| (Tag::clone(tag), said(image, other, &older, tag)))
                }));
            }
        }
        taken
    }
}

/// What another Image asks for, if it writes to this destination and came first.
fn older_claimant(image: &Image, destination: &Repository, other: &Image) -> Option<CopyRequest> {
    // Of thousands of Images few have the same last part, so that few are parsed.
    let last_part = destination.path().rsplit('/').next()?;
    let may_meet = other.spec.destination.name.rsplit('/').next() == Some(last_part);
    if !may_meet || age(other) >= age(image) || !holds_claims(other) {
        return None;
    }
    CopyRequest::parse(&other.spec).ok().filter(|request| request.destination == *destination)
}

/// What orders Images: the older first, of two of one second the one with the lower UID.
fn age(image: &Image) -> (Option<Timestamp>, Option<&str>) {
    (image.creation_timestamp().map(|at| at.0), image.metadata.uid.as_deref())
}

/// Whether an Image still writes: one that cannot, or that is done for good, keeps no tag from others.
fn holds_claims(image: &Image) -> bool {
    if image.spec.suspend || image.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let Some(status) = &image.status else { return true };
    let is_current = status.observed_generation == image.metadata.generation;
    let is_done = image.spec.mode == Mode::OneShot && status.phase == Some(Phase::Completed);
    let stalled = find(&status.conditions, STALLED);
    let cannot_write =
        stalled.is_some_and(|c| c.status == "True" && c.reason != reasons::DESTINATION_CONFLICT);
    !(is_current && (is_done || cannot_write))
}

/// Other namespaces are nobody's business, so their Images are not named.
fn said(image: &Image, other: &Image, request: &CopyRequest, tag: &Tag) -> String {
    let place = format!("{}:{tag}", request.destination);
    let fix = "give one of them another destination, or delete it";
    if image.namespace() == other.namespace() {
        let (name, source) = (other.name_any(), &request.source);
        format!("Image {name:?}, which is older, keeps {place} from {source}; {fix}")
    } else {
        format!(
            "an Image of another namespace, which is older, keeps {place}; give this one another destination"
        )
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageStatus;
    use imgop_core::api::conditions::{NewCondition, merge};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::image::fixtures::{image, now, request};

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

    fn taken(image: &Image, other: Image) -> Option<String> {
        let (store, mut writer) = kube::runtime::reflector::store();
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(kube::core::DeserializeGuard(Ok(
            other,
        ))));
        let rivals = Rivals::default();
        rivals.watch(vec![store]);
        let tag: Tag = "v2.13.1".parse().unwrap();
        rivals.taken(image, &request(image), &[&tag]).remove(&tag)
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
    fn i2_a_tag_belongs_to_the_oldest_image_that_means_it() {
        insta::assert_snapshot!(taken(&younger(), older(|_| {})).unwrap(), @r#"Image "older", which is older, keeps registry.example.com:5000/mirror/argocd:v2.13.1 from ghcr.io/fork/argocd; give one of them another destination, or delete it"#);
        let reversed = older(|_| {});
        assert_eq!(taken(&reversed, younger()), None, "the older one goes on");
        let mut same_second = younger();
        same_second.metadata.creation_timestamp = older(|_| {}).metadata.creation_timestamp;
        assert!(taken(&same_second, older(|_| {})).is_some(), "the lower UID wins");
    }

    #[test]
    fn another_namespace_is_not_named() {
        let said = taken(&younger(), older(|o| o.metadata.namespace = Some("team-b".into()))).unwrap();
        insta::assert_snapshot!(said, @"an Image of another namespace, which is older, keeps registry.example.com:5000/mirror/argocd:v2.13.1; give this one another destination");
    }

    #[test]
    fn no_contest_where_the_destination_the_tag_or_the_content_is_another() {
        assert_eq!(
            taken(&younger(), older(|o| o.spec.destination.name = "a.example/mirror/argocd".into())),
            None
        );
        assert_eq!(taken(&younger(), older(|o| o.spec.source.version = "v2.14.x".into())), None);
        let same_source = younger().spec.source.name;
        assert_eq!(taken(&younger(), older(|o| o.spec.source.name = same_source)), None);
        assert_eq!(taken(&younger(), older(|o| o.spec.source.version = "2.x.y".into())), None, "unreadable");
    }

    #[test]
    fn who_does_not_write_keeps_no_tag() {
        assert_eq!(taken(&younger(), older(|o| o.spec.suspend = true)), None);
        assert_eq!(taken(&younger(), older(|o| o.metadata.deletion_timestamp = Some(Time(now())))), None);
        assert_eq!(
            taken(&younger(), older(|o| o.status = Some(stalled(reasons::REGISTRY_UNAUTHORIZED)))),
            None
        );
        assert!(
            taken(&younger(), older(|o| o.status = Some(stalled(reasons::DESTINATION_CONFLICT)))).is_some()
        );
        let done = |o: &mut Image| {
            o.spec.mode = Mode::OneShot;
            o.status = Some(ImageStatus {
                phase: Some(Phase::Completed),
                observed_generation: Some(1),
                ..ImageStatus::default()
            });
        };
        assert_eq!(taken(&younger(), older(done)), None);
        let edited = |o: &mut Image| {
            done(o);
            o.metadata.generation = Some(2);
        };
        assert!(taken(&younger(), older(edited)).is_some());
    }
}
