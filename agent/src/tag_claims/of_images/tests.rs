use imgop_core::api::conditions::{NewCondition, STALLED, merge, reasons};
use imgop_core::api::{ImageStatus, Mode, Phase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::watcher::Event;

use imgop_core::copy::{ObservedTag, Seen};

use super::*;
use crate::controller::Stored;
use crate::image::tests::fixtures::{image, now, request};
use crate::tag_claims::dispute_message;

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
    conflicts.conflicts(image, &request(image), &[&tag], &AccessPolicy::default()).remove(&tag)
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
fn an_image_that_leaves_its_destination_open_keeps_its_tags_where_its_namespaces_default_is() {
    let (store, mut writer) = kube::runtime::reflector::store();
    let open = older(|o| o.spec.destination.name = String::new());
    let open = Stored::of(&kube::core::DeserializeGuard(Ok(open)));
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(open));
    let by_default = younger().spec.destination.name;
    let conflicts = Conflicts::new(Objects::new([store]).completed_by(move |mut image: Image| {
        if image.spec.destination.name.is_empty() {
            image.spec.destination.name.clone_from(&by_default);
        }
        image
    }));
    assert!(conflict_of(&conflicts, &younger()).is_some());
    conflicts.evict(|_| true);
    assert!(conflict_of(&conflicts, &younger()).is_some(), "it is still there");
}

fn observed() -> Observed {
    let there = || Seen::Present(imgop_registry::reference::Digest::of(b"a"));
    let tag: Tag = "v2.13.1".parse().unwrap();
    let tag = ObservedTag::whole(tag.clone(), tag, there(), there());
    Observed { tags: vec![tag], ..Observed::default() }
}

fn elsewhere(edit: impl FnOnce(&mut Image)) -> Image {
    older(|o| {
        o.metadata.namespace = Some("team-b".into());
        edit(o);
    })
}

#[test]
fn an_image_of_another_namespace_keeps_no_tag_whatever_was_written_for_it_or_its_status_holds() {
    let other = elsewhere(|o| {
        let status = serde_json::json!({ "phase": "COMPLETED", "writtenTo": o.spec.destination.name,
            "tagAlreadySynced": ["v2.13.1"], "history": [{ "performedAt": "2026-11-28T12:00:00Z", "copied": 1 }] });
        o.status = Some(serde_json::from_value(status).unwrap());
    });
    let (uid, destination) = (other.metadata.uid.clone().unwrap(), request(&other).destination);
    let conflicts = conflicts(other.clone());
    conflicts.record_write(&uid, &destination, &"v2.13.1".parse().unwrap());
    assert_eq!(conflicts.written_to(&uid), Some(destination));
    assert_eq!(conflict_of(&conflicts, &younger()), None);
    conflicts.evict(|_| false);
    assert!(conflicts.written.lock().is_empty());
}

#[test]
fn a_tag_that_two_namespaces_give_other_content_is_disputed_by_both_and_neither_is_named() {
    let (one, two) = (younger(), elsewhere(|_| {}));
    for (image, other) in [(&one, &two), (&two, &one)] {
        let disputed = conflicts(other.clone()).disputed(
            image,
            &request(image),
            &observed(),
            &AccessPolicy::default(),
            |_| false,
        );
        let message = dispute_message(&disputed).unwrap();
        assert!(!message.contains(&other.name_any()) && !message.contains("team-b"), "{message}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(message, @"objects of other namespaces give v2.13.1 other content, and each overwrites what the other put, until one of them has another destination or an administrator decides with a RegistryAccess who may write there");
        }
    }
    let none = |other: Image| {
        conflicts(other)
            .disputed(&one, &request(&one), &observed(), &AccessPolicy::default(), |_| false)
            .is_empty()
    };
    let refused =
        conflicts(two).disputed(&one, &request(&one), &observed(), &AccessPolicy::default(), |namespace| {
            namespace == "team-b"
        });
    assert!(refused.is_empty(), "who may not write there gives no content");
    assert!(none(older(|_| {})), "in one namespace the older one keeps it");
    assert!(none(elsewhere(|o| o.spec.suspend = true)));
    assert!(none(elsewhere(|o| o.spec.source.name = one.spec.source.name.clone())), "the same content");
    assert!(none(elsewhere(|o| o.spec.destination.name = "a.example/mirror/argocd".into())));
    assert_eq!(dispute_message(&BTreeSet::new()), None);
}

#[test]
fn what_refers_to_a_content_belongs_to_who_put_it_even_in_one_namespace() {
    let all = |mut image: Image| {
        image.spec.referrers = imgop_core::api::Referrers::All;
        image
    };
    let digest = imgop_registry::reference::Digest::of(b"a");
    let tag: Tag = format!("{}.sig", digest.as_str().replace(':', "-")).parse().unwrap();
    let other = all(older(|_| {}));
    let (uid, destination) = (other.metadata.uid.clone().unwrap(), request(&other).destination);
    let (conflicts, image) = (conflicts(other), all(younger()));
    let is_conflict =
        || !conflicts.conflicts(&image, &request(&image), &[&tag], &AccessPolicy::default()).is_empty();
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
    assert_eq!(conflict(&younger(), older(|o| o.spec.source.version = "2.x.y".into())), None, "unreadable");
}

#[test]
fn who_does_not_write_keeps_no_tag() {
    assert_eq!(conflict(&younger(), older(|o| o.spec.suspend = true)), None);
    assert_eq!(conflict(&younger(), older(|o| o.metadata.deletion_timestamp = Some(Time(now())))), None);
    let unauthorized = older(|o| o.status = Some(stalled(reasons::REGISTRY_UNAUTHORIZED)));
    assert!(conflict(&younger(), unauthorized).is_some(), "it will be back");
    assert!(
        conflict(&younger(), older(|o| o.status = Some(stalled(reasons::DESTINATION_CONFLICT)))).is_some()
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

#[test]
fn names_of_one_registry_that_administrators_gave_are_one_destination() {
    let fields = serde_json::json!({ "hosts": ["registry.example.com:5000"], "aliases": ["r.corp"],
        "repositories": ["/"], "actions": ["Pull"] });
    let (grant, _) = imgop_core::access::Grant::parse("corp", &serde_json::from_value(fields).unwrap());
    let policy = AccessPolicy::new([grant], Vec::new());
    let (image, tag): (Image, Tag) = (younger(), "v2.13.1".parse().unwrap());
    let aliased = |edit: fn(&mut Image)| {
        let mut other = older(edit);
        other.spec.destination.name = "r.corp/mirror/argocd".into();
        other
    };
    let conflicts_by = |other: Image, policy: &AccessPolicy| {
        conflicts(other).conflicts(&image, &request(&image), &[&tag], policy).remove(&tag)
    };
    assert!(
        conflicts_by(aliased(|_| {}), &policy).unwrap().starts_with("r.corp/mirror/argocd:v2.13.1 belongs")
    );
    assert_eq!(conflicts_by(aliased(|_| {}), &AccessPolicy::default()), None, "no administrator says so");
    let elsewhere = conflicts(aliased(|other| other.metadata.namespace = Some("team-b".into())));
    let disputed = elsewhere.disputed(&image, &request(&image), &observed(), &policy, |_| false);
    assert!(!disputed.is_empty());
}

#[test]
fn every_other_image_of_a_destination_claims_its_tags_be_it_suspended_or_of_another_namespace() {
    let image = younger();
    let tags: [Tag; 2] = ["v2.13.1", "v2.12.9"].map(|tag| tag.parse().unwrap());
    let claimed = |other: Image| {
        let (conflicts, policy) = (conflicts(other), AccessPolicy::default());
        let uid = image.metadata.uid.as_deref().unwrap();
        let claimed = conflicts.claimed(uid, &request(&image), &tags.each_ref(), &policy);
        claimed.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(claimed(older(|other| other.spec.suspend = true)), ["v2.13.1"]);
    assert_eq!(claimed(older(|other| other.metadata.namespace = Some("team-b".into()))), ["v2.13.1"]);
    assert_eq!(claimed(older(|other| other.spec.source.version = "[".into())), ["v2.12.9", "v2.13.1"]);
    let elsewhere = |other: &mut Image| other.spec.destination.name = "quay.io/mirror/argocd".into();
    assert!(claimed(older(elsewhere)).is_empty());
    assert!(claimed(younger()).is_empty(), "it is the Image itself");
}
