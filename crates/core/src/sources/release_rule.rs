//! Which releases count, and which tag of an image each stands for. Pure.

use super::constraint::{Constraint, read_version};
use super::github::Release;
use super::tag_regex::TagRegex;

/// Which releases count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseRule {
    /// Has to be found in the tag.
    pub regex: Option<TagRegex>,
    /// What of the tag is the image's tag.
    pub taken: Taken,
    /// Has to be satisfied by the image's tag.
    pub constraint: Option<Constraint>,
    /// Leaves out releases whose tag is no complete semantic version, with or without a `v` before it.
    pub is_only_semver: bool,
}

/// What of a release's tag is the image's tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Taken {
    /// What the regular expression's first group holds, or what it found.
    #[default]
    Captured,
    /// All of it.
    Whole,
}

/// What a rule selects of releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectedReleases {
    /// The release's tag and the image's tag, in the order of the releases, each image's tag once.
    pub selected: Vec<(String, String)>,
    /// Tags that are no version, so that the constraint says nothing of them.
    pub unreadable: Vec<String>,
}

impl ReleaseRule {
    /// Selects of releases. Drafts and pre-releases never count.
    pub fn select(&self, releases: &[Release]) -> SelectedReleases {
        let mut outcome = SelectedReleases::default();
        for release in releases.iter().filter(|release| !release.draft && !release.prerelease) {
            match self.tag_of(&release.tag_name) {
                Verdict::Unreadable(tag) => outcome.unreadable.push(tag),
                Verdict::Selected(tag) if outcome.selected.iter().all(|(_, other)| *other != tag) => {
                    outcome.selected.push((release.tag_name.clone(), tag));
                }
                Verdict::Selected(_) | Verdict::LeftOut => {}
            }
        }
        outcome
    }

    fn tag_of(&self, tag: &str) -> Verdict {
        if self.is_only_semver && semver::Version::parse(tag.strip_prefix('v').unwrap_or(tag)).is_err() {
            return Verdict::LeftOut;
        }
        let captured = self.regex.as_ref().map_or(Some(tag), |regex| regex.captured(tag));
        let Some(captured) = captured else { return Verdict::LeftOut };
        let taken = if self.taken == Taken::Whole { tag } else { captured };
        if taken.is_empty() {
            return Verdict::LeftOut;
        }
        let Some(constraint) = &self.constraint else { return Verdict::Selected(taken.to_owned()) };
        match read_version(taken) {
            None => Verdict::Unreadable(taken.to_owned()),
            Some(version) if constraint.matches(&version) => Verdict::Selected(taken.to_owned()),
            Some(_) => Verdict::LeftOut,
        }
    }
}

enum Verdict {
    Selected(String),
    LeftOut,
    Unreadable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases() -> Vec<Release> {
        let release = |tag: &str, prerelease, draft| Release { tag_name: tag.to_owned(), prerelease, draft };
        vec![
            release("v2.0.0", true, false),
            release("v1.9.1", false, false),
            release("nightly", false, false),
            release("v1.9.0", false, true),
            release("1.8.0", false, false),
        ]
    }

    fn tags(rule: &ReleaseRule) -> (Vec<String>, Vec<String>) {
        let SelectedReleases { selected, unreadable } = rule.select(&releases());
        (selected.into_iter().map(|(_, tag)| tag).collect(), unreadable)
    }

    #[test]
    fn a_group_of_the_regular_expression_is_the_tag_and_what_it_is_not_found_in_is_left_out() {
        let rule = ReleaseRule { regex: Some("^v(.*)".parse().unwrap()), ..ReleaseRule::default() };
        assert_eq!(tags(&rule), (vec!["1.9.1".to_owned()], Vec::new()));
        let rule = ReleaseRule { taken: Taken::Whole, ..rule };
        assert_eq!(tags(&rule), (vec!["v1.9.1".to_owned()], Vec::new()));
        let rule = ReleaseRule { regex: Some("nothing|x(y)?".parse().unwrap()), ..ReleaseRule::default() };
        assert_eq!(tags(&rule), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_tag_that_is_no_version_is_counted_where_a_constraint_asks_for_one() {
        let rule = ReleaseRule { constraint: Some(">1.8".parse().unwrap()), ..ReleaseRule::default() };
        assert_eq!(tags(&rule), (vec!["v1.9.1".to_owned()], vec!["nightly".to_owned()]));
    }

    #[test]
    fn only_semantic_versions_leave_nothing_to_count() {
        let rule = ReleaseRule { is_only_semver: true, ..ReleaseRule::default() };
        assert_eq!(tags(&rule), (vec!["v1.9.1".to_owned(), "1.8.0".to_owned()], Vec::new()));
    }

    #[test]
    fn a_tag_that_several_releases_stand_for_is_there_once() {
        let rule = ReleaseRule { regex: Some("[.]".parse().unwrap()), ..ReleaseRule::default() };
        assert_eq!(tags(&rule), (vec![".".to_owned()], Vec::new()));
    }
}
