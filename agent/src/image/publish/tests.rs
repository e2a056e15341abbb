//! Tags that are set at a small registry on loopback.

use imgop_core::api::Mode;
use imgop_fakes::{IMAGE, INDEX, WritableRegistry};
use imgop_registry::oci::{Platforms, Referrer};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries, Settings};

use super::*;
use crate::image::tests::fixtures::{copy, image, now, request};

fn image_of(name: &str) -> String {
    format!(r#"{{"mediaType":"{IMAGE}","annotations":{{"name":"{name}"}}}}"#)
}

/// An index of an image for each of these architectures.
fn index_of(architectures: &[&str]) -> String {
    let entry = |architecture: &&str| {
        let image = image_of(architecture);
        let (digest, size) = (Digest::of(image.as_bytes()), image.len());
        format!(
            r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
        )
    };
    let entries: Vec<String> = architectures.iter().map(entry).collect();
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","))
}

/// A copy of tag `v1` from one registry to the other.
struct Case {
    source: WritableRegistry,
    destination: WritableRegistry,
    request: CopyRequest,
}

impl Case {
    async fn new() -> Self {
        let (source, destination) = (WritableRegistry::start().await, WritableRegistry::start().await);
        let mut request = request(&image(Mode::Recurrent));
        (request.source, request.destination) = (source.repository("app"), destination.repository("app"));
        request.platforms = Platforms::parse(&["linux/amd64".into()]).unwrap();
        Self { source, destination, request }
    }

    async fn publish(&self, copy: &Copy) -> Published {
        let registries = Registries::new(Settings { system_proxy: false, ..Settings::default() });
        let client = |repository| registries.repository(repository, &Access::default());
        let sides = (&client(&self.request.source), &client(&self.request.destination));
        publish(sides, &self.request, copy, now()).await.unwrap()
    }

    /// The copy of the amd64 image of what the source has under this digest.
    fn subset(&self, whole: &Digest, text: &str) -> Copy {
        let whole_manifest = Manifest::new(INDEX, text.to_owned().into());
        let Ok(Subset::Narrowed(made)) = subset(&whole_manifest, &self.request.platforms) else {
            panic!("nothing to rewrite")
        };
        let made_of = MadeOf { origin: Origin::PlatformsOf(whole.clone()), parts: made.parts };
        Copy { digest: made.manifest.digest, made_of: Some(made_of), ..copy("v1", 1) }
    }

    fn referrers(&self, subject: &Digest, names: &[&str]) -> Vec<Referrer> {
        let referrer = |name: &&str| Referrer {
            media_type: IMAGE.into(),
            digest: Digest::of(name.as_bytes()),
            size: 1,
            artifact_type: None,
            annotations: None,
        };
        let referrers: Vec<Referrer> = names.iter().map(referrer).collect();
        let listed = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": referrers });
        self.source.hold(&format!("/v2/app/referrers/{subject}"), &listed.to_string());
        referrers
    }
}

#[tokio::test]
async fn a_tag_gets_the_content_that_a_job_has_pushed_byte_for_byte() {
    let case = Case::new().await;
    let digest = case.destination.hold_content("app", &index_of(&["amd64", "arm64"]));
    let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await;
    let Published::Seen(seen, Some(manifest)) = published else { panic!("{published:?}") };
    assert_eq!((&seen, &manifest.digest), (&digest, &digest));
    assert_eq!(case.destination.manifest("app", "v1"), Some(index_of(&["amd64", "arm64"])));
}

#[tokio::test]
async fn a_tag_that_a_job_has_pushed_is_only_asked_for_and_no_manifest_is_said_to_be_put() {
    let mut case = Case::new().await;
    case.request.publish = Publish::Direct;
    case.destination.hold_manifest("app", "v1", &image_of("pushed"));
    let digest = Digest::of(image_of("pushed").as_bytes());
    let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await;
    assert!(matches!(&published, Published::Seen(seen, None) if *seen == digest));
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn content_that_is_gone_is_said_to_be_gone_and_no_tag_is_set() {
    let case = Case::new().await;
    let published = case.publish(&copy("v1", 1)).await;
    assert!(matches!(published, Published::Failed(Outcome::ContentGone { .. })), "{published:?}");
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn a_tag_that_has_come_meanwhile_is_kept_where_only_missing_ones_are_wanted() {
    let mut case = Case::new().await;
    case.request.overwrite = Overwrite::IfMissing;
    let digest = case.destination.hold_content("app", &index_of(&["amd64"]));
    case.destination.hold_manifest("app", "v1", &image_of("another"));
    let published = case.publish(&Copy { digest, ..copy("v1", 1) }).await;
    let another = Digest::of(image_of("another").as_bytes());
    assert!(matches!(&published, Published::Seen(there, None) if *there == another));
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn an_index_of_some_platforms_is_made_of_what_the_source_has_under_the_planned_digest() {
    let case = Case::new().await;
    let text = index_of(&["amd64", "arm64"]);
    let whole = case.source.hold_content("app", &text);
    let copy = case.subset(&whole, &text);
    let published = case.publish(&copy).await;
    assert!(matches!(&published, Published::Seen(seen, Some(_)) if *seen == copy.digest));
    let there = case.destination.manifest("app", "v1").unwrap();
    assert!(there.contains("amd64") && !there.contains("arm64"), "{there}");
}

#[tokio::test]
async fn a_part_that_the_destination_lacks_makes_the_content_be_copied_again() {
    for code in ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"] {
        let case = Case::new().await;
        case.destination.refuse_puts(code);
        let text = index_of(&["amd64", "arm64"]);
        let whole = case.source.hold_content("app", &text);
        let published = case.publish(&case.subset(&whole, &text)).await;
        assert!(matches!(published, Published::Failed(Outcome::ContentGone { .. })), "{code}: {published:?}");
    }
}

#[tokio::test]
async fn an_index_that_the_source_has_no_more_is_not_made_of_something_else() {
    let case = Case::new().await;
    let text = index_of(&["amd64", "arm64"]);
    let copy = case.subset(&Digest::of(text.as_bytes()), &text);
    let message = |published| match published {
        Published::Failed(Outcome::Failed { reason: FailureReason::CopyFailed, message, .. }) => message,
        other => panic!("{other:?}"),
    };
    let said = message(case.publish(&copy).await);
    assert_eq!(said, format!("the source has {} no more", Digest::of(text.as_bytes())));

    let subject = Digest::of(b"image");
    let planned = case.referrers(&subject, &["signature"]);
    let (index, parts) = referrers_index(&planned).unwrap();
    let made_of = MadeOf { origin: Origin::ReferrersOf(subject.clone()), parts };
    let copy = Copy { digest: index.digest.clone(), made_of: Some(made_of), ..copy };
    case.referrers(&subject, &["signature", "sbom"]);
    let said = message(case.publish(&copy).await);
    assert_eq!(said, format!("what the source has makes {} no more", index.digest));
    assert_eq!(case.destination.count("PUT"), 0, "no tag was set");

    case.referrers(&subject, &["signature"]);
    let published = case.publish(&copy).await;
    assert!(matches!(&published, Published::Seen(seen, Some(_)) if *seen == index.digest));
}
