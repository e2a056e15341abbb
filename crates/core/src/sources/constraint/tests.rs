use super::*;

fn matching(constraint: &str, versions: &[&'static str]) -> Vec<&'static str> {
    let constraint: Constraint = constraint.parse().unwrap();
    let matches = |text: &&&str| constraint.matches(&read_version(text).unwrap());
    versions.iter().filter(matches).copied().collect()
}

#[test]
fn comparators_that_stand_together_must_all_hold() {
    let versions = ["1.3.9", "1.4.0", "1.9.0", "2.0.0", "3.1.0"];
    for both in [">=1.4.0, <2", ">=1.4.0 <2", ">= 1.4.0 , < 2.0", "=>1.4.0,<2.0.0"] {
        assert_eq!(matching(both, &versions), ["1.4.0", "1.9.0"], "{both}");
    }
    assert_eq!(matching("<1.4 || >2.0.0", &versions), ["1.3.9", "3.1.0"]);
    assert_eq!(matching("1.4 - 2.0", &versions), ["1.4.0", "1.9.0", "2.0.0"]);
}

#[test]
fn numbers_that_are_left_out_or_x_are_open() {
    let versions = ["1.2.0", "1.2.9", "1.3.0", "2.0.0"];
    for all_of_one_two in ["1.2", "1.2.x", "1.2.*", "=1.2", "~1.2", "~1.2.0", "~> 1.2", "v1.2.X"] {
        assert_eq!(matching(all_of_one_two, &versions), ["1.2.0", "1.2.9"], "{all_of_one_two}");
    }
    assert_eq!(matching(">1.2", &versions), ["1.3.0", "2.0.0"]);
    assert_eq!(matching("<=1.2", &versions), ["1.2.0", "1.2.9"]);
    assert_eq!(matching("!=1.2", &versions), ["1.3.0", "2.0.0"]);
    assert_eq!(matching("^1.2.1", &versions), ["1.2.9", "1.3.0"]);
    assert_eq!(matching("*", &versions), versions);
}

#[test]
fn a_caret_keeps_the_first_number_that_is_not_zero() {
    let versions = ["0.0.3", "0.0.4", "0.2.3", "0.2.9", "0.3.0", "1.0.0"];
    assert_eq!(matching("^0.2.3", &versions), ["0.2.3", "0.2.9"]);
    assert_eq!(matching("^0.0.3", &versions), ["0.0.3"]);
    assert_eq!(matching("^0", &versions), &versions[..5]);
}

#[test]
fn a_prerelease_matches_only_where_the_constraint_names_one() {
    let versions = ["1.0.0-rc.1", "1.0.0", "1.1.0-beta"];
    assert_eq!(matching(">=1.0.0", &versions), ["1.0.0"]);
    assert_eq!(matching(">=1.0.0-0", &versions), versions);
    assert_eq!(matching(">=1.0.0 || >1.0.5-0", &versions), ["1.0.0", "1.1.0-beta"]);
}

#[test]
fn a_tag_is_read_as_a_version_with_or_without_a_v_and_all_numbers() {
    let read = |text| read_version(text).map(|version| version.to_string());
    assert_eq!(read("v1.9.1").as_deref(), Some("1.9.1"));
    assert_eq!(read("1.9").as_deref(), Some("1.9.0"));
    assert_eq!(read("2024.01.05").as_deref(), Some("2024.1.5"));
    assert_eq!(read("1.2.3-rc1+build.5").as_deref(), Some("1.2.3-rc1"));
    for none in ["nightly", "vv1", "1.2.3.4", "1.", "", "v", "1.2.3-", "1.2.3+", "1.2.3-01", "release-1.2"] {
        assert_eq!(read(none), None, "{none}");
    }
}

#[test]
fn what_is_no_constraint_is_named() {
    for bad in ["", " ", "1 ||", "abc", ">", "1.2.3.4", ">=1 - 2", "1 -2", "1>2", "~ >1", "xx", ">=01-01"] {
        assert!(bad.parse::<Constraint>().is_err(), "{bad:?}");
    }
    assert_eq!(
        ">>1".parse::<Constraint>().unwrap_err().to_string(),
        "\">>1\" is no constraint; write comparators such as >=1.4.0, ~1.2 or ^2, with || between alternatives"
    );
    assert_eq!("1".repeat(600).parse::<Constraint>().unwrap_err(), ConstraintError::TooLong);
    assert_eq!(["1"; 33].join("||").parse::<Constraint>().unwrap_err(), ConstraintError::TooManyGroups);
}

proptest::proptest! {
    #[test]
    fn no_text_ends_in_a_panic(text in "[-0-9v.xX*<>=!~^|, +a]{0,20}", other in ".{0,20}") {
        let _ = text.parse::<Constraint>().map(|constraint| constraint.matches(&Version::new(1, 2, 3)));
        let _ = (other.parse::<Constraint>(), read_version(&other));
    }
}
