//! Quay's tokens: a repository that only a push would create.

use imgop_fakes::{QuayTokens, basic, names, settings};
use imgop_registry::Access;
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Manifest, Reason, Registries};

fn robot() -> Access {
    basic(QuayTokens::ROBOT, QuayTokens::PASSWORD)
}

fn v1() -> ManifestRef {
    ManifestRef::Tag("v1".parse().unwrap())
}

#[tokio::test]
async fn a_first_copy_goes_into_a_repository_that_the_push_creates() {
    let quay = QuayTokens::start().await;
    let client = Registries::new(settings()).push_target(&quay.http.repository("team/new"), &robot());
    assert!(client.head(&v1()).await.unwrap().is_none(), "the tag is absent and not refused");
    assert!(names(&client.tags().await.unwrap()).is_empty());
    let index = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
    let manifest = Manifest::new("application/vnd.oci.image.index.v1+json", index.into());
    client.put_manifest(&v1(), &manifest).await.unwrap();
}

#[tokio::test]
async fn a_source_or_a_preview_never_creates_a_repository() {
    let quay = QuayTokens::start().await;
    let client = Registries::new(settings()).repository(&quay.http.repository("team/new"), &robot());
    for _ in 0..2 {
        assert_eq!(*client.head(&v1()).await.unwrap_err().reason(), Reason::Unauthorized);
    }
    assert_eq!(quay.repositories(), [""; 0]);
    assert!(quay.http.lines().iter().all(|line| !line.contains("push")), "{:?}", quay.http.lines());
}

#[tokio::test]
async fn a_right_to_push_that_a_destination_was_given_is_not_asked_for_by_a_source() {
    let (quay, registries) = (QuayTokens::start().await, Registries::new(settings()));
    let repository = quay.http.repository("team/new");
    registries.push_target(&repository, &robot()).head(&v1()).await.unwrap();
    let before = quay.http.lines().len();
    assert!(registries.repository(&repository, &robot()).head(&v1()).await.unwrap().is_none());
    let since = &quay.http.lines()[before..];
    assert!(since.iter().all(|line| !line.contains("push")), "{since:?}");
}

#[tokio::test]
async fn a_robot_of_another_organization_is_refused() {
    let quay = QuayTokens::start().await;
    let client = Registries::new(settings()).push_target(&quay.http.repository("other/new"), &robot());
    assert_eq!(*client.head(&v1()).await.unwrap_err().reason(), Reason::Unauthorized);
    assert_eq!(quay.repositories(), [""; 0]);
}
