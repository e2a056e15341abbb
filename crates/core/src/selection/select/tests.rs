//! Which tags are selected of a list, and why the others are not.

use proptest::prelude::*;

use super::*;
use crate::selection::by_version;

/// What [`select`] does, in the plainest way: all are kept, and sorted by reading them.
fn naively(version: &Version, filter: &Filter, tags: &[Tag], max_excluded: usize) -> Selection {
    let mut chosen = Selection::default();
    for tag in tags {
        let reason = match version.compare(&ReadTag::new(tag)) {
            Match::Yes => filtered_out(filter, tag),
            Match::Candidate => Some(Reason::Candidate),
            Match::Near(near_miss) => Some(Reason::Near(near_miss)),
            Match::No => continue,
        };
        match reason {
            None => chosen.tags.push(tag.clone()),
            Some(reason) => chosen.excluded.push(Excluded { tag: tag.clone(), reason: reason.into() }),
        }
    }
    chosen.tags.sort_by(|a, b| by_version(b, a));
    if let Some(latest) = filter.latest {
        for tag in std::mem::take(&mut chosen.tags) {
            let reason = match chosen.tags.last() {
                Some(last) if is_same_version(last, &tag) => Exclusion::Spelling(last.clone()),
                _ if chosen.tags.len() < latest => {
                    chosen.tags.push(tag);
                    continue;
                }
                _ => Exclusion::NotLatest(latest),
            };
            chosen.excluded.push(Excluded { tag, reason });
        }
    }
    chosen.excluded.sort_by(|a, b| by_version(&b.tag, &a.tag));
    chosen.near_misses = chosen.excluded.len();
    chosen.excluded.truncate(max_excluded);
    chosen
}

fn is_same_version(a: &Tag, b: &Tag) -> bool {
    let ranked = |tag| Ranked::new(&ReadTag::new(tag), SingleNumbers::default(), &mut Vec::new());
    ranked(a).is_same_version(&ranked(b))
}

proptest! {
    #[test]
    fn it_selects_the_same_in_the_same_order_as_the_plain_way_and_rewrites_no_tag(
        texts in prop::collection::btree_set(
            "v?[0-2](\\.[0-9]{1,3}){1,2}(-(rc[0-9]{1,2}|alpine(3\\.[0-9]{1,2})?))?", 0..40,
        ),
        repeat in 1_u32..40,
        version in prop::sample::select(vec!["x.x", "x.x.x", "v1.x.x", ">=1 <2", "x.x.x-alpine", "*"]),
        latest in prop::option::of(0_usize..50),
        most in 0_usize..50,
    ) {
        // Often more than the thousand that are kept without dropping any.
        let tags: Vec<Tag> = (0..repeat)
            .flat_map(|n| texts.iter().map(move |text| text.replacen('.', &format!(".{n}"), 1)))
            .filter_map(|text| text.parse().ok())
            .collect();
        let version: Version = version.parse().unwrap();
        let filter = Filter::new(&[], &[".*5".into()], latest).unwrap();
        let chosen = select(&version, false, &filter, &tags, most);
        prop_assert_eq!(&chosen, &naively(&version, &filter, &tags, most));
        prop_assert!(chosen.tags.iter().all(|tag| tags.contains(tag)));
    }
}

fn tags(texts: &[&str]) -> Vec<Tag> {
    texts.iter().map(|t| t.parse().unwrap()).collect()
}

#[test]
fn every_tag_is_every_tag_but_candidates_and_what_is_named_after_a_content() {
    let signature = format!("sha256-{}.sig", "0".repeat(64));
    let all = tags(&["latest", "RELEASE.2024-01-01T00-00-00Z", "1.2", "v1.3-alpine", "1.4-rc1", &signature]);
    let version: Version = "*".parse().unwrap();
    let chosen = select(&version, false, &Filter::default(), &all, 100);
    assert_eq!(chosen.tags, tags(&["v1.3-alpine", "1.2", "latest", "RELEASE.2024-01-01T00-00-00Z"]));
    let excluded: Vec<&Exclusion> = chosen.excluded.iter().map(|excluded| &excluded.reason).collect();
    assert_eq!(excluded, [&Exclusion::Candidate, &Exclusion::Near(NearMiss::Referrer)]);
    let releases = Filter::new(&["RELEASE[.].*".into()], &[], Some(1)).unwrap();
    assert_eq!(select(&version, true, &releases, &all, 0).tags, tags(&["RELEASE.2024-01-01T00-00-00Z"]));
    assert!(version.is_selector() && version.selects(&all[0]) && version.to_string() == "*");
}

#[test]
fn of_a_long_list_the_newest_near_misses_are_kept() {
    // Not in the order of versions, as registries list tags by name.
    let mut all: Vec<Tag> = (0..5_000).map(|n| format!("1.{n}-alpine").parse().unwrap()).collect();
    all.sort();
    let near = |most| select(&"1.x".parse().unwrap(), false, &Filter::default(), &all, most).excluded;
    let names: Vec<String> = near(3).iter().map(|e| e.tag.to_string()).collect();
    assert_eq!(names, ["1.4999-alpine", "1.4998-alpine", "1.4997-alpine"]);
    assert!(near(0).is_empty());
    let latest = Filter::new(&[], &[], Some(2)).unwrap();
    let chosen = select(&"1.x-alpine".parse().unwrap(), false, &latest, &all, 1);
    assert_eq!(chosen.tags, tags(&["1.4999-alpine", "1.4998-alpine"]));
    assert_eq!(chosen.excluded[0].tag, tags(&["1.4997-alpine"])[0]);
}

#[test]
fn the_newest_comes_first_and_candidates_only_when_allowed() {
    let all = tags(&["v2.13.0", "v2.13.10", "v2.13.9", "v2.13.11-rc2", "v2.13.11-rc10", "v2.14.0", "latest"]);
    let pattern: Version = "v2.13.x".parse().unwrap();
    let chosen = select(&pattern, false, &Filter::default(), &all, 100);
    assert_eq!(chosen.tags, tags(&["v2.13.10", "v2.13.9", "v2.13.0"]));
    assert_eq!(chosen.excluded.len(), 2);
    assert!(chosen.excluded.iter().all(|e| e.reason == Exclusion::Candidate));
    let chosen = select(&pattern, true, &Filter::default(), &all, 100);
    assert_eq!(chosen.tags, tags(&["v2.13.11-rc10", "v2.13.11-rc2", "v2.13.10", "v2.13.9", "v2.13.0"]));
    assert!(chosen.excluded.is_empty());
}

#[test]
fn the_filter_narrows_and_says_why() {
    let all = tags(&["2.13.0", "2.13.1", "2.13.2", "2.13.3", "2.14.0", "2.14.0-debug"]);
    let filter = Filter::new(&["2\\.13\\..*".into()], &[".*\\.2".into()], Some(1)).unwrap();
    let chosen = select(&">=2.13 <3".parse().unwrap(), false, &filter, &all, 100);
    assert_eq!(chosen.tags, tags(&["2.13.3"]));
    let why: Vec<String> = chosen.excluded.iter().map(|e| format!("{}: {}", e.tag, e.reason)).collect();
    insta::assert_snapshot!(why.join("\n"));
}

#[test]
fn every_tag_is_without_those_that_are_named_after_a_pre_release() {
    let all = tags(&["nightly", "nightly-20250101", "beta", "rc-1.2.0", "latest", "preview-app-1.0"]);
    let chosen = |candidates| select(&"*".parse().unwrap(), candidates, &Filter::default(), &all, 9);
    assert_eq!(chosen(false).tags, tags(&["preview-app-1.0", "latest"]));
    assert!(chosen(false).excluded.iter().all(|excluded| excluded.reason == Exclusion::Candidate));
    assert_eq!(chosen(true).tags.len(), all.len());
}

#[test]
fn latest_counts_versions_and_not_spellings() {
    let all = tags(&["v1.2.3", "1.2.3", "1.2.2", "1.2.2.0", "1.2.1"]);
    let filter = Filter::new(&[], &[], Some(2)).unwrap();
    for version in ["*", ">=1"] {
        let chosen = select(&version.parse().unwrap(), false, &filter, &all, 100);
        assert_eq!(chosen.tags, tags(&["v1.2.3", "1.2.2.0"]), "{version}");
        let why: Vec<String> = chosen.excluded.iter().map(|e| format!("{}: {}", e.tag, e.reason)).collect();
        assert_eq!(why[0], "1.2.3: it is another spelling of v1.2.3 (select.latest)");
    }
    let each = select(&"*".parse().unwrap(), false, &Filter::default(), &all, 100);
    assert_eq!(each.tags.len(), 5, "without latest all are selected");
}

#[test]
fn the_newest_of_every_tag_is_a_release() {
    for (texts, newest) in [
        (&["1.3.1", "1.3.1-beta1", "1.3.1-beta2", "1.3.0"][..], "1.3.1"),
        (&["24.0.0", "24.0.0-slim", "23.0.0"], "24.0.0"),
        (&["1.2.3", "1.2.4", "4817263"], "1.2.4"),
        (&["3.18", "20250108", "2024-01-01"], "3.18"),
        (&["controller-v1.9.0", "controller-v1.11.3", "controller-v1.12.0-rc.1"], "controller-v1.11.3"),
        (&["1.20", "1.20.0"], "1.20.0"),
        (&["1.2.3", "4e1243b", "99f01cd"], "1.2.3"),
        (&["99998", "99999", "100000"], "100000"),
        (&["3.18", "20250108.1", "2024_01_01"], "3.18"),
        (&["3.14.0a7", "3.14.0b1", "3.13.5"], "3.13.5"),
        (&["7.0.0-M1", "6.2.1", "25-ea"], "6.2.1"),
        (&["V2.0.0", "1.0.0"], "V2.0.0"),
        (&["1.0.0", "nightly-20250101", "rc-1.2.0"], "1.0.0"),
    ] {
        let filter = Filter::new(&[], &[], Some(1)).unwrap();
        let chosen = select(&"*".parse().unwrap(), false, &filter, &tags(texts), 0);
        assert_eq!(chosen.tags, tags(&[newest]));
    }
}

#[test]
fn the_reports_from_the_field_get_the_tags_that_their_users_expect() {
    let chosen = |version: &str, include: &str, latest, texts: &[&str]| {
        let filter = Filter::new(&[include.into()], &[], Some(latest)).unwrap();
        let chosen = select(&version.parse().unwrap(), false, &filter, &tags(texts), 0).tags;
        chosen.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let releases = ["release-1.8.0", "release-1.9.0", "release-1.10.0"];
    assert_eq!(chosen("*", "release-.*", 1, &releases), ["release-1.10.0"]);
    assert_eq!(chosen("*", ".*", 1, &["main-9", "main-99", "main-100"]), ["main-100"]);
    // What git describes comes after the tag that it was built from.
    assert_eq!(chosen("*", ".*", 1, &["v1.0.0", "v1.0.1-64.272fa09"]), ["v1.0.1-64.272fa09"]);
    // A number alone is no version.
    assert_eq!(chosen(">=1", ".*", 1, &["1.2.3", "1.2.4", "4567543"]), ["1.2.4"]);
    // A dotted date cannot be told from a version.
    assert_eq!(chosen(">=10", ".*", 1, &["10.8.12", "10.8.13", "2021.12.16"]), ["2021.12.16"]);
    // Months with and without a zero are the same number.
    assert_eq!(chosen(">=2025", ".*", 1, &["2025.11.1", "2025.2.0", "2026.02.0"]), ["2026.02.0"]);
    // A variant is asked for by its whole suffix.
    let variants =
        ["12.20", "12.20-alpine", "12.19-alpine", "12.20-alpine3.18", "12.20-buster", "12.18-alpine"];
    assert_eq!(chosen(">=12.19-alpine", ".*", 2, &variants), ["12.20-alpine", "12.19-alpine"]);
    // Only * takes what Helm makes of build metadata.
    let charts = ["1.2.3", "1.2.4_build.5", "1.2.4_build.10"];
    assert_eq!(chosen("*", ".*_build.*", 2, &charts), ["1.2.4_build.10", "1.2.4_build.5"]);
    assert_eq!(chosen(">=1.0", ".*", 2, &charts), ["1.2.3"]);
}

#[test]
fn latest_counts_versions_and_rewrites_no_tag() {
    let all = tags(&["v1.2.3", "3.10", "v3.9.0", "1.2"]);
    let filter = Filter::new(&[], &[], Some(2)).unwrap();
    let chosen = select(&">=1".parse().unwrap(), false, &filter, &all, 100);
    assert_eq!(chosen.tags, tags(&["3.10", "v3.9.0"]));
}

/// The newest tag, chosen as rancher/image-mirror's `Latest` is.
fn newest(texts: &[&str]) -> Vec<String> {
    let filter = Filter::new(&[], &[], Some(1)).unwrap();
    let chosen = select(&">=1".parse().unwrap(), false, &filter, &tags(texts), 100);
    chosen.tags.iter().map(ToString::to_string).collect()
}

#[test]
fn image_mirror_latest_loses_no_v_pads_nothing_and_strips_no_zero() {
    for (texts, latest) in [
        (["v1.2.3", "v1.2.2"], "v1.2.3"),
        (["1.2", "1.1.9"], "1.2"),
        (["3.10", "3.9"], "3.10"),
        (["v3.10", "v3.9.9"], "v3.10"),
        (["2024.01.05", "2023.12.31"], "2024.01.05"),
        (["1.02", "1.01.9"], "1.02"),
        (["v01.002.0003", "1.2.2"], "v01.002.0003"),
    ] {
        assert_eq!(newest(&texts), [latest]);
    }
    // What image-mirror made of these exists nowhere, so it must not be chosen even if it is listed.
    assert_eq!(newest(&["v1.2.4", "1.2.3", "1.2.0"]), ["v1.2.4"]);
}

#[test]
fn image_mirror_latest_is_no_error_and_no_empty_tag_where_there_are_no_versions() {
    assert!(newest(&[]).is_empty());
    assert!(newest(&["latest", "nightly", "sha-0123abc"]).is_empty());
    assert_eq!(newest(&["latest", "nightly", "v1.2.3", "sha256-0a.sig"]), ["v1.2.3"]);
}
