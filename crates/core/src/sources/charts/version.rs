//! Which version of a chart is meant, as Helm decides it. Pure.

use semver::Version;

use crate::sources::constraint::{Constraint, ConstraintError, read_version};

/// What Helm takes where no version is asked for: no pre-release, or any.
const NEWEST: &str = "*";
const NEWEST_WITH_PRERELEASES: &str = ">0.0.0-0";

/// Returns the version that Helm takes: the one that is asked for, else the newest that satisfies what is asked for.
///
/// # Errors
/// Where what is asked for is neither a version nor a constraint.
pub(in crate::sources) fn chosen<'v>(
    versions: &[&'v str],
    wanted: Option<&str>,
    is_devel: bool,
) -> Result<Option<&'v str>, ConstraintError> {
    if let Some(exact) = versions.iter().copied().find(|version| Some(*version) == wanted) {
        return Ok(Some(exact));
    }
    let newest = if is_devel { NEWEST_WITH_PRERELEASES } else { NEWEST };
    let constraint: Constraint = wanted.unwrap_or(newest).parse()?;
    let matching = versions.iter().filter_map(|version| {
        let read = read_version(version).filter(|read| constraint.matches(read))?;
        Some((read, *version))
    });
    // Of two that differ in what stands behind `+` alone, the first one.
    let newer = |best: (Version, &'v str), next: (Version, &'v str)| {
        if next.0.cmp_precedence(&best.0).is_gt() { next } else { best }
    };
    Ok(matching.reduce(newer).map(|(_, version)| version))
}

/// Returns the tag that Helm pushes a version under: `+` cannot stand in a tag.
pub(in crate::sources) fn tag_of(version: &str) -> String {
    version.replace('+', "_")
}

/// Returns the version that a tag stands for, if Helm takes it for one.
pub(in crate::sources) fn version_of(tag: &str) -> Option<String> {
    let version = tag.replace('_', "+");
    Version::parse(&version).is_ok().then_some(version)
}

/// Returns whether a version is asked for by all its parts, so that no list is needed.
pub(in crate::sources) fn is_exact(wanted: &str) -> bool {
    Version::parse(wanted).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [&str; 6] = ["1.2.3", "1.10.0", "2.0.0-rc.1", "v1.9.0", "nightly", "1.10.0+build"];

    fn chosen_of(wanted: Option<&str>, is_devel: bool) -> Option<&'static str> {
        chosen(&VERSIONS, wanted, is_devel).unwrap()
    }

    #[test]
    fn without_a_version_it_is_the_newest_and_a_pre_release_only_if_that_is_asked_for() {
        assert_eq!(chosen_of(None, false), Some("1.10.0"));
        assert_eq!(chosen_of(None, true), Some("2.0.0-rc.1"));
        assert_eq!(chosen(&[], None, false), Ok(None));
    }

    #[test]
    fn a_version_is_taken_as_it_is_written_and_a_constraint_as_its_newest() {
        assert_eq!(chosen_of(Some("1.2.3"), true), Some("1.2.3"));
        assert_eq!(chosen_of(Some("nightly"), false), Some("nightly"));
        assert_eq!(chosen_of(Some("1.10.0+build"), false), Some("1.10.0+build"));
        assert_eq!(chosen_of(Some("~1.9"), false), Some("v1.9.0"));
        assert_eq!(chosen_of(Some(">=2.0.0-0"), false), Some("2.0.0-rc.1"));
        assert_eq!(chosen_of(Some("^3"), false), None);
        assert!(chosen(&VERSIONS, Some("newest"), false).is_err());
    }

    #[test]
    fn a_tag_has_an_underscore_where_the_version_has_a_plus() {
        assert_eq!(tag_of("1.2.3+build"), "1.2.3_build");
        assert_eq!(version_of("1.2.3_build").as_deref(), Some("1.2.3+build"));
        assert_eq!((version_of("latest"), version_of("v1.2.3")), (None, None));
        assert!(is_exact("1.2.3") && !is_exact("1.2") && !is_exact("^1.2.3"));
    }
}
