//! Which versions are pre-releases.

use std::ops::Range;

use super::TagVersion;

/// The words that mark a pre-release, in lower case.
const PRE_RELEASES: [&str; 9] =
    ["alpha", "beta", "canary", "dev", "nightly", "pre", "preview", "rc", "snapshot"];
/// Digits behind a mark of one or two letters. With more of them it is rather the hash of a commit.
const MAX_SHORT_DIGITS: usize = 3;

/// Whether a word marks pre-releases.
fn is_mark(word: &str) -> bool {
    PRE_RELEASES.iter().any(|mark| word.eq_ignore_ascii_case(mark))
}

/// Whether the text before the numbers of a name is such a word and nothing else, as in `nightly-20250101`,
/// `rc-1.2.0` or `beta`.
pub(super) fn is_prerelease_name(text: &str) -> bool {
    let word = text.trim_end_matches(['-', '.', '_']);
    is_mark(word) || word.strip_suffix("-v").is_some_and(is_mark)
}

impl TagVersion<'_> {
    /// Whether this is a release candidate of what has that suffix: what follows the numbers is the suffix
    /// and, before or within or behind it, `rc` with one or two digits, in any case and with any separators
    /// (`-rc1`, `-RC.1`, `rc-1`). image-operator documents `-rc` and one or two digits; its code knew one
    /// digit only.
    pub fn is_candidate_of(&self, suffix: &str) -> bool {
        let rc = self.mark(|word| word.eq_ignore_ascii_case("rc"), 1);
        rc.is_some_and(|mark| {
            let digits = self.suffix[mark.clone()].bytes().filter(u8::is_ascii_digit).count();
            (1..=2).contains(&digits) && self.is_without(&mark, suffix)
        })
    }

    /// Whether this is a pre-release of what has that suffix: like [`Self::is_candidate_of`] with any of the
    /// words that mark pre-releases, with any numbers or none.
    pub fn is_prerelease_of(&self, suffix: &str) -> bool {
        self.prerelease().is_some_and(|mark| self.is_without(&mark, suffix))
    }

    /// Whether this is a pre-release of anything.
    pub fn is_prerelease(&self) -> bool {
        self.prerelease().is_some()
    }

    fn prerelease(&self) -> Option<Range<usize>> {
        self.mark(is_mark, usize::MAX).or_else(|| self.python_mark()).or_else(|| self.java_mark())
    }

    fn is_without(&self, mark: &Range<usize>, suffix: &str) -> bool {
        suffix.strip_prefix(&self.suffix[..mark.start]) == Some(&self.suffix[mark.end..])
    }

    /// Returns where in the suffix such a word stands, with the separator before it and at most `max_numbers`
    /// numbers behind it.
    fn mark(&self, is_mark: impl Fn(&str) -> bool, max_numbers: usize) -> Option<Range<usize>> {
        let mut start = 0;
        while start < self.suffix.len() {
            let end = self.behind(start, u8::is_ascii_alphabetic);
            if end == start {
                start += 1;
                continue;
            }
            if !is_mark(&self.suffix[start..end]) {
                start = end;
                continue;
            }
            let before = usize::from(start > 0 && self.is_separator(start - 1));
            return Some(start - before..self.behind_numbers(end, max_numbers));
        }
        None
    }

    /// Returns the end of the characters of a kind that stand here.
    fn behind(&self, start: usize, is_in: fn(&u8) -> bool) -> usize {
        let rest = self.suffix.as_bytes().get(start..).unwrap_or_default();
        start + rest.iter().take_while(|byte| is_in(byte)).count()
    }

    /// Returns the end of the numbers that stand here, each with the separator before it.
    fn behind_numbers(&self, start: usize, max: usize) -> usize {
        let mut end = start;
        for _ in 0..max {
            let digits = end + usize::from(self.is_separator(end));
            let behind = self.behind(digits, u8::is_ascii_digit);
            if behind == digits {
                break;
            }
            end = behind;
        }
        end
    }

    /// Returns the mark of a pre-release as Python writes it (PEP 440): `a` or `b` between the last number
    /// and another one, `3.14.0a7`.
    fn python_mark(&self) -> Option<Range<usize>> {
        let is_marked = self.suffix.starts_with(['a', 'b']) && !self.is_commit();
        is_marked.then(|| self.short_mark(0..1, 1)).flatten()
    }

    /// Returns the mark of a pre-release as Java projects write it: `7.0.0-M1` for a milestone, `25-ea` for
    /// early access.
    fn java_mark(&self) -> Option<Range<usize>> {
        let marks = |at: usize| {
            let word = &self.suffix[at + 1..];
            if word.starts_with('M') {
                self.short_mark(at..at + 2, 1)
            } else if word.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("ea")) {
                let mark = self.short_mark(at..at + 3, 0)?;
                Some(mark.start..self.behind_numbers(mark.end, usize::MAX))
            } else {
                None
            }
        };
        (0..self.suffix.len()).filter(|at| self.is_separator(*at)).find_map(marks)
    }

    /// Returns a mark with the few digits behind it, if that is a whole word: no other letter follows.
    fn short_mark(&self, mark: Range<usize>, min_digits: usize) -> Option<Range<usize>> {
        let behind = self.suffix.get(mark.end..)?;
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        let end = mark.end + digits;
        let is_whole = end == self.suffix.len() || self.is_separator(end);
        (is_whole && (min_digits..=MAX_SHORT_DIGITS).contains(&digits)).then_some(mark.start..end)
    }

    fn is_separator(&self, at: usize) -> bool {
        self.suffix.as_bytes().get(at).is_some_and(|byte| b"-._".contains(byte))
    }
}

#[cfg(test)]
mod tests {
    use imgop_registry::reference::Tag;

    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn b10_candidates_have_one_or_two_digits() {
        let is_of = |text: &str, suffix: &str| {
            let tag = tag(text);
            TagVersion::read(&tag).unwrap().is_candidate_of(suffix)
        };
        for (candidate, suffix) in [
            ("2.13.0-rc1", ""),
            ("2.13.0-rc10", ""),
            ("2.13.0-rc.1", ""),
            ("2.13.0-rc1-alpine", "-alpine"),
            ("2.13.0-alpine-rc10", "-alpine"),
            ("2.13.0-alpine-rc10-slim", "-alpine-slim"),
        ] {
            assert!(is_of(candidate, suffix), "{candidate}");
            assert!(!is_of(candidate, "-debian") && !is_of(candidate, "-rc1"), "{candidate}");
            assert_eq!(is_of(candidate, ""), suffix.is_empty(), "{candidate}");
        }
        for release in ["2.13.0", "2.13.0-rc", "2.13.0-rc100", "2.13.0-beta1", "2.13.0-src1"] {
            assert!(!is_of(release, ""), "{release}");
        }
    }

    #[test]
    fn a_candidate_is_one_in_every_spelling() {
        for text in ["2.13.0-RC1", "2.13.0rc1", "2.13.0-rc-1", "2.13.0.rc1", "2.13.0_Rc_12"] {
            let tag = tag(text);
            let version = TagVersion::read(&tag).unwrap();
            assert!(version.is_candidate_of("") && version.is_prerelease_of(""), "{text}");
        }
    }

    #[test]
    fn pre_releases_are_known_by_their_words_in_any_case_and_with_any_separator() {
        for text in [
            "2.0.0-beta.1",
            "2.0.0-alpha",
            "2.0.0beta2",
            "2.0.0-SNAPSHOT",
            "2.0.0-rc",
            "2.0.0-rc100",
            "2.0.0.dev1",
            "2.0.0_Preview_3",
            "2.0.0-pre.1.2",
            "2.0.0-nightly.20250101",
            "2.0.0-canary",
        ] {
            assert!(TagVersion::read(&tag(text)).unwrap().is_prerelease_of(""), "{text}");
        }
        for text in ["2.0.0", "2.0.0-alpine", "2.0.0-1", "2.0.0-1-g1abc234", "2.0.0-src1", "2.0.0-devel"] {
            assert!(!TagVersion::read(&tag(text)).unwrap().is_prerelease(), "{text}");
        }
        assert!(TagVersion::read(&tag("2.0.0-alpine-beta1")).unwrap().is_prerelease_of("-alpine"));
    }

    #[test]
    fn pre_releases_of_python_and_java_are_known() {
        for text in
            ["3.14.0a7", "3.14.0b1", "3.14.0rc2", "7.0.0-M1", "7.0.0.M12", "25-ea", "25-EA", "25.0.1-ea.3"]
        {
            assert!(TagVersion::read(&tag(text)).unwrap().is_prerelease_of(""), "{text}");
        }
        for (text, suffix) in [("3.14.0a7-slim", "-slim"), ("25-ea-8-jdk", "-jdk"), ("7.0.0-M1-jre", "-jre")]
        {
            assert!(TagVersion::read(&tag(text)).unwrap().is_prerelease_of(suffix), "{text}");
        }
        for text in [
            "1.0.2a",
            "1.0.2-a7",
            "1.9.7.4460-a39b25852",
            "1.2.3a39b2585",
            "4a12432",
            "2a13b0",
            "1.2.3-m1",
            "1.2.3-MI5",
            "1.2.3-M",
            "1.2.3-each",
            "1.2.3-1ea45f3",
            "1.2.3-ea45f31",
            "1.2.3-alpine3",
        ] {
            assert!(!TagVersion::read(&tag(text)).unwrap().is_prerelease(), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_only_the_mark_of_a_pre_release_is_one() {
        for text in ["nightly", "nightly-", "Beta", "rc-", "rc-v", "dev_"] {
            assert!(is_prerelease_name(text), "{text}");
        }
        for text in ["", "latest", "v", "preview-app-", "release-", "canary-deploy"] {
            assert!(!is_prerelease_name(text), "{text}");
        }
    }
}
