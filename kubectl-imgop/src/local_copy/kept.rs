//! What is remembered of an Image that this process keeps as its spec says. Pure: the time is handed in.
//!
//! It is due, and left alone after failures, by the rules of the agent. There is no status: what the destination has is
//! asked for when the process begins.

use std::collections::BTreeSet;

use imgop_core::api::{FailureReason, Image, ImageSpec, Mode, Phase, TagFailure};
use imgop_core::copy::{
    AnswersOfBoth, ContentCache, Cooldown, Copy, FirstSeen, Known, Observed, Outcome, Plan, Run, readiness,
    schedule_next, still_waiting, synced_once,
};
use imgop_core::schedule::{Candidate, Schedule, Uptime};
use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::planned;
use crate::preview::targets::{Rest, Target};

/// An Image that this process keeps as its spec says.
#[derive(Debug)]
pub struct Kept {
    /// What spreads its looks, as the UID does of one in a cluster.
    key: String,
    target: Target,
    uptime: Uptime,
    schedule: Schedule,
    /// Whether it was looked at.
    is_known: bool,
    /// Whether the last look found that all is done.
    is_completed: bool,
    last: Option<Timestamp>,
    answers: AnswersOfBoth,
    known: Known,
    failures: Vec<TagFailure>,
    /// Those of its failures that are reported.
    reported: Vec<TagFailure>,
    /// Names of Images that stand before it, copy once and have done so.
    done_before: BTreeSet<String>,
}

/// What became of a copy: the digest that the destination has then, or why it failed.
pub type Ended = (Copy, Result<Digest, String>);

impl Kept {
    /// Returns an Image that is due.
    pub fn new(target: Target, now: Timestamp) -> Self {
        let known = Known { has_no_record: target.known.has_no_record, ..Known::default() };
        Self {
            key: target.name(),
            target,
            uptime: Uptime { started: now, earlier_heartbeat: None },
            schedule: Schedule::default(),
            is_known: false,
            is_completed: false,
            last: None,
            answers: AnswersOfBoth::default(),
            known,
            failures: Vec::new(),
            reported: Vec::new(),
            done_before: BTreeSet::new(),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.key
    }

    /// Returns whether files still say the same of it, and of what has its destination too.
    pub fn is_same(&self, target: &Target) -> bool {
        // Where it stands in the files is no matter, but for what stands before it.
        fn before(target: &Target) -> impl Iterator<Item = (Option<&str>, &ImageSpec)> {
            target.before.iter().map(|image| (image.metadata.name.as_deref(), &image.spec))
        }
        let is_before_same =
            before(&self.target).eq(before(target)) && self.target.built_before == target.built_before;
        self.key == target.name() && self.target.spec == target.spec && is_before_same
    }

    /// Returns whether it is looked at now.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        if self.is_suspended() {
            return false;
        }
        let Self { key, target, uptime, schedule, is_known, is_completed, last, .. } = self;
        let candidate = Candidate {
            uid: key,
            generation: Some(1),
            observed_generation: is_known.then_some(1),
            completed: *is_completed,
            once: target.request.mode == Mode::OneShot,
            last: *last,
            ..Candidate::default()
        };
        schedule.next(&candidate, &target.request.recurrence, uptime, now);
        schedule.due(&candidate, now).is_some()
    }

    /// Returns when it is looked at again; none if that is never by itself.
    pub fn next(&self) -> Option<Timestamp> {
        self.schedule.next.filter(|_| !self.is_done() && !self.is_suspended())
    }

    /// Returns whether it copies once, and has done so.
    pub fn is_done(&self) -> bool {
        self.is_completed && self.target.request.mode == Mode::OneShot
    }

    /// Notes which Images are done: their tags belong to them no longer, as in a cluster.
    pub fn note_done(&mut self, done: &BTreeSet<String>) {
        let is_done = |name: &String| done.contains(name);
        self.done_before = self.target.before.iter().map(Image::name_any).filter(is_done).collect();
    }

    /// Returns what is looked at, with what need not be asked again.
    pub fn target(&self, now: Timestamp) -> Target {
        let Known { at_destination, at_source, .. } = self.answers.known(now);
        let known = Known { at_destination, at_source, now, ..self.known.clone() };
        let mut target = Target { known, ..self.target.clone() };
        target.before.retain(|image| !self.done_before.contains(&image.name_any()));
        target
    }

    /// Returns what is done for it after a look.
    pub fn plan(&self, target: &Target, observed: &Observed) -> Plan {
        planned(target, observed, &[], &self.failures, cooldown())
    }

    /// Notes that its registries could not be looked at.
    pub fn failed(&mut self, now: Timestamp) {
        self.is_known = true;
        self.is_completed = false;
        self.schedule.retry_later(now);
    }

    /// Notes what became of a round. Returns how all its tags stand then.
    pub fn ended(&mut self, mut observed: Observed, ended: Vec<Ended>, now: Timestamp) -> Plan {
        let mut runs = Vec::new();
        for (copy, outcome) in ended {
            match outcome {
                Ok(digest) => observed.record(&copy.destination_tag, &digest),
                Err(message) => {
                    let outcome = Outcome::Failed { reason: FailureReason::CopyFailed, message, at: now };
                    runs.push(Run { copy, outcome });
                }
            }
        }
        let target = self.target(now);
        let plan = planned(&target, &observed, &runs, &self.failures, cooldown());
        self.remember(&observed, &plan, now);
        schedule_next(&mut self.schedule, &self.target.request, &self.key, &plan, now);
        (self.is_known, self.last) = (true, Some(now));
        self.is_completed = readiness(&target.request, &plan, None, &self.key).phase == Phase::Completed;
        plan
    }

    fn remember(&mut self, observed: &Observed, plan: &Plan, now: Timestamp) {
        let request = &self.target.request;
        self.answers.keep(observed, now);
        let before: BTreeSet<Tag> = std::mem::take(&mut self.known.already_synced);
        let seen = |waiting: &imgop_core::copy::Waiting| {
            (waiting.tag.clone(), FirstSeen { digest: waiting.digest.clone(), at: waiting.since })
        };
        self.known = Known {
            already_synced: synced_once(request, plan, &before).into_iter().cloned().collect(),
            first_seen: still_waiting(observed, plan).into_iter().map(seen).collect(),
            newest: observed.newest.clone(),
            contents: ContentCache::of(request, observed),
            has_no_record: self.known.has_no_record,
            ..Known::default()
        };
        self.failures = plan.failures().filter(|failure| failure.tries() > 0).cloned().collect();
    }

    /// Returns the failures that no copy has reported, and that were not so after the round before.
    pub fn new_failures(&mut self, plan: &Plan) -> Vec<TagFailure> {
        let is_known = |failure: &&TagFailure| {
            self.reported.iter().any(|known| known.tag == failure.tag && known.message == failure.message)
        };
        let current = || plan.failures().filter(|failure| failure.tries() == 0);
        let new = current().filter(|failure| !is_known(failure)).cloned().collect();
        self.reported = current().cloned().collect();
        new
    }

    fn is_suspended(&self) -> bool {
        self.target.rest == Some(Rest::Suspended)
    }
}

/// Returns how long a tag is left alone that keeps failing: as long as by an agent without other settings.
fn cooldown() -> Cooldown {
    Cooldown::of_minutes(Cooldown::DEFAULT_MINUTES)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use imgop_core::api::{Destination, Source};
    use imgop_core::copy::{ObservedTag, Seen, TagAction};
    use imgop_registry::reference::ManifestRef;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn kept(mode: Mode, edit: impl FnOnce(&mut ImageSpec)) -> Kept {
        let source =
            Source { name: "quay.io/a/b".to_owned(), version: "1.x".to_owned(), ..Source::default() };
        let destination = Destination { name: "r.example.com/b".to_owned(), ..Destination::default() };
        let mut spec = ImageSpec::new(mode, source, destination);
        edit(&mut spec);
        Kept::new(Target::of_image(Image::new("app", spec), now()).unwrap(), now())
    }

    fn observed(there: bool) -> Observed {
        let seen = Seen::Present(Digest::of(b"a"));
        let destination = if there { seen.clone() } else { Seen::Absent };
        let tag = ManifestRef::Tag("1.0".parse().unwrap());
        Observed {
            tags: vec![ObservedTag::whole(tag, "1.0".parse().unwrap(), seen, destination)],
            ..Observed::default()
        }
    }

    fn the_copy(plan: &Plan) -> Copy {
        plan.copies().next().unwrap().clone()
    }

    fn after(seconds: u64) -> Timestamp {
        now() + Duration::from_secs(seconds)
    }

    #[test]
    fn an_image_is_due_at_once_and_then_at_its_frequency_a_little_sooner_for_some() {
        let mut kept = kept(Mode::Recurrent, |spec| spec.frequency = "10m".to_owned());
        assert!(kept.is_due(now()));
        kept.ended(observed(true), Vec::new(), now());
        assert!(!kept.is_due(now()));
        let next = kept.next().unwrap();
        assert!(next > after(570) && next <= after(600), "{next}");
        assert!(!kept.is_due(next - Duration::from_secs(1)) && kept.is_due(next));
    }

    #[test]
    fn a_schedule_is_kept_and_a_one_shot_that_is_done_is_not_looked_at_again() {
        let mut daily = kept(Mode::Recurrent, |spec| spec.schedule = Some("0 18 * * *".to_owned()));
        daily.ended(observed(true), Vec::new(), now());
        let at: Timestamp = "2026-11-21T18:00:00Z".parse().unwrap();
        let next = daily.next().unwrap();
        assert!(next >= at && next <= at + Duration::from_mins(1), "{next}");
        let mut once = kept(Mode::OneShot, |_| {});
        assert!(once.is_due(now()));
        once.ended(observed(true), Vec::new(), now());
        assert_eq!((once.is_due(after(1_000_000)), once.next()), (false, None));
    }

    #[test]
    fn a_copy_that_fails_is_tried_again_after_pauses_that_grow_until_the_cooldown() {
        let mut kept = kept(Mode::Recurrent, |spec| spec.frequency = "1d".to_owned());
        let (mut at, mut pauses) = (now(), Vec::new());
        for _ in 0..6 {
            assert!(kept.is_due(at));
            let target = kept.target(at);
            let copy = the_copy(&kept.plan(&target, &observed(false)));
            kept.ended(observed(false), vec![(copy, Err("no".to_owned()))], at);
            let next = kept.next().unwrap();
            let early = kept.target(next - Duration::from_secs(1));
            let waits = kept.plan(&early, &observed(false));
            assert!(matches!(waits.tags[0].action, TagAction::BackOff(_)), "{waits:?}");
            pauses.push(next.as_second() - at.as_second());
            at = next;
        }
        assert_eq!(pauses, [10, 20, 40, 80, 3600, 3600]);
        let target = kept.target(at);
        let copy = the_copy(&kept.plan(&target, &observed(false)));
        assert_eq!(copy.attempt, 7);
        let plan = kept.ended(observed(false), vec![(copy.clone(), Ok(copy.digest))], at);
        assert_eq!((plan.counts().synced, kept.failures.len()), (1, 0));
        assert!(kept.next().unwrap() > at + Duration::from_hours(22));
    }

    #[test]
    fn registries_that_do_not_answer_are_asked_again_after_one_minute_two_four_and_at_most_ten() {
        let mut kept = kept(Mode::OneShot, |_| {});
        let (mut at, mut pauses) = (now(), Vec::new());
        for _ in 0..6 {
            kept.failed(at);
            assert!(!kept.is_due(at));
            let next = kept.next().unwrap();
            pauses.push(next.as_second() - at.as_second());
            assert!(kept.is_due(next));
            at = next;
        }
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn what_the_destination_answered_is_not_asked_again_and_tags_copied_once_stay_so() {
        let mut kept = kept(Mode::OnceByTag, |_| {});
        let target = kept.target(now());
        let copy = the_copy(&kept.plan(&target, &observed(false)));
        kept.ended(observed(false), vec![(copy.clone(), Ok(copy.digest.clone()))], now());
        let known = kept.target(after(60)).known;
        assert_eq!(known.at_destination.values().collect::<Vec<_>>(), [&copy.digest]);
        assert_eq!(known.already_synced.len(), 1);
    }

    /// An Image before which another one stands that copies other content to the same tags.
    fn second() -> Kept {
        let mut kept = kept(Mode::Recurrent, |_| {});
        let mut first = Image::new("first", kept.target.spec.clone());
        first.spec.source.name = "quay.io/a/other".to_owned();
        first.metadata.uid = Some("00000000".to_owned());
        kept.target.before = vec![first];
        kept
    }

    #[test]
    fn what_copies_once_and_has_done_so_keeps_its_tags_no_longer() {
        let mut kept = second();
        let plan = kept.plan(&kept.target(now()), &observed(false));
        assert_eq!(plan.failures().next().unwrap().reason, FailureReason::DestinationConflict);
        kept.note_done(&["first".to_owned()].into());
        let plan = kept.plan(&kept.target(now()), &observed(false));
        assert_eq!((plan.copies().count(), plan.failures().count()), (1, 0));
    }

    #[test]
    fn a_failure_that_no_copy_reports_is_new_once_until_it_is_gone() {
        let mut kept = second();
        let mut new = |done: &[&str]| {
            kept.note_done(&done.iter().map(ToString::to_string).collect());
            let plan = kept.plan(&kept.target(now()), &observed(false));
            kept.new_failures(&plan).len()
        };
        assert_eq!([new(&[]), new(&[]), new(&["first"]), new(&[])], [1, 0, 0, 1]);
    }

    #[test]
    fn an_image_that_stands_elsewhere_in_the_files_goes_on_as_it_was() {
        let (kept, mut target) = (second(), second().target);
        target.before[0].metadata.uid = Some("00000001".to_owned());
        assert!(kept.is_same(&target));
        target.before[0].spec.source.version = "2.x".to_owned();
        assert!(!kept.is_same(&target));
    }

    #[test]
    fn that_there_is_no_record_holds_after_a_round_too() {
        let mut target = kept(Mode::OnceByTag, |_| {}).target;
        target.known.has_no_record = true;
        let mut kept = Kept::new(target, now());
        assert!(kept.target(now()).known.has_no_record);
        kept.ended(observed(true), Vec::new(), now());
        assert!(kept.target(now()).known.has_no_record);
    }

    #[test]
    fn a_suspended_image_is_never_due_and_another_spec_is_another_image() {
        let mut suspended = kept(Mode::Recurrent, |spec| spec.suspend = true);
        assert_eq!((suspended.is_due(now()), suspended.next()), (false, None));
        let image = kept(Mode::Recurrent, |_| {});
        assert!(image.is_same(&kept(Mode::Recurrent, |_| {}).target));
        assert!(!image.is_same(&suspended.target));
    }
}
