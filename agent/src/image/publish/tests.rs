//! Tags that are set at a small registry on loopback.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use imgop_core::api::Mode;
use imgop_core::index::{Platforms, Referrer};
use imgop_core::reference::{Digest, Repository};
use imgop_core::registry::{Access, Registries, Settings};
use tokio::net::TcpListener;

use super::*;
use crate::image::fixtures::{copy, image, now, request};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A fake registry of one repository, `app`. What it holds stands under `manifests/…` and `referrers/…`.
/// It may refuse every PUT with an error code.
struct Fake {
    address: SocketAddr,
    holds: Holds,
    puts: Puts,
}

type Holds = Arc<Mutex<HashMap<String, String>>>;
type Puts = Arc<Mutex<Vec<String>>>;

impl Fake {
    async fn start(refusal: Option<&'static str>) -> Self {
        let (holds, puts) = (Arc::default(), Arc::default());
        let (held, log): (Holds, Puts) = (Arc::clone(&holds), Arc::clone(&puts));
        let answer = move |request: Request| {
            let (holds, puts) = (held.clone(), log.clone());
            async move {
                let path = request.uri().path().trim_start_matches("/v2/app/").to_owned();
                let answer_with =
                    |code| Response::builder().status(404).body(Body::from(error(code))).unwrap();
                if request.method() == "PUT" {
                    let bytes = to_bytes(request.into_body(), 1 << 20).await.unwrap();
                    puts.lock().unwrap().push(path.clone());
                    if let Some(code) = refusal {
                        return answer_with(code);
                    }
                    holds.lock().unwrap().insert(path, String::from_utf8(bytes.to_vec()).unwrap());
                    return Response::builder().status(201).body(Body::empty()).unwrap();
                }
                let found = holds.lock().unwrap().get(&path).cloned();
                let Some(text) = found else { return answer_with("MANIFEST_UNKNOWN") };
                let media_type = if text.contains("\"manifests\"") { INDEX } else { IMAGE };
                Response::builder()
                    .header("content-type", media_type)
                    .header("docker-content-digest", Digest::of(text.as_bytes()).as_str())
                    .body(Body::from(text))
                    .unwrap()
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { address, holds, puts }
    }

    fn hold(&self, path: &str, text: &str) {
        self.holds.lock().unwrap().insert(path.to_owned(), text.to_owned());
    }

    /// Holds this under its digest.
    fn hold_content(&self, text: &str) -> Digest {
        let digest = Digest::of(text.as_bytes());
        self.hold(&format!("manifests/{digest}"), text);
        digest
    }

    fn under(&self, tag: &str) -> Option<String> {
        self.holds.lock().unwrap().get(&format!("manifests/{tag}")).cloned()
    }

    fn repository(&self) -> Repository {
        format!("{}/app", self.address).parse().unwrap()
    }
}

fn error(code: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#)
}

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
    source: Fake,
    destination: Fake,
    request: CopyRequest,
}

impl Case {
    async fn new(refusal: Option<&'static str>) -> Self {
        let (source, destination) = (Fake::start(None).await, Fake::start(refusal).await);
        let mut request = request(&image(Mode::Recurrent));
        (request.source, request.destination) = (source.repository(), destination.repository());
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
        let Ok(Subset::Rewritten(made)) = subset(&whole_manifest, &self.request.platforms) else {
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
        self.source.hold(&format!("referrers/{subject}"), &listed.to_string());
        referrers
    }
}

#[tokio::test]
async fn a_tag_gets_the_content_that_a_job_has_pushed_byte_for_byte() {
    let case = Case::new(None).await;
    let digest = case.destination.hold_content(&index_of(&["amd64", "arm64"]));
    let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await;
    let Published::Seen(Seen::Present(seen), Some(manifest)) = published else { panic!("{published:?}") };
    assert_eq!((&seen, &manifest.digest), (&digest, &digest));
    assert_eq!(case.destination.under("v1"), Some(index_of(&["amd64", "arm64"])));
}

#[tokio::test]
async fn a_tag_that_a_job_has_pushed_is_only_asked_for_and_no_manifest_is_said_to_be_put() {
    let mut case = Case::new(None).await;
    case.request.publish = Publish::Direct;
    case.destination.hold("manifests/v1", &image_of("pushed"));
    let digest = Digest::of(image_of("pushed").as_bytes());
    let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await;
    assert!(matches!(&published, Published::Seen(Seen::Present(seen), None) if *seen == digest));
    assert!(case.destination.puts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn content_that_is_gone_is_said_to_be_gone_and_no_tag_is_set() {
    let case = Case::new(None).await;
    let published = case.publish(&copy("v1", 1)).await;
    assert!(matches!(published, Published::Failed(Outcome::ContentGone { .. })), "{published:?}");
    assert!(case.destination.puts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tag_that_has_come_meanwhile_is_kept_where_only_missing_ones_are_wanted() {
    let mut case = Case::new(None).await;
    case.request.overwrite = Overwrite::IfMissing;
    let digest = case.destination.hold_content(&index_of(&["amd64"]));
    case.destination.hold("manifests/v1", &image_of("another"));
    let published = case.publish(&Copy { digest, ..copy("v1", 1) }).await;
    let another = Digest::of(image_of("another").as_bytes());
    assert!(matches!(&published, Published::Seen(Seen::Present(there), None) if *there == another));
    assert!(case.destination.puts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_index_of_some_platforms_is_made_of_what_the_source_has_under_the_planned_digest() {
    let case = Case::new(None).await;
    let text = index_of(&["amd64", "arm64"]);
    let whole = case.source.hold_content(&text);
    let copy = case.subset(&whole, &text);
    let published = case.publish(&copy).await;
    assert!(matches!(&published, Published::Seen(Seen::Present(seen), Some(_)) if *seen == copy.digest));
    let there = case.destination.under("v1").unwrap();
    assert!(there.contains("amd64") && !there.contains("arm64"), "{there}");
}

#[tokio::test]
async fn a_part_that_the_destination_lacks_makes_the_content_be_copied_again() {
    for code in ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"] {
        let case = Case::new(Some(code)).await;
        let text = index_of(&["amd64", "arm64"]);
        let whole = case.source.hold_content(&text);
        let published = case.publish(&case.subset(&whole, &text)).await;
        assert!(matches!(published, Published::Failed(Outcome::ContentGone { .. })), "{code}: {published:?}");
    }
}

#[tokio::test]
async fn an_index_that_the_source_has_no_more_is_not_made_of_something_else() {
    let case = Case::new(None).await;
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
    assert!(case.destination.puts.lock().unwrap().is_empty(), "no tag was set");

    case.referrers(&subject, &["signature"]);
    let published = case.publish(&copy).await;
    assert!(matches!(&published, Published::Seen(Seen::Present(seen), Some(_)) if *seen == index.digest));
}
