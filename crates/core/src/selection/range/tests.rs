//! Ranges, and the tags that are in them.

use proptest::prelude::*;

use super::*;

fn matching(range: &str, tags: &[&str]) -> Vec<String> {
    let range: Range = range.parse().unwrap();
    tags.iter()
        .filter(|tag| range.matches(&tag.parse().unwrap()) == Match::Yes)
        .map(ToString::to_string)
        .collect()
}

const TAGS: [&str; 14] = [
    "0.3.0",
    "0.3.9",
    "0.4.0",
    "1.9.9",
    "2.12.9",
    "2.13",
    "2.13.0",
    "v2.13.4",
    "2.14.7",
    "2.15.0",
    "3.0.0",
    "2.14.0-rc1",
    "2.14.0-alpine",
    "latest",
];

#[test]
fn every_comparator_must_hold() {
    let middle = ["2.13", "2.13.0", "v2.13.4", "2.14.7"];
    for same in [">=2.13 <2.15", ">=2.13, <2.15", ">=2.13,<2.15", ">=2.13<2.15", ">= 2.13 < 2.15.0"] {
        assert_eq!(matching(same, &TAGS), middle, "{same}");
    }
    assert_eq!(matching(">2.13.0 <=2.14.7", &TAGS), ["v2.13.4", "2.14.7"]);
    assert_eq!(matching("=2.13", &TAGS), ["2.13", "2.13.0"]);
    assert_eq!(matching(">=v2.13 <v3", &TAGS), ["v2.13.4"]);
}

#[test]
fn tilde_and_caret_mean_what_they_do_elsewhere() {
    assert_eq!(matching("~2.13", &TAGS), ["2.13", "2.13.0", "v2.13.4"]);
    assert_eq!(matching("~2.13.1", &TAGS), ["v2.13.4"]);
    assert_eq!(matching("~2", &TAGS), ["2.12.9", "2.13", "2.13.0", "v2.13.4", "2.14.7", "2.15.0"]);
    assert_eq!(matching("^2.14", &TAGS), ["2.14.7", "2.15.0"]);
    assert_eq!(matching("^0.3", &TAGS), ["0.3.0", "0.3.9"]);
    assert_eq!(matching("^0.3.1", &TAGS), ["0.3.9"]);
    assert_eq!(matching("~1.9.9", &["1.9.9", "1.9.10", "1.10.0"]), ["1.9.9", "1.9.10"]);
    assert_eq!(matching("~1.99", &["1.99.1", "1.100.0"]), ["1.99.1"]);
}

#[test]
fn candidates_and_suffixes_are_near() {
    let range: Range = ">=2.13 <2.15".parse().unwrap();
    assert_eq!(range.matches(&"2.14.0-rc1".parse().unwrap()), Match::Candidate);
    assert_eq!(range.matches(&"2.15.0-rc1".parse().unwrap()), Match::No);
    assert_eq!(
        range.matches(&"2.14.0-alpine".parse().unwrap()),
        Match::Near(NearMiss::Suffix("-alpine".into()))
    );
    assert_eq!(matching(">=2.13-alpine <2.15-alpine", &TAGS), ["2.14.0-alpine"]);
}

#[test]
fn b8_what_cannot_be_read_or_met_is_refused() {
    for bad in [
        "",
        ">",
        ">=",
        "2.13",
        ">=x",
        ">=2.x",
        "=>2",
        "~>2",
        ">=2..1",
        ">=-1",
        ">=2-",
        "> = 2",
        "2.13 <3",
        ">=2 ||<1",
        ">=2 $(id)",
    ] {
        assert!(matches!(bad.parse::<Range>(), Err(RangeError::Unreadable(_))), "{bad}");
    }
    assert!(matches!(">=2-alpine <3".parse::<Range>(), Err(RangeError::Suffixes(_))));
    for empty in [">=3 <2", ">2 <2", ">=2.0 <2", "=1 =2"] {
        assert!(matches!(empty.parse::<Range>(), Err(RangeError::Empty(_))), "{empty}");
    }
}

#[test]
fn a_bound_with_several_numbers_selects_no_single_one() {
    let tags = ["3.18", "3.18.4", "20250108", "4", "edge"];
    assert_eq!(matching(">=3.18", &tags), ["3.18", "3.18.4"]);
    assert_eq!(matching(">=3", &tags), ["3.18", "3.18.4", "4"]);
    let why = |range: &str, tag: &str| range.parse::<Range>().unwrap().matches(&tag.parse().unwrap());
    assert_eq!(why(">=3.18", "20250108"), Match::Near(NearMiss::OneNumber));
    assert_eq!(why(">=3", "20250108"), Match::Near(NearMiss::DateOrCommit));
    assert_eq!(why(">=3.18", "20250108.1"), Match::Near(NearMiss::DateOrCommit));
    assert_eq!(matching(">=1", &["99998", "99999", "100000", "V2.0"]), ["99998", "99999", "100000", "V2.0"]);
    assert_eq!(matching(">=20250101", &["20250108.1", "20250108.2", "3.18"]), ["20250108.1", "20250108.2"]);
}

#[test]
fn a_date_or_a_commit_is_selected_only_by_a_bound_as_long() {
    assert_eq!(matching(">=1", &["1.2.3", "1.2.4", "4567543"]), ["1.2.3", "1.2.4"]);
    assert_eq!(matching(">=20240101", &["1.2.3", "20240101", "20250108"]), ["20240101", "20250108"]);
}

#[test]
fn pre_releases_of_any_kind_are_let_in_by_the_switch_only() {
    let range: Range = ">=2.0".parse().unwrap();
    for tag in ["2.0.0-beta.1", "2.0.0-RC1", "2.0.0rc1", "2.0.0-SNAPSHOT", "2.0.0-rc-1", "2.0.0-rc"] {
        assert_eq!(range.matches(&tag.parse().unwrap()), Match::Candidate, "{tag}");
    }
    let slim = range.matches(&"2.0.0-slim".parse().unwrap());
    assert_eq!(slim, Match::Near(NearMiss::Suffix("-slim".into())));
}

proptest! {
    #[test]
    fn ranges_of_full_versions_agree_with_the_semver_crate(
        a in (0u64..4, 0u64..4, 0u64..4), low in (0u64..4, 0u64..4, 0u64..4), operator in "(>|>=|<|<=|=|~|\\^)",
    ) {
        let write = |v: (u64, u64, u64)| format!("{}.{}.{}", v.0, v.1, v.2);
        let text = format!("{operator}{}", write(low));
        let ours = text.parse::<Range>().unwrap().matches(&write(a).parse().unwrap()) == Match::Yes;
        let theirs = semver::VersionReq::parse(&text).unwrap().matches(&write(a).parse().unwrap());
        prop_assert_eq!(ours, theirs, "{} in {}", write(a), text);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[<>=~^ ,v0-9.x-]{0,30}", tag in "v?[0-9.]{1,10}[a-z-]{0,5}") {
        if let (Ok(range), Ok(tag)) = (text.parse::<Range>(), tag.parse::<Tag>()) {
            range.matches(&tag);
        }
    }
}
