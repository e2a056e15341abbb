//! When an Image is looked at again. Pure.

use std::time::Duration;

use imgop_core::api::conditions::{self, RECONCILING, reasons};
use imgop_core::api::{ImageStatus, Mode, Phase, REQUESTED_AT_ANNOTATION};
use imgop_core::copy::Plan;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use kube::ResourceExt as _;

use imgop_core::api::Image;

/// How long to wait before a tag that the source does not have is looked for again, and before a
/// registry that did not answer is asked again: 1 minute, doubled each time, 10 minutes at most.
pub fn look_again_delay(times: u32) -> Duration {
    let doubled = 1_u64.checked_shl(times.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_secs(FIRST.saturating_mul(doubled).min(LONGEST))
}

/// Whether the pause after as many disappointments still grows. Once it does not, saying when it ends
/// would be a write every ten minutes for as long as somebody's mistake stands.
pub fn still_grows(times: u32) -> bool {
    (1..).contains(&times) && look_again_delay(times).as_secs() < LONGEST
}

/// Seconds of the first pause.
const FIRST: u64 = 60;
/// Seconds of the longest.
const LONGEST: u64 = 600;

/// Why an Image is due for a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its spec is new.
    SpecChanged,
    /// Somebody asked for it.
    Requested,
    /// A sync is under way.
    InProgress,
    /// Its time has come.
    Scheduled,
}

/// The token of a request that was not acted on yet.
pub fn open_request(image: &Image) -> Option<&str> {
    // It is echoed in the status, which must stay small; the plugin's tokens are times.
    let token = image.annotations().get(REQUESTED_AT_ANNOTATION).filter(|token| token.len() <= 128)?.as_str();
    let handled = image.status.as_ref().and_then(|s| s.last_handled_requested_at.as_deref());
    (handled != Some(token)).then_some(token)
}

/// Whether an Image is due, and why. `next` is when it is due by itself, as far as this process
/// knows; nothing is known of an Image that was not looked at yet.
pub fn due(image: &Image, next: Option<Timestamp>, now: Timestamp) -> Option<Due> {
    let empty = ImageStatus::default();
    let status = image.status.as_ref().unwrap_or(&empty);
    if status.observed_generation != image.metadata.generation {
        return Some(Due::SpecChanged);
    }
    if open_request(image).is_some() {
        return Some(Due::Requested);
    }
    let reconciling = conditions::find(&status.conditions, RECONCILING);
    if reconciling.is_some_and(|c| c.reason == reasons::PROGRESSING) {
        return Some(Due::InProgress);
    }
    if image.spec.mode == Mode::OneShot && status.phase == Some(Phase::Completed) {
        return None;
    }
    next.is_some_and(|next| next <= now).then_some(Due::Scheduled)
}

/// When an Image that this process has not looked at yet is due: at once if it never was synced or
/// the last sync failed, else spread over a minute, so that a restart is no stampede (seed bug B20).
pub fn first_look(image: &Image, period: Duration, started: Timestamp) -> Timestamp {
    let status = image.status.as_ref();
    if status.is_none_or(|s| s.phase != Some(Phase::Completed)) {
        return started;
    }
    spread(uid(image), period.min(Duration::from_mins(1)), started)
}

/// The next regular look: a period from now, a little less for some Images and a little more for
/// none, so that Images that were made together drift apart.
pub fn next_look(image: &Image, period: Duration, now: Timestamp) -> Timestamp {
    let slack = period / 20;
    spread(uid(image), slack, later(now, period.saturating_sub(slack)))
}

/// A look that is not later than the next try of a failed tag, or than when a tag that is too young is
/// old enough.
pub fn not_after(next: Timestamp, planned: &Plan) -> Timestamp {
    [planned.next_attempt(), planned.waiting_until].into_iter().flatten().fold(next, Timestamp::min)
}

fn uid(image: &Image) -> &str {
    image.metadata.uid.as_deref().unwrap_or_default()
}

/// A point within `width` after `from` that is always the same for one name.
pub fn spread(name: &str, width: Duration, from: Timestamp) -> Timestamp {
    let hash = Digest::of(name.as_bytes());
    let fraction = u64::from_str_radix(&hash.hex()[..6], 16).unwrap_or_default();
    let millis = u64::try_from(width.as_millis()).unwrap_or(u64::MAX).saturating_mul(fraction) >> 24;
    later(from, Duration::from_millis(millis))
}

/// `now` and a while; now itself if that is out of range.
pub fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(now)
}

/// How long until then; nothing if it has passed.
pub fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use imgop_core::api::conditions::{NewCondition, merge};

    use super::*;
    use crate::image::tests::fixtures::{image, now};

    /// An Image whose last sync ended well.
    fn completed(mode: Mode) -> Image {
        let mut image = image(mode);
        image.status = Some(ImageStatus {
            observed_generation: Some(1),
            phase: Some(Phase::Completed),
            ..ImageStatus::default()
        });
        image
    }

    fn long_ago() -> Timestamp {
        now() - Duration::from_hours(1)
    }

    #[test]
    fn a_new_or_changed_spec_is_due_at_once() {
        assert_eq!(due(&image(Mode::OneShot), None, now()), Some(Due::SpecChanged));
        let mut edited = completed(Mode::OneShot);
        edited.metadata.generation = Some(2);
        assert_eq!(due(&edited, None, now()), Some(Due::SpecChanged));
    }

    #[test]
    fn a_one_shot_that_is_done_stays_done() {
        assert_eq!(due(&completed(Mode::OneShot), Some(long_ago()), now()), None);
        for mode in [Mode::OnceByTag, Mode::Recurrent] {
            assert_eq!(due(&completed(mode), Some(long_ago()), now()), Some(Due::Scheduled));
            let later = Some(later(now(), Duration::from_secs(1)));
            assert_eq!(due(&completed(mode), later, now()), None);
        }
    }

    #[test]
    fn a_request_is_acted_on_once() {
        let mut image = completed(Mode::OneShot);
        image.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "t1".to_owned())].into());
        assert_eq!(due(&image, None, now()), Some(Due::Requested));
        image.status.as_mut().unwrap().last_handled_requested_at = Some("t1".into());
        assert_eq!(due(&image, None, now()), None);
    }

    #[test]
    fn a_sync_under_way_goes_on_after_a_restart() {
        let mut image = completed(Mode::Recurrent);
        let progressing = NewCondition {
            type_: RECONCILING,
            status: Some(true),
            reason: reasons::PROGRESSING,
            message: String::new(),
        };
        image.status.as_mut().unwrap().conditions = merge(&[], vec![progressing], None, now());
        assert_eq!(due(&image, None, now()), Some(Due::InProgress));
    }

    #[test]
    fn b20_a_restart_is_no_stampede() {
        let period = Duration::from_mins(5);
        let first: Vec<Timestamp> = (0..100)
            .map(|n| {
                let mut image = completed(Mode::Recurrent);
                image.metadata.uid = Some(format!("uid-{n}"));
                first_look(&image, period, now())
            })
            .collect();
        let minute = later(now(), Duration::from_mins(1));
        assert!(first.iter().all(|at| (now()..=minute).contains(at)));
        let in_one_second = first.iter().filter(|at| at.as_second() == first[0].as_second()).count();
        assert!(in_one_second < 20, "{in_one_second} of 100 in one second");
        assert_eq!(first_look(&image(Mode::Recurrent), period, now()), now());
    }

    #[test]
    fn the_next_look_is_never_later_than_the_frequency() {
        let period = Duration::from_mins(5);
        let next = next_look(&completed(Mode::Recurrent), period, now());
        assert!(next > later(now(), Duration::from_secs(280)) && next <= later(now(), period));
    }

    #[test]
    fn a_tag_that_is_too_young_is_looked_at_when_it_is_old_enough() {
        let in_minutes = |minutes| later(now(), Duration::from_mins(minutes));
        let waiting = |minutes| Plan { waiting_until: Some(in_minutes(minutes)), ..Plan::default() };
        assert_eq!(not_after(in_minutes(5), &waiting(3)), in_minutes(3));
        assert_eq!(
            not_after(in_minutes(5), &waiting(4000)),
            in_minutes(5),
            "and new tags are looked for before"
        );
        assert_eq!(not_after(in_minutes(5), &Plan::default()), in_minutes(5));
    }

    #[test]
    fn pauses_grow_to_ten_minutes() {
        let pauses = [1, 2, 3, 4, 5, 100].map(|n| look_again_delay(n).as_secs());
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
        assert_eq!([0, 1, 4, 5, 100].map(still_grows), [false, true, true, false, false]);
    }
}
