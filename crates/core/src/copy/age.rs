//! Tags that are not copied before they have shown the same content for a while. Pure: the caller hands in
//! the time.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use imgop_registry::{EARLIEST_IMAGE_TIME, is_plausible};

use super::Content;
use crate::api::{MinAge, WaitingTag};
use crate::time::saturating_add;
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;

/// A tag that is too young.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The tag at the source.
    pub tag: Tag,
    /// The content that it shows.
    pub digest: Digest,
    /// What the destination should have of it, as far as it was worked out: a pull that is not needed
    /// again while it waits.
    pub content: Content,
    /// Since when it is known to show that, in whole seconds.
    pub since: Timestamp,
    /// When it is old enough, if it still shows that then.
    pub until: Timestamp,
}

/// What a tag showed when it was first seen, or since when it is known to show that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSeen {
    /// The content.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
}

/// What is known of how long a tag has shown its content. Each may be absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// When the tag was pushed with this content, as the registry reports. A tag may be pushed again
    /// with the same content, so the earlier one of this and `seen` counts.
    pub(crate) pushed: Option<Timestamp>,
    /// When the image was made, as it states itself. Whoever pushes it writes this, so it counts only where
    /// nothing else is known: a registry that once does not report the push must not let a tag through
    /// that waits.
    pub(crate) created: Option<Timestamp>,
    /// Since when the tag is known to show this content, by earlier passes.
    pub(crate) seen: Option<Timestamp>,
}

impl Evidence {
    /// Returns whether it matters when the image was made.
    pub(crate) fn needs_created(self) -> bool {
        self.known().is_none()
    }

    /// Returns since when the tag has shown its content, by the registry's report or our own. A push in the
    /// future is one now, by a clock that is ahead of ours; one before there were images is none.
    fn known(self) -> Option<Timestamp> {
        let pushed = self.pushed.filter(|pushed| *pushed >= EARLIEST_IMAGE_TIME);
        pushed.into_iter().chain(self.seen).min()
    }

    /// Returns since when the tag has shown its content, in whole seconds, which is what the API server
    /// keeps. Never later than `now`: where the clock was ahead when the tag was first seen, the
    /// time begins anew instead of lasting longer than it should.
    fn since(self, now: Timestamp) -> Timestamp {
        let created = || self.created.filter(|created| is_plausible(*created, now));
        let since = self.known().or_else(created).unwrap_or(now).min(now);
        Timestamp::from_second(since.as_second()).unwrap_or(since)
    }
}

impl Waiting {
    /// Judges a tag that would be copied; `None` if it is old enough.
    pub(crate) fn judge(
        tag: &Tag,
        digest: &Digest,
        min_age: MinAge,
        evidence: Evidence,
        now: Timestamp,
    ) -> Option<Self> {
        let since = evidence.since(now);
        let waiting = Self::since(tag, digest, min_age, since);
        (now < waiting.until).then_some(waiting)
    }

    /// What was first seen at a time, whether it is old enough or not.
    pub(crate) fn since(tag: &Tag, digest: &Digest, min_age: MinAge, since: Timestamp) -> Self {
        let until = saturating_add(since, min_age.period());
        Self { tag: tag.clone(), digest: digest.clone(), content: Content::NotAsked, since, until }
    }
}

impl From<&Waiting> for WaitingTag {
    fn from(waiting: &Waiting) -> Self {
        Self {
            tag: waiting.tag.to_string(),
            digest: waiting.digest.to_string(),
            since: Time(waiting.since),
            until: Time(waiting.until),
        }
    }
}

/// Returns what a status records of tags that waited, without what cannot be read.
pub fn first_seen(waiting: &[WaitingTag]) -> HashMap<Tag, FirstSeen> {
    let read = |entry: &WaitingTag| {
        Some((entry.tag.parse().ok()?, FirstSeen { digest: entry.digest.parse().ok()?, at: entry.since.0 }))
    };
    waiting.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::copy::fixtures::now;

    const DAY: Duration = Duration::from_hours(24);

    fn judge(evidence: Evidence) -> Option<(Timestamp, Timestamp)> {
        let (tag, digest) = ("v1".parse().unwrap(), Digest::of(b"a"));
        let waiting = Waiting::judge(&tag, &digest, "3d".parse().unwrap(), evidence, now())?;
        Some((waiting.since, waiting.until))
    }

    fn ago(days: u32) -> Timestamp {
        now() - DAY * days
    }

    fn none() -> Evidence {
        Evidence { pushed: None, created: None, seen: None }
    }

    #[test]
    fn a_tag_waits_from_when_it_was_first_seen() {
        assert_eq!(judge(none()), Some((now(), now() + DAY * 3)));
        let seen = |at| Evidence { seen: Some(at), ..none() };
        assert_eq!(judge(seen(ago(2))), Some((ago(2), now() + DAY)));
        assert_eq!(judge(seen(ago(3))), None, "it is old enough at that very second");
    }

    #[test]
    fn what_the_image_says_counts_only_where_nothing_else_is_known() {
        let old = Evidence { created: Some(ago(9)), ..none() };
        assert_eq!(judge(old), None);
        assert_eq!(judge(Evidence { pushed: Some(ago(1)), ..old }), Some((ago(1), now() + DAY * 2)));
        assert_eq!(judge(Evidence { pushed: Some(ago(4)), created: Some(ago(1)), seen: None }), None);
        let lagging = Evidence { seen: Some(ago(2)), ..old };
        assert_eq!(judge(lagging), Some((ago(2), now() + DAY)), "the registry once reports no push");
    }

    #[test]
    fn the_same_content_pushed_again_does_not_begin_anew() {
        let again = Evidence { pushed: Some(ago(1)), seen: Some(ago(2)), ..none() };
        assert_eq!(judge(again), Some((ago(2), now() + DAY)));
        assert_eq!(judge(Evidence { seen: Some(ago(3)), ..again }), None);
        let before = Evidence { pushed: Some(ago(2)), seen: Some(ago(1)), ..none() };
        assert_eq!(judge(before), Some((ago(2), now() + DAY)), "it was there before it was seen");
    }

    #[test]
    fn a_push_in_the_future_is_one_now() {
        let ahead = Evidence { pushed: Some(now() + DAY), created: Some(ago(9)), seen: None };
        assert!(!ahead.needs_created());
        assert_eq!(judge(ahead), Some((now(), now() + DAY * 3)));
        assert_eq!(judge(Evidence { seen: Some(ago(2)), ..ahead }), Some((ago(2), now() + DAY)));
    }

    #[test]
    fn times_that_no_image_has_do_not_count() {
        for absurd in
            ["1970-01-01T00:00:00Z", "1980-01-01T00:00:01Z", "2013-02-28T23:59:59Z", "2026-11-21T12:00:01Z"]
        {
            let time = Some(absurd.parse().unwrap());
            let evidence = Evidence { pushed: time, created: time, seen: Some(ago(2)) };
            assert_eq!(judge(evidence), Some((ago(2), now() + DAY)), "{absurd}");
            let unseen = Evidence { seen: None, ..evidence };
            assert_eq!(judge(unseen), Some((now(), now() + DAY * 3)), "{absurd}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_makes_no_tag_wait_longer_than_asked_for() {
        let ahead = Evidence { seen: Some(now() + DAY * 400), ..none() };
        assert_eq!(judge(ahead), Some((now(), now() + DAY * 3)));
    }

    #[test]
    fn what_a_status_holds_is_read_back_and_garbage_is_forgotten() {
        let (tag, digest): (Tag, _) = ("v1".parse().unwrap(), Digest::of(b"a"));
        let waiting = Waiting::judge(&tag, &digest, "3d".parse().unwrap(), none(), now()).unwrap();
        let good = WaitingTag::from(&waiting);
        let bad = WaitingTag { digest: "sha256:../../x".into(), ..good.clone() };
        let worse = WaitingTag { tag: "--help".into(), ..good.clone() };
        let read = first_seen(&[bad, good, worse]);
        assert_eq!(read, HashMap::from([(tag, FirstSeen { digest, at: now() })]));
    }

    proptest! {
        #[test]
        fn no_time_is_a_panic_and_none_makes_a_tag_wait_longer_than_asked_for(
            times in prop::array::uniform4(prop::option::of(-377_705_000_000_i64..253_402_000_000)),
        ) {
            let time = |n: usize| times[n].and_then(|second| Timestamp::from_second(second).ok());
            let evidence = Evidence { pushed: time(0), created: time(1), seen: time(2) };
            let now = time(3).unwrap_or_else(now);
            let min_age: MinAge = "365d".parse().unwrap();
            let tag = "v1".parse().unwrap();
            if let Some(waiting) = Waiting::judge(&tag, &Digest::of(b"a"), min_age, evidence, now) {
                prop_assert!(waiting.since <= now && now < waiting.until);
                prop_assert!(waiting.until <= saturating_add(now, min_age.period()));
            }
        }
    }
}
