//! What refers to tags: found by the API or by names, with no more requests than that takes.

use imgop_core::api::{Mode, Referrers};
use imgop_core::copy::{Content as Wanted, CopyRequest, MaxParts, Observed, TagState};
use imgop_core::copy::{ContentCache, Known, Limits, ObserveError, observe};
use imgop_registry::oci::{Referrer, referrers_index, referrers_tag};
use imgop_registry::reference::Digest;

use super::two_sides::Case;
use imgop_fakes::client;
use imgop_fakes::{Content, ScriptedRegistry, json, reply};

const ONE: [&str; 1] = ["linux/amd64"];

async fn case(source: Content, destination: Content, version: &str) -> Case {
    Case::new(source, destination, version, |spec| spec.referrers = Referrers::All).await
}

/// Every tag, and what it refers to: a tag or nothing.
fn found(observed: &Observed) -> Vec<(String, TagState, Option<Digest>)> {
    let tags = observed.tags.iter();
    tags.map(|t| (t.destination_tag.to_string(), t.state(), t.referrer_of.clone())).collect()
}

/// What the agent remembers of an observation.
fn remembered(request: &CopyRequest, observed: &Observed) -> Known {
    let mut known = Known { contents: ContentCache::of(request, observed), ..Known::default() };
    for tag in &observed.tags {
        if let Some((name, digest)) = tag.at_source() {
            known.at_source.insert(name.clone(), digest.clone());
        }
        if let Some(digest) = tag.destination.digest() {
            known.at_destination.insert(tag.destination_tag.clone(), digest.clone());
        }
    }
    known
}

/// Two tags, signed in cosign's way and in that of registries without the API.
fn signed() -> (Content, Vec<String>) {
    let mut source = Content::default();
    let (one, two) = (source.push("1.0", &ONE), source.push("1.1", &ONE));
    let names: Vec<String> = [(&one, ".sig"), (&one, ".att"), (&two, "")]
        .iter()
        .map(|(subject, suffix)| format!("{}{suffix}", referrers_tag(subject).unwrap()))
        .collect();
    for name in &names {
        source.put(name, format!("{{\"of\":\"{name}\"}}"));
    }
    source.put(&format!("{}.sig", referrers_tag(&Digest::of(b"another")).unwrap()), "x");
    (source, names)
}

#[tokio::test]
async fn tags_that_are_named_after_a_meant_tags_content_go_with_it() {
    let (source, mut names) = signed();
    let case = case(source, Content::default(), "1.x").await;
    let observed = case.observe(&Known::default()).await;
    let mut referrers: Vec<String> =
        found(&observed).into_iter().filter(|(_, _, of)| of.is_some()).map(|(name, _, _)| name).collect();
    referrers.sort();
    names.sort();
    assert_eq!(referrers, names);
    assert!(observed.tags.iter().all(|tag| tag.state() == TagState::Missing));
    assert_eq!(
        (case.source.count("GET /v2/app/tags/list"), case.source.count("GET /v2/app/referrers/")),
        (1, 1)
    );
}

#[tokio::test]
async fn a_no_op_costs_no_request_for_what_is_named_after_contents() {
    let (source, _) = signed();
    let case = case(source.clone(), source, "1.x").await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(observed.tags.len(), 5);
    assert!(observed.tags.iter().all(|tag| tag.state() == TagState::UpToDate));
    let before = [&case.source, &case.destination].map(|side| side.http.lines().len());
    let again = case.observe(&remembered(&case.request(), &observed)).await;
    assert_eq!(again, observed);
    let after = [&case.source, &case.destination].map(|side| side.http.lines().len());
    assert_eq!(after[0] - before[0], 3, "one list, one HEAD for each of two tags, as without referrers");
    assert_eq!(after[1] - before[1], 1, "one list");
}

#[tokio::test]
async fn one_tag_is_listed_for_once() {
    let (source, _) = signed();
    let case = case(source, Content::default(), "1.0").await;
    assert_eq!(found(&case.observe(&Known::default()).await).len(), 3);
    assert_eq!(case.source.count("GET /v2/app/tags/list"), 1);
}

#[tokio::test]
async fn a_tag_that_was_copied_before_keeps_its_referrers() {
    let (source, _) = signed();
    let mut case = case(source.clone(), source, "1.x").await;
    case.spec.mode = Mode::OnceByTag;
    let synced = ["1.0", "1.1"].map(|tag| tag.parse().unwrap());
    let known = Known { already_synced: synced.clone().into(), ..Known::default() };
    let observed = case.observe(&known).await;
    assert_eq!(found(&observed).iter().filter(|(_, _, of)| of.is_some()).count(), 3);
    assert_eq!(case.source.count("HEAD "), 5, "two tags, for their referrers, and three of those");
    let known = Known { already_synced: synced.into(), ..remembered(&case.request(), &observed) };
    assert_eq!(found(&case.observe(&known).await), found(&observed));
    assert_eq!(case.source.count("HEAD "), 5, "and not again");
}

#[tokio::test]
async fn a_registry_with_the_api_is_asked_for_each_content_page_by_page() {
    let mut source = Content::default();
    let (one, two) = (source.push("1.0", &ONE), source.push("1.1", &ONE));
    source.refer(&one, &["e", "a", "c", "b", "d"]);
    source.put(referrers_tag(&one).unwrap().as_str(), "the API knows better");
    let case = case(source, Content::default(), "1.x").await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(observed.tags.len(), 3, "nothing refers to the other one");
    let made = &observed.tags[2];
    assert_eq!(made.destination_tag, referrers_tag(&one).unwrap());
    assert_eq!((made.state(), made.referrer_of.as_ref()), (TagState::Missing, Some(&one)));
    let Wanted::Made(index) = &made.content else { panic!("{:?}", made.content) };
    assert_eq!(index.of.parts.len(), 5);
    assert!(index.of.parts.is_sorted());
    assert_eq!(case.source.count(&format!("GET /v2/app/referrers/{one}")), 3);
    assert_eq!(case.source.count(&format!("GET /v2/app/referrers/{two}")), 1);
    // The destination has just that index: nothing is to be done.
    let referrers: Vec<Referrer> =
        client(&case.source.http.repository("app")).referrers(&one).await.unwrap().unwrap();
    let (manifest, _) = referrers_index(&referrers).unwrap();
    assert_eq!(manifest.digest, index.digest);
    let bytes = String::from_utf8(manifest.bytes.to_vec()).unwrap();
    case.destination.content.lock().unwrap().put(made.destination_tag.as_str(), bytes);
    assert_eq!(case.observe(&Known::default()).await.tags[2].state(), TagState::UpToDate);
}

#[tokio::test]
async fn what_the_api_told_is_not_believed_of_a_tag_when_the_api_is_gone() {
    let mut source = Content::default();
    let one = source.push("1.0", &ONE);
    source.refer(&one, &["a"]);
    let tag = referrers_tag(&one).unwrap();
    let under_the_tag = source.put(tag.as_str(), "an index of long ago");
    let case = case(source, Content::default(), "1.0").await;
    let known = remembered(&case.request(), &case.observe(&Known::default()).await);
    assert!(!known.at_source.contains_key(&tag), "it was asked what stands under it");
    case.source.content.lock().unwrap().forget_referrers();
    let again = case.observe(&known).await;
    assert_eq!((again.tags.len(), again.tags[1].state()), (2, TagState::NotChecked));
    let why = again.tags[1].unknown_because().unwrap();
    assert!(why.contains("the referrers API has answered before and does not now"), "{why}");
    // What a requested sync does.
    case.sides.source.invalidate_tag_lists();
    let again = case.observe(&known).await;
    assert_eq!(again.tags[1].destination_tag, tag);
    assert_eq!(again.tags[1].digest(), Some(&under_the_tag), "and not the image itself");
    assert_eq!(case.source.count(&format!("HEAD /v2/app/manifests/{tag}")), 1);
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_once() {
    let (source, _) = signed();
    let case = case(source, Content::default(), "1.x").await;
    for _ in 0..3 {
        case.observe(&Known::default()).await;
    }
    assert_eq!(case.source.count("GET /v2/app/referrers/"), 1);
}

/// Tags that all have referrers, and a destination that has something for each of these and answers about
/// them only once it is asked about all.
async fn waiting_for_all(number: usize) -> (Case, ScriptedRegistry) {
    let mut source = Content::default();
    let mut names = Vec::new();
    for n in 0..number {
        let digest = source.push(&format!("1.{n}"), &ONE);
        source.refer(&digest, &["sbom"]);
        names.push(referrers_tag(&digest).unwrap().to_string());
    }
    let all = std::sync::Arc::new(tokio::sync::Barrier::new(number));
    let list = serde_json::json!({"name": "app", "tags": names}).to_string();
    let destination = ScriptedRegistry::start_async(move |seen| {
        let (all, list) = (all.clone(), list.clone());
        async move {
            if seen.target.contains("/tags/list") {
                return json(200, list);
            }
            all.wait().await;
            reply(200, &[("docker-content-digest", Digest::of(b"old").as_str())], "")
        }
    })
    .await;
    let mut case = case(source, Content::default(), "1.x").await;
    case.sides.destination = Some(client(&destination.repository("app")));
    (case, destination)
}

#[tokio::test]
async fn what_refers_to_many_tags_is_asked_for_at_once() {
    let (case, destination) = waiting_for_all(4).await;
    let observed = case.observe(&Known::default()).await;
    let states: Vec<TagState> =
        observed.tags.iter().skip(4).map(imgop_core::copy::ObservedTag::state).collect();
    assert_eq!(states, [TagState::Differs; 4]);
    assert_eq!(destination.lines().iter().filter(|line| line.starts_with("HEAD ")).count(), 4);
}

#[tokio::test]
async fn nothing_is_asked_for_more_referrers_than_the_cap() {
    let (case, destination) = waiting_for_all(4).await;
    let request = CopyRequest::parse(&case.spec).unwrap();
    let limits = Limits { max_referrers: 3, ..Limits::default() };
    let error = observe(&case.sides, &request, &Known::default(), limits).await.unwrap_err();
    assert!(matches!(error, ObserveError::TooManyReferrers { count: 4, cap: 3 }), "{error}");
    assert!(!destination.lines().iter().any(|line| line.starts_with("HEAD ")));
}

#[tokio::test]
async fn more_referrers_than_the_cap_are_refused_and_too_many_of_one_are_its_own_failure() {
    let (source, _) = signed();
    let case = case(source, Content::default(), "1.x").await;
    let request = CopyRequest::parse(&case.spec).unwrap();
    let limits = Limits { max_referrers: 2, ..Limits::default() };
    let error = observe(&case.sides, &request, &Known::default(), limits).await.unwrap_err();
    assert!(matches!(error, ObserveError::TooManyReferrers { count: 3, cap: 2 }), "{error}");

    let mut source = Content::default();
    let digest = source.push("1.0", &ONE);
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    source.refer(&digest, &many.iter().map(String::as_str).collect::<Vec<_>>());
    let case = self::case(source, Content::default(), "1.0").await;
    let observed = case.observe(&Known::default()).await;
    let states: Vec<TagState> = observed.tags.iter().map(imgop_core::copy::ObservedTag::state).collect();
    assert_eq!(states, [TagState::Missing, TagState::NotChecked]);
    assert!(observed.tags[1].unknown_because().unwrap().starts_with("33 manifests refer to"));
    let limits = Limits { max_parts: MaxParts::NoJob, ..Limits::default() };
    let observed = observe(&case.sides, &case.request(), &Known::default(), limits).await.unwrap();
    assert_eq!(observed.tags[1].state(), TagState::Missing, "no Job copies them");
}

/// What cosign writes: a layer for each signature.
fn signature(of: &[&str]) -> String {
    let layer = |name: &&str| {
        serde_json::json!({"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "size": 1,
            "digest": Digest::of(name.as_bytes())})
    };
    let layers: Vec<serde_json::Value> = of.iter().map(layer).collect();
    let config = Digest::of(of.join(" ").as_bytes());
    serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 1, "digest": config},
        "layers": layers})
    .to_string()
}

#[tokio::test]
async fn a_signature_that_only_the_destination_has_stays_and_new_ones_of_the_source_are_copied() {
    for (there, has_own) in [(&["vendor", "owner"][..], true), (&["vendor"], false)] {
        let mut source = Content::default();
        let image = source.push("1.0", &ONE);
        let tag = format!("{}.sig", referrers_tag(&image).unwrap());
        source.put(&tag, signature(&["vendor", "vendor again"]));
        let mut destination = Content::default();
        destination.put(&tag, signature(there));
        let observed = case(source, destination, "1.0").await.observe(&Known::default()).await;
        let signature = &observed.tags[1];
        assert_eq!((signature.state(), signature.has_own), (TagState::Differs, has_own), "{there:?}");
    }
}

#[tokio::test]
async fn what_only_the_destinations_index_of_referrers_lists_stays() {
    for (there, has_own) in [(&["a", "own"][..], true), (&["a"], false)] {
        let mut source = Content::default();
        let image = source.push("1.0", &ONE);
        source.refer(&image, &["a", "b"]);
        let entry = |name: &&str| {
            serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
                "digest": Digest::of(name.as_bytes())})
        };
        let entries: Vec<serde_json::Value> = there.iter().map(entry).collect();
        let index =
            serde_json::json!({"schemaVersion": 2, "mediaType": imgop_fakes::INDEX, "manifests": entries});
        let mut destination = Content::default();
        destination.put(referrers_tag(&image).unwrap().as_str(), index.to_string());
        let observed = case(source, destination, "1.0").await.observe(&Known::default()).await;
        let referrers = &observed.tags[1];
        assert_eq!((referrers.state(), referrers.has_own), (TagState::Differs, has_own), "{there:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_under_a_referrers_tag_stays() {
    let mut source = Content::default();
    let image = source.push("1.0", &ONE);
    let tag = format!("{}.sig", referrers_tag(&image).unwrap());
    source.put(&tag, signature(&["vendor"]));
    let artifact = r#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[]}"#;
    let layer = format!(r#"{{"digest":"{}","size":1}}"#, Digest::of(b"own"));
    let many = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{}]}}"#,
        vec![layer; 501].join(",")
    );
    for unreadable in [artifact.to_owned(), many] {
        let mut destination = Content::default();
        destination.put(&tag, unreadable.clone());
        let observed = case(source.clone(), destination, "1.0").await.observe(&Known::default()).await;
        assert!(observed.tags[1].has_own, "{}", &unreadable[..60]);
    }
}

#[tokio::test]
async fn what_refers_to_the_images_of_an_index_is_copied_with_it() {
    let digest = |platform: &str| Digest::of(format!("1.0 {platform}").as_bytes());
    let (amd64, arm64) = (digest("linux/amd64"), digest("linux/arm64"));
    let mut source = Content::default();
    let index = source.push("1.0", &["linux/amd64", "linux/arm64"]);
    for signed in [&index, &amd64, &arm64, &Digest::of(b"of another tag")] {
        source.put(&format!("{}.sig", referrers_tag(signed).unwrap()), signature(&[signed.as_str()]));
    }
    let subjects = async |platforms: &[&str], source: &Content| {
        let case = Case::new(source.clone(), Content::default(), "1.0", |spec| {
            spec.referrers = Referrers::All;
            spec.platforms = platforms.iter().map(ToString::to_string).collect();
        })
        .await;
        let observed = case.observe(&Known::default()).await;
        let reads = case.read();
        let known = Known { contents: ContentCache::of(&case.request(), &observed), ..Known::default() };
        assert_eq!(case.observe(&known).await, observed);
        assert_eq!(case.read(), reads, "an index that was read is not read again");
        let found = observed.tags.iter().filter_map(|tag| tag.referrer_of.clone());
        found.collect::<std::collections::BTreeSet<_>>()
    };
    let of = |all: &[&Digest]| all.iter().map(|digest| (*digest).clone()).collect();
    assert_eq!(subjects(&[], &source).await, of(&[&index, &amd64, &arm64]));
    assert_eq!(subjects(&["linux/arm64"], &source).await, of(&[&index, &arm64]));
    // The same where only the API tells of them.
    let mut source = Content::default();
    source.push("1.0", &["linux/amd64", "linux/arm64"]);
    for (subject, sbom) in [(&index, "index's"), (&amd64, "amd64's"), (&arm64, "arm64's")] {
        source.refer(subject, &[sbom]);
    }
    assert_eq!(subjects(&[], &source).await, of(&[&index, &amd64, &arm64]));
    assert_eq!(subjects(&["linux/arm64"], &source).await, of(&[&index, &arm64]));
}
