//! Tags that are published at a registry on loopback.

use imgop_fakes::{IMAGE, INDEX, WritableRegistry, client};
use imgop_registry::oci::{Platforms, Referrer, subset};

use super::*;
use crate::copy::fixtures::{copy, now, request};
use crate::copy::{CopyRequest, ReadAhead};

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
    /// Whether what is published was pushed only just now.
    is_new: bool,
    read_ahead: ReadAhead,
}

impl Case {
    async fn new() -> Self {
        let (source, destination) = (WritableRegistry::start().await, WritableRegistry::start().await);
        let mut request = request("v2.13.x");
        (request.source, request.destination) = (source.repository("app"), destination.repository("app"));
        request.platforms = Platforms::parse(&["linux/amd64".into()]).unwrap();
        Self { source, destination, request, is_new: true, read_ahead: ReadAhead::default() }
    }

    async fn publish(&self, copy: &Copy) -> Result<Answered, Outcome> {
        self.publish_after(copy, &HashMap::new()).await
    }

    /// Publishes it twice, if need be. The second try knows what became of the first one.
    async fn publish_twice(&self, copy: &Copy) -> Result<Answered, Outcome> {
        let first = match self.publish(copy).await {
            Err(first) => HashMap::from([(copy.clone(), first)]),
            answered => return answered,
        };
        self.publish_after(copy, &first).await
    }

    async fn publish_after(
        &self,
        copy: &Copy,
        outcomes: &HashMap<Copy, Outcome>,
    ) -> Result<Answered, Outcome> {
        let (source, destination) = (&client(&self.request.source), &client(&self.request.destination));
        let route = Route { request: &self.request, source, destination, read_ahead: Some(&self.read_ahead) };
        let end = Instant::now() + Duration::from_mins(1);
        let mut all =
            publish(route, vec![copy.clone()], outcomes, now(), end, &|_| self.is_new, &|_| {}).await;
        assert!(all.refusal.is_none());
        all.answered.pop().ok_or_else(|| all.failed.pop().unwrap().1)
    }

    /// The copy of the amd64 image of what the source has under this digest.
    fn subset(&self, whole: &Digest, text: &str) -> Copy {
        let whole_manifest = Manifest::new(INDEX, text.to_owned().into());
        let Ok(Subset::Narrowed(made)) = subset(&whole_manifest, &self.request.platforms) else {
            panic!("nothing to narrow")
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
    let published = published.unwrap();
    assert!(published.is_published() && published.is_put);
    assert_eq!(published.manifest.unwrap().digest, digest);
    assert_eq!(case.destination.manifest("app", "v1"), Some(index_of(&["amd64", "arm64"])));
}

#[tokio::test]
async fn what_was_read_ahead_is_put_without_that_it_is_read_back() {
    let case = Case::new().await;
    let text = index_of(&["amd64", "arm64"]);
    let digest = case.destination.hold_content("app", &text);
    case.read_ahead.keep(Manifest::new(INDEX, text.clone().into()));
    let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await;
    assert!(published.unwrap().is_published());
    assert_eq!(case.destination.manifest("app", "v1"), Some(text.clone()));
    assert_eq!(case.destination.count("GET"), 0);
    assert_eq!(case.read_ahead.get(&digest), None, "it has served");

    let long_ago = Case { is_new: false, ..Case::new().await };
    long_ago.read_ahead.keep(Manifest::new(INDEX, text.into()));
    let published = long_ago.publish(&Copy { digest, ..copy("v1", 1) }).await;
    assert!(matches!(published, Err(Outcome::ContentGone { .. })), "it is read back: {published:?}");
}

#[tokio::test]
async fn what_was_read_ahead_is_gone_where_the_destination_lacks_what_it_refers_to() {
    let case = Case::new().await;
    let text = index_of(&["amd64"]);
    case.read_ahead.keep(Manifest::new(INDEX, text.clone().into()));
    case.destination.refuse_puts("MANIFEST_BLOB_UNKNOWN");
    let published = case.publish_twice(&Copy { digest: Digest::of(text.as_bytes()), ..copy("v1", 1) }).await;
    assert!(matches!(published, Err(Outcome::ContentGone { .. })), "{published:?}");
}

#[tokio::test]
async fn a_tag_that_a_job_has_pushed_is_only_asked_for_and_not_reported_as_put() {
    let mut case = Case::new().await;
    case.request.publish = Publish::Direct;
    case.destination.hold_manifest("app", "v1", &image_of("pushed"));
    let digest = Digest::of(image_of("pushed").as_bytes());
    let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await;
    let published = published.unwrap();
    assert!(published.is_published() && !published.is_put && published.manifest.is_none());
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn content_that_is_gone_is_reported_as_gone_and_no_tag_is_put() {
    let case = Case::new().await;
    let published = case.publish_twice(&copy("v1", 1)).await;
    assert!(matches!(published, Err(Outcome::ContentGone { .. })), "{published:?}");
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn content_that_is_not_shown_at_once_is_published_at_the_second_try() {
    let case = Case::new().await;
    let text = index_of(&["amd64"]);
    let copy = Copy { digest: Digest::of(text.as_bytes()), ..copy("v1", 1) };
    let first = case.publish(&copy).await.unwrap_err();
    let Outcome::Unpublished { tries: 1, message, .. } = &first else { panic!("{first:?}") };
    assert_eq!(message, NOT_SHOWN, "without advice");
    case.destination.hold_content("app", &text);
    let outcomes = HashMap::from([(copy.clone(), first)]);
    assert!(case.publish_after(&copy, &outcomes).await.unwrap().is_published());
}

#[tokio::test]
async fn content_that_vanished_long_after_it_was_pushed_is_reported_as_gone_at_once() {
    let case = Case { is_new: false, ..Case::new().await };
    let published = case.publish(&copy("v1", 1)).await;
    assert!(matches!(published, Err(Outcome::ContentGone { .. })), "{published:?}");
}

#[tokio::test]
async fn a_tag_that_has_come_meanwhile_is_kept_where_only_missing_ones_are_wanted() {
    let mut case = Case::new().await;
    case.request.overwrite = Overwrite::IfMissing;
    let digest = case.destination.hold_content("app", &index_of(&["amd64"]));
    case.destination.hold_manifest("app", "v1", &image_of("another"));
    let published = case.publish(&Copy { digest, ..copy("v1", 1) }).await;
    let another = Digest::of(image_of("another").as_bytes());
    let published = published.unwrap();
    assert!(published.digest == another && !published.is_published() && !published.is_put);
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn an_index_of_some_platforms_is_made_of_what_the_source_has_under_the_planned_digest() {
    let case = Case::new().await;
    let text = index_of(&["amd64", "arm64"]);
    let whole = case.source.hold_content("app", &text);
    let copy = case.subset(&whole, &text);
    let published = case.publish(&copy).await;
    let published = published.unwrap();
    assert!(published.is_published() && published.is_put && published.digest == copy.digest);
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
        let published = case.publish_twice(&case.subset(&whole, &text)).await;
        assert!(matches!(published, Err(Outcome::ContentGone { .. })), "{code}: {published:?}");
    }
}

#[tokio::test]
async fn an_index_that_the_source_has_no_more_is_not_made_of_something_else() {
    let case = Case::new().await;
    let text = index_of(&["amd64", "arm64"]);
    let copy = case.subset(&Digest::of(text.as_bytes()), &text);
    let message = |published| match published {
        Err(Outcome::Failed { reason: FailureReason::CopyFailed, message, .. }) => message,
        other => panic!("{other:?}"),
    };
    let reported = message(case.publish(&copy).await);
    assert_eq!(reported, format!("the source no longer has {}", Digest::of(text.as_bytes())));

    let subject = Digest::of(b"image");
    let planned = case.referrers(&subject, &["signature"]);
    let (index, parts) = referrers_index(&planned).unwrap();
    let made_of = MadeOf { origin: Origin::ReferrersOf(subject.clone()), parts };
    let copy = Copy { digest: index.digest.clone(), made_of: Some(made_of), ..copy };
    case.referrers(&subject, &["signature", "sbom"]);
    let reported = message(case.publish(&copy).await);
    assert_eq!(reported, format!("what the source has no longer makes {}", index.digest));
    assert_eq!(case.destination.count("PUT"), 0, "no tag was put");

    case.referrers(&subject, &["signature"]);
    let published = case.publish(&copy).await;
    assert!(published.unwrap().is_published());
}

#[tokio::test]
async fn a_tag_that_comes_while_an_index_is_made_is_kept_where_only_missing_ones_are_wanted() {
    let mut case = Case::new().await;
    case.request.overwrite = Overwrite::IfMissing;
    let text = index_of(&["amd64", "arm64"]);
    let whole = case.source.hold_content("app", &text);
    let copy = case.subset(&whole, &text);
    let (source, destination) = (&client(&case.request.source), &client(&case.request.destination));
    let route = Route { request: &case.request, source, destination, read_ahead: None };
    let mut publishing = Box::pin(publish_one(route, &copy, now(), &|_| {}));
    // Another writer puts the tag once the source was asked.
    let other = async {
        while case.source.count("GET") == 0 {
            tokio::task::yield_now().await;
        }
        case.destination.hold_manifest("app", "v1", &image_of("another"));
    };
    let (shown, ()) = tokio::join!(&mut publishing, other);
    assert_eq!(shown.unwrap().unwrap().digest, Digest::of(image_of("another").as_bytes()));
    assert_eq!(case.destination.count("PUT"), 0);
}

#[tokio::test]
async fn an_index_of_indexes_is_put_with_its_bytes_once_those_within_it_are_there() {
    let case = Case::new().await;
    let artifact = format!(
        r#"{{"mediaType":"{IMAGE}","digest":"{}","size":1,"artifactType":"application/vnd.example"}}"#,
        Digest::of(b"sbom")
    );
    let inner = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{artifact}]}}"#);
    let inner_digest = case.source.hold_content("app", &inner);
    let top = format!(
        r#"{{ "schemaVersion": 2, "manifests": [{{"mediaType":"{INDEX}","digest":"{inner_digest}","size":{}}}]}}"#,
        inner.len()
    );
    let digest = case.source.hold_content("app", &top);
    let made_of = MadeOf { origin: Origin::AllOf(digest.clone()), parts: vec![Digest::of(b"sbom")] };
    let copy = Copy { digest: digest.clone(), made_of: Some(made_of), ..copy("v1", 1) };
    let published = case.publish(&copy).await.unwrap();
    assert!(published.is_published() && published.digest == digest);
    assert_eq!(case.destination.manifest("app", "v1"), Some(top));
    assert_eq!(case.destination.manifest("app", inner_digest.as_str()), Some(inner));
    let puts: Vec<String> =
        case.destination.requests().into_iter().filter(|request| request.starts_with("PUT")).collect();
    assert!(puts[1].ends_with("/v1"), "the tag comes last: {puts:?}");
}

#[tokio::test]
async fn an_index_within_a_narrowed_one_is_put_before_the_tag_where_its_parts_were_copied() {
    let case = Case::new().await;
    let amd64 = r#","platform":{"os":"linux","architecture":"amd64"}"#;
    let entry = |media_type: &str, digest: &Digest, more: &str| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":1{more}}}"#)
    };
    let index = |entries: &[String]| {
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","))
    };
    let artifact = format!(r#"{amd64},"artifactType":"application/vnd.example""#);
    let inner = index(&[entry(IMAGE, &Digest::of(b"image"), &artifact)]);
    let inner_digest = case.source.hold_content("app", &inner);
    let arm64 = amd64.replace("amd64", "arm64");
    let whole = index(&[entry(INDEX, &inner_digest, amd64), entry(IMAGE, &Digest::of(b"other"), &arm64)]);
    let digest = case.source.hold_content("app", &whole);
    let copy = case.subset(&digest, &whole);
    let published = case.publish(&copy).await.unwrap();
    assert!(published.is_published() && published.digest == copy.digest);
    assert_eq!(case.destination.manifest("app", inner_digest.as_str()), Some(inner));
    let puts: Vec<String> =
        case.destination.requests().into_iter().filter(|request| request.starts_with("PUT")).collect();
    assert!(puts.len() == 2 && puts[1].ends_with("/v1"), "the tag comes last: {puts:?}");
}

#[tokio::test]
async fn an_index_is_put_byte_for_byte_whatever_it_names() {
    let entry =
        |more: &str| format!(r#"{{"mediaType":"{IMAGE}","digest":"{}","size":1{more}}}"#, Digest::of(b"a"));
    let amd64 = r#","platform":{"os":"linux","architecture":"amd64"}"#;
    let attested = r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"a":"b"}"#;
    let zstd = r#","annotations":{"io.github.containers.compression.zstd":"true"}"#;
    let index = |media_type: &str, entries: &[String]| {
        format!(
            r#"{{ "schemaVersion":2, "mediaType":"{media_type}", "manifests":[{}] }}"#,
            entries.join(" , ")
        )
    };
    let artifact = |config: &str| {
        let digest = Digest::of(b"{}");
        format!(r#"{{ "config":{{"mediaType":"{config}","digest":"{digest}","size":2}}, "layers":[] }}"#)
    };
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    for text in [
        index(INDEX, &[entry(amd64), entry(attested)]),
        index(INDEX, &[entry(amd64), entry(amd64)]),
        index(INDEX, &[entry(amd64), entry(&format!("{amd64}{zstd}"))]),
        index(list, &[entry(amd64)]),
        artifact("application/vnd.oci.empty.v1+json"),
        artifact("application/vnd.cncf.helm.config.v1+json"),
    ] {
        let case = Case::new().await;
        let digest = case.destination.hold_content("app", &text);
        let published = case.publish(&Copy { digest: digest.clone(), ..copy("v1", 1) }).await.unwrap();
        assert!(published.is_published() && published.digest == digest);
        assert_eq!(case.destination.manifest("app", "v1"), Some(text));
    }
}

#[tokio::test]
async fn a_tag_that_may_not_be_set_is_its_own_failure_where_another_one_is_set() {
    let case = Case::new().await;
    case.destination.refuse_one("/v2/app/manifests/v1", 403);
    let (source, destination) = (&client(&case.request.source), &client(&case.request.destination));
    let route = Route { request: &case.request, source, destination, read_ahead: None };
    let end = Instant::now() + Duration::from_mins(1);
    let copies: Vec<Copy> = ["v1", "v2"]
        .map(|name| {
            let text = format!(r#"{{"mediaType":"{IMAGE}","name":"{name}"}}"#);
            Copy { digest: case.destination.hold_content("app", &text), ..copy(name, 1) }
        })
        .to_vec();
    let all = publish(route, copies, &HashMap::<Copy, Outcome>::new(), now(), end, &|_| true, &|_| {}).await;
    assert!(all.refusal.is_none());
    assert_eq!((all.answered.len(), all.failed.len()), (1, 1));
    let (failed, outcome) = &all.failed[0];
    assert_eq!(failed.destination_tag.as_str(), "v1");
    assert!(matches!(outcome, Outcome::Unpublished { tries: 1, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_refusal_is_handed_back_and_each_failed_try_is_counted() {
    let case = Case::new().await;
    case.destination.refuse(403);
    let (source, destination) = (&client(&case.request.source), &client(&case.request.destination));
    let route = Route { request: &case.request, source, destination, read_ahead: None };
    let before = Outcome::Unpublished { tries: 2, message: "503".into(), at: now() };
    let outcomes = HashMap::from([(copy("v1", 1), before)]);
    let end = Instant::now() + Duration::from_mins(1);
    let all = publish(route, vec![copy("v1", 1)], &outcomes, now(), end, &|_| true, &|_| {}).await;
    assert!(all.refusal.is_some());
    assert!(matches!(all.failed[0].1, Outcome::Unpublished { tries: 3, .. }), "{:?}", all.failed);
}

#[tokio::test]
async fn a_tag_that_was_accepted_is_noted_before_it_is_read_back_or_another_one_ends() {
    let case = Case::new().await;
    case.destination.hold_content("app", "{}");
    let (source, destination) = (&client(&case.request.source), &client(&case.request.destination));
    let route = Route { request: &case.request, source, destination, read_ahead: None };
    let copy = Copy { digest: Digest::of(b"{}"), ..copy("v1", 1) };
    let last = std::sync::Mutex::new(None);
    let on_put = |copy: &Copy| {
        let request = case.destination.requests().pop();
        *last.lock().unwrap() = request.map(|request| (copy.destination_tag.clone(), request));
    };
    let end = Instant::now() + Duration::from_mins(1);
    publish(route, vec![copy.clone()], &HashMap::<Copy, Outcome>::new(), now(), end, &|_| true, &on_put)
        .await;
    let expected = (copy.destination_tag, "PUT /v2/app/manifests/v1".to_owned());
    assert_eq!(last.into_inner().unwrap(), Some(expected));
}
