//! What an observation asks where only some platforms are wanted.

use imgop_core::api::Engine;
use imgop_core::copy::{Content as Wanted, FirstSeen, Observed, TagState, Waiting};
use imgop_core::copy::{ContentCache, Known, Limits, observe};
use imgop_registry::Manifest;
use imgop_registry::oci::{Platforms, Subset, subset};
use imgop_registry::reference::Digest;

use super::two_sides::Case;
use imgop_fakes::{Content, INDEX};

const TWO: [&str; 2] = ["linux/amd64", "linux/arm64"];

async fn case(source: Content, destination: Content, version: &str, platforms: &[&str]) -> Case {
    Case::new(source, destination, version, |spec| {
        spec.platforms = platforms.iter().map(ToString::to_string).collect();
    })
    .await
}

/// The index that is made of one of two platforms.
fn rewritten(source: &Content, tag: &str, wanted: &[&str]) -> (Digest, String) {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let manifest = Manifest::new(INDEX, source.bytes(tag).into());
    match subset(&manifest, &Platforms::parse(&wanted).unwrap()).unwrap() {
        Subset::Narrowed(made) => {
            (made.manifest.digest, String::from_utf8(made.manifest.bytes.to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn states(observed: &Observed) -> Vec<TagState> {
    observed.tags.iter().map(imgop_core::copy::ObservedTag::state).collect()
}

#[tokio::test]
async fn a_missing_tag_is_read_at_the_source_once_and_remembered() {
    let mut source = Content::default();
    source.push("1.0", &TWO);
    let (digest, _) = rewritten(&source, "1.0", &["linux/arm64"]);
    let case = case(source, Content::default(), "1.0", &["linux/arm64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!((states(&observed), observed.tags[0].digest()), (vec![TagState::Missing], Some(&digest)));
    let Wanted::Made(made) = &observed.tags[0].content else { panic!() };
    assert_eq!((made.platforms.as_slice(), made.of.parts.len()), (["linux/arm64".to_owned()].as_slice(), 1));
    assert_eq!(case.read(), (1, 0));
    let known = Known { contents: ContentCache::of(&case.request(), &observed), ..Known::default() };
    assert_eq!(case.observe(&known).await, observed);
    assert_eq!(case.read(), (1, 0), "what is remembered is not read again");
}

#[tokio::test]
async fn a_no_op_after_a_restart_reads_at_the_destination_only_and_then_nothing() {
    let mut source = Content::default();
    let mut destination = Content::default();
    for tag in ["1.0", "1.1", "1.2"] {
        source.push(tag, &TWO);
        destination.put(tag, rewritten(&source, tag, &["linux/amd64"]).1);
    }
    let case = case(source, destination, "1.x", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(states(&observed), [TagState::UpToDate; 3]);
    assert_eq!(case.read(), (0, 3));
    let known = Known { contents: ContentCache::of(&case.request(), &observed), ..Known::default() };
    assert_eq!(states(&case.observe(&known).await), [TagState::UpToDate; 3]);
    assert_eq!(case.read(), (0, 3));
}

#[tokio::test]
async fn an_index_that_lies_about_its_source_counts_until_the_source_is_read() {
    let mut source = Content::default();
    source.push("1.0", &TWO);
    let (digest, honest) = rewritten(&source, "1.0", &["linux/amd64"]);
    let old = Digest::of(b"1.0 linux/amd64").to_string();
    let mut destination = Content::default();
    destination.put("1.0", honest.replace(&old, Digest::of(b"evil").as_str()));
    let case = case(source, destination, "1.0", &["linux/amd64"]).await;
    assert_eq!(states(&case.observe(&Known::default()).await), [TagState::UpToDate]);
    let observed = case.observe(&Known { reads_source: true, ..Known::default() }).await;
    assert_eq!((states(&observed), observed.tags[0].digest()), (vec![TagState::Differs], Some(&digest)));
    assert_eq!(case.read(), (1, 1));
}

#[tokio::test]
async fn an_index_with_too_many_manifests_of_one_platform_is_its_own_failure() {
    let mut source = Content::default();
    for (tag, number) in [("1.0", 32), ("1.1", 33)] {
        let mut platforms: Vec<String> = (0..number).map(|n| format!("linux/amd64/v{n}")).collect();
        platforms.push("linux/arm64".to_owned());
        source.push(tag, &platforms.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let case = case(source, Content::default(), "1.x", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(states(&observed), [TagState::NotChecked, TagState::Missing]);
    let why = observed.tags[0].unknown_because().unwrap();
    assert!(why.starts_with("33 manifests of sha256:") && why.contains("Skopeo copies at most 32"), "{why}");
    let limits = Limits { max_parts: Some(Engine::Native).into(), ..Limits::default() };
    let observed = observe(&case.sides, &case.request(), &Known::default(), limits).await.unwrap();
    assert_eq!(states(&observed), [TagState::Missing; 2], "one container copies all of them");
    // Whoever changes the engine is not given what the other one would have copied.
    let known = Known { contents: ContentCache::of(&case.request(), &observed), ..Known::default() };
    assert_eq!(states(&case.observe(&known).await), [TagState::NotChecked, TagState::Missing]);
}

#[tokio::test]
async fn other_platforms_than_before_are_another_content() {
    let mut source = Content::default();
    source.push("1.0", &TWO);
    let mut destination = Content::default();
    destination.put("1.0", rewritten(&source, "1.0", &["linux/amd64"]).1);
    let mut case = case(source, destination, "1.0", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    let known = Known { contents: ContentCache::of(&case.request(), &observed), ..Known::default() };
    case.spec.platforms = TWO.map(str::to_owned).to_vec();
    let observed = case.observe(&known).await;
    assert_eq!(states(&observed), [TagState::Differs]);
    assert!(matches!(&observed.tags[0].content, Wanted::Whole(platforms) if platforms.len() == 2));
    case.spec.platforms.clear();
    assert_eq!(states(&case.observe(&known).await), [TagState::Differs]);
}

#[tokio::test]
async fn a_whole_copy_is_narrowed_without_reading_the_source() {
    let mut source = Content::default();
    source.push("1.0", &TWO);
    let (digest, _) = rewritten(&source, "1.0", &["linux/amd64"]);
    let case = case(source.clone(), source, "1.0", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!((states(&observed), observed.tags[0].digest()), (vec![TagState::Differs], Some(&digest)));
    assert_eq!(case.read(), (0, 1));
}

#[tokio::test]
async fn what_is_no_index_or_not_of_ours_at_the_destination_is_asked_of_the_source() {
    let mut source = Content::default();
    source.push("1.0", &TWO);
    for there in ["{\"mediaType\":\"application/vnd.example\"}", "no json", "{\"manifests\":[]}"] {
        let mut destination = Content::default();
        destination.put("1.0", there);
        let case = case(source.clone(), destination, "1.0", &["linux/amd64"]).await;
        assert_eq!(states(&case.observe(&Known::default()).await), [TagState::Differs], "{there}");
        assert_eq!(case.read(), (1, 1), "{there}");
    }
}

#[tokio::test]
async fn a_tag_without_a_wanted_platform_is_its_own_failure() {
    let mut source = Content::default();
    source.push("1.0", &TWO);
    source.push("1.1", &["windows/amd64", "linux/s390x"]);
    let case = case(source, Content::default(), "1.x", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(states(&observed), [TagState::PlatformNotFound, TagState::Missing]);
    let there = ["windows/amd64", "linux/s390x"].map(str::to_owned).to_vec();
    assert_eq!(observed.tags[0].content, Wanted::NoPlatform(there));
}

#[tokio::test]
async fn a_single_image_is_wanted_by_the_platform_of_its_configuration() {
    let mut source = Content::default();
    source.push_single("1.0", r#"{"os":"linux","architecture":"amd64"}"#);
    source.push_single("1.1", r#"{"os":"linux","architecture":"arm64"}"#);
    source.push_single("1.2", "{}");
    let case = case(source, Content::default(), "1.x", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(states(&observed), [TagState::Missing, TagState::PlatformNotFound, TagState::Missing]);
    assert_eq!(observed.tags[1].content, Wanted::NoPlatform(vec!["linux/arm64".to_owned()]));
    assert_eq!(observed.tags[2].content, Wanted::Whole(vec!["linux/amd64".to_owned()]));
    let known = Known { contents: ContentCache::of(&case.request(), &observed), ..Known::default() };
    let before = case.source.http.lines().len();
    assert_eq!(states(&case.observe(&known).await), states(&observed));
    assert_eq!(case.source.http.lines().len() - before, 4, "one list, three HEADs");
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_this_tags_failure_alone() {
    let mut source = Content::default();
    source.put("1.0", "no index");
    source.push("1.1", &TWO);
    let case = case(source, Content::default(), "1.x", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(states(&observed), [TagState::Missing, TagState::NotChecked]);
    assert!(observed.tags[1].unknown_because().is_some());
    assert!(
        ContentCache::of(&case.request(), &observed) != ContentCache::default(),
        "the other one is remembered"
    );
}

#[tokio::test]
async fn a_tag_that_is_too_young_is_read_once() {
    let mut source = Content::default();
    source.push("1.0", &["linux/amd64", "linux/arm64", "linux/s390x"]);
    let mut case = case(source, Content::default(), "1.x", &TWO).await;
    let min_age = Some("3d".into());
    case.spec.source.select = Some(imgop_core::api::Select { min_age, ..Default::default() });
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut known = Known { now, ..Known::default() };
    let first = case.observe(&known).await;
    assert_eq!((first.tags.len(), first.waiting.len()), (0, 1));
    let index = format!("GET /v2/app/manifests/{}", first.waiting[0].digest);
    assert_eq!(case.source.count(&index), 2, "for its platforms, and for its age");
    known.contents = ContentCache::of(&case.request(), &first);
    let at = |w: &Waiting| (w.tag.clone(), FirstSeen { digest: w.digest.clone(), at: w.since });
    known.first_seen = first.since().map(at).collect();
    let second = case.observe(&known).await;
    assert_eq!((second.waiting.len(), case.source.count(&index)), (1, 2), "it is not read again");
}

#[tokio::test]
async fn an_index_none_of_whose_entries_has_a_platform_is_copied_whole_as_a_single_manifest_is() {
    let mut source = Content::default();
    let entry = serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
        "digest": Digest::of(b"chart")});
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
    let digest = source.put("1.0", index.to_string());
    let case = case(source, Content::default(), "1.0", &["linux/amd64"]).await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!((states(&observed), observed.tags[0].digest()), (vec![TagState::Missing], Some(&digest)));
}

#[tokio::test]
async fn platforms_are_found_in_the_indexes_within_an_index() {
    let mut source = Content::default();
    let nested: Vec<String> = ["linux/amd64", "linux/arm64"]
        .map(|platform| {
            let digest = source.push(platform.rsplit('/').next().unwrap(), &[platform]);
            format!(r#"{{"mediaType":"{INDEX}","digest":"{digest}","size":1}}"#)
        })
        .to_vec();
    source.put(
        "1.0",
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, nested.join(",")),
    );
    let case = case(source, Content::default(), "1.0", &["linux/arm64"]).await;
    let observed = case.observe(&Known::default()).await;
    let Wanted::Made(made) = &observed.tags[0].content else { panic!("{:?}", observed.tags[0].content) };
    assert_eq!(made.platforms, ["linux/arm64"]);
    assert!(nested[1].contains(made.of.parts[0].as_str()) && made.of.parts.len() == 1);
}

/// An index of these entries, as text.
fn index_of(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","))
}

fn nested(digest: &Digest) -> String {
    format!(r#"{{"mediaType":"{INDEX}","digest":"{digest}","size":1}}"#)
}

/// An entry that Skopeo would not write again as it is.
fn lossy(content: &str, architecture: &str) -> String {
    let digest = Digest::of(content.as_bytes());
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"artifactType":"application/vnd.example","platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
    )
}

#[tokio::test]
async fn an_index_within_a_narrowed_one_is_copied_by_its_parts_where_skopeo_could_not_copy_it() {
    let mut source = Content::default();
    let plain = source.push("plain", &["linux/arm64"]);
    let split = source.put("split", index_of(&[lossy("a", "arm64"), lossy("b", "arm64")]));
    let other = source.push("other", &["linux/amd64"]);
    source.put("1.0", index_of(&[nested(&plain), nested(&split), nested(&other)]));
    let case = case(source, Content::default(), "1.0", &["linux/arm64"]).await;
    let observed = case.observe(&Known::default()).await;
    let Wanted::Made(made) = &observed.tags[0].content else { panic!("{:?}", observed.tags[0].content) };
    assert_eq!(made.of.parts, [plain, Digest::of(b"a"), Digest::of(b"b")]);
}

#[tokio::test]
async fn platforms_are_found_however_deep_and_in_more_indexes_than_are_read_none_is_passed_over() {
    let mut source = Content::default();
    let innermost = source.push("innermost", &["linux/arm64"]);
    let inner = source.put("inner", index_of(&[nested(&innermost)]));
    let amd64 = source.push("amd64", &["linux/amd64"]);
    source.put("1.0", index_of(&[nested(&amd64), nested(&inner)]));
    let many: Vec<String> =
        (0..33).map(|n| nested(&source.push(&format!("n{n}"), &[&format!("linux/amd64/v{n}")]))).collect();
    source.put("1.1", index_of(&[many.clone(), vec![nested(&inner)]].concat()));
    let broken = source.put("broken", index_of(&vec![nested(&amd64); 201]));
    source.put("1.2", index_of(&[nested(&broken), nested(&inner)]));
    let mut deep = innermost.clone();
    for level in 0..4 {
        deep = source.put(&format!("deep{level}"), index_of(&[nested(&deep)]));
    }
    source.put("1.3", index_of(&[nested(&amd64), nested(&deep)]));
    let case = case(source, Content::default(), "1.x", &["linux/arm64"]).await;
    let observed = case.observe(&Known::default()).await;
    let [deep, broken, many, whole] = &observed.tags[..] else { panic!("{observed:?}") };
    for (tag, words) in [
        (deep, "more than 4 deep"),
        (broken, "201 entries; at most 200 are read"),
        (many, "more than 32 indexes stand in"),
    ] {
        let why = tag.unknown_because().unwrap();
        assert!(why.contains(words), "{}: {why}", tag.source_ref);
    }
    let Wanted::Made(made) = &whole.content else { panic!("{:?}", whole.content) };
    assert_eq!((&made.platforms, &made.of.parts), (&vec!["linux/arm64".to_owned()], &vec![innermost]));
}

#[tokio::test]
async fn no_more_is_copied_of_the_indexes_within_a_narrowed_one_than_a_job_takes() {
    let mut source = Content::default();
    let parts: Vec<String> = (0..33).map(|n| lossy(&n.to_string(), "arm64")).collect();
    let (amd64, inner) = (source.push("amd64", &["linux/amd64"]), source.put("inner", index_of(&parts)));
    source.put("1.0", index_of(&[nested(&amd64), nested(&inner)]));
    let case = case(source, Content::default(), "1.0", &["linux/arm64"]).await;
    let observed = case.observe(&Known::default()).await;
    let why = observed.tags[0].unknown_because().unwrap();
    assert!(why.starts_with("too many manifests in indexes of sha256:"), "{why}");
}
