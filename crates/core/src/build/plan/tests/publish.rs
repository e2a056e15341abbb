//! What the tags show, and when.

use imgop_registry::reference::{Repository, Tag};

use super::*;

fn built(platforms: &[&str]) -> Vec<PlannedPart> {
    platforms
        .iter()
        .map(|platform| PlannedPart {
            platform: platform.parse().unwrap(),
            action: PartAction::Built(Digest::of(platform.as_bytes())),
        })
        .collect()
}

fn seen(request: &BuildRequest, shown: &[Option<&Digest>]) -> Vec<TagSeen> {
    let tags: Vec<(Repository, Tag)> = request.destination.tags.clone();
    tags.into_iter()
        .zip(shown)
        .map(|((repository, tag), digest)| TagSeen { repository, tag, digest: digest.cloned() })
        .collect()
}

#[test]
fn b12_one_platform_is_the_tag_itself_and_several_are_an_index() {
    let one = request(|spec| spec.architecture = Some(Architecture::Arm64));
    let digest = Digest::of(b"linux/arm64");
    let tags = one.destination.tags.clone();
    let step = publication(&one, (1, 1), &built(&["linux/arm64"]), None, &[]);
    assert_eq!(step, Publication::SetTags(digest.clone(), tags));
    assert_eq!(
        publication(&one, (1, 1), &built(&["linux/arm64"]), None, &seen(&one, &[Some(&digest)])),
        Publication::Done(digest)
    );
    let both = request(|_| {});
    let step = publication(&both, (1, 1), &built(&["linux/amd64", "linux/arm64"]), None, &[]);
    assert!(matches!(step, Publication::PutIndex(parts) if parts.len() == 2));
}

#[test]
fn tags_are_last_and_in_their_order() {
    let request = request(|spec| spec.image.additional_tags = vec!["latest".into(), "v1.0".into()]);
    let (parts, index, old) =
        (built(&["linux/amd64", "linux/arm64"]), Digest::of(b"index"), Digest::of(b"old"));
    let step = |shown: &[Option<&Digest>]| {
        publication(&request, (2, 2), &parts, Some(&index), &seen(&request, shown))
    };
    let names = |publication: Publication| match publication {
        Publication::SetTags(_, tags) => tags.iter().map(|(_, tag)| tag.to_string()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(names(step(&[None, Some(&old), None])), ["v1", "latest", "v1.0"]);
    assert_eq!(names(step(&[Some(&index), Some(&old), Some(&index)])), ["latest"]);
    assert_eq!(step(&[Some(&index); 3]), Publication::Done(index.clone()));
    let mut waiting = parts.clone();
    waiting[1].action = PartAction::Wait;
    let missing = publication(&request, (2, 2), &waiting, Some(&index), &[]);
    assert_eq!(missing, Publication::PartsMissing, "no index and no tag with a part that failed");
}

#[test]
fn an_older_build_never_takes_the_tags_of_a_newer_one() {
    let request = request(|_| {});
    let parts = built(&["linux/amd64", "linux/arm64"]);
    assert_eq!(publication(&request, (7, 8), &parts, Some(&Digest::of(b"i")), &[]), Publication::Superseded);
}
