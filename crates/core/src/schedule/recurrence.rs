//! When an object is looked at again by itself: some time after the last time, or at the times of a schedule. Pure, and
//! derived from what is recorded: no time is stored for a look that finds nothing to do.

use std::time::Duration;

use jiff::Timestamp;

use super::START_JITTER;
use super::cron::CronSchedule;
use crate::api::{Frequency, RecurrenceRef, UTC};
use crate::spec_error::Problems;
use crate::time::{jitter, remaining, saturating_add};

/// The longest that an object waits after a time of its schedule, so that those of one schedule do not all ask at once.
const MAX_JITTER: Duration = Duration::from_mins(1);
/// What the wait is of the time to the next one, at most.
const JITTER_PART: u32 = 10;
/// How long before its last heartbeat an agent is known to have done what was due: a look may wait for a turn.
const HEARTBEAT_MARGIN: Duration = Duration::from_mins(1);

/// When an object is looked at again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recurrence {
    /// This long after the last time.
    Every(Frequency),
    /// At the times of a schedule.
    At(Box<CronSchedule>),
}

/// When agents ran.
#[derive(Debug, Clone, Copy)]
pub struct Uptime {
    /// When this process began.
    pub started: Timestamp,
    /// The last heartbeat of the process before it, if one is known: what was due until then was done.
    pub earlier_heartbeat: Option<Timestamp>,
}

/// The fields of a spec that say when.
pub(crate) struct RecurrenceFields<F> {
    /// `frequency`
    pub(crate) frequency: F,
    /// `schedule`
    pub(crate) schedule: F,
    /// `timeZone`
    pub(crate) time_zone: F,
}

/// Why the fields that say when do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum RecurrenceError {
    #[error("it does not go with frequency; leave one of them out")]
    Both,
    #[error("it goes with schedule only; give a schedule, or leave it out")]
    TimeZoneAlone,
}

impl Recurrence {
    /// Reads what a spec says; the rest of the spec does not matter.
    pub fn parse(written: RecurrenceRef<'_>) -> Option<Self> {
        let fields = RecurrenceFields { frequency: "", schedule: "", time_zone: "" };
        Self::read(written, fields, &mut Problems::<String>::default())
    }

    /// Reads what a spec says, and notes every problem.
    pub(crate) fn read<F, G: Into<F>>(
        written: RecurrenceRef<'_>,
        fields: RecurrenceFields<G>,
        problems: &mut Problems<F>,
    ) -> Option<Self> {
        let frequency = problems.keep(fields.frequency, written.frequency.parse::<Frequency>());
        let Some(schedule) = written.schedule else {
            let alone = written.time_zone.map_or(Ok(()), |_| Err(RecurrenceError::TimeZoneAlone));
            problems.keep(fields.time_zone, alone)?;
            return frequency.map(Self::Every);
        };
        // The API server fills the default in.
        if written.frequency != Frequency::DEFAULT_TEXT {
            problems.report(fields.schedule, RecurrenceError::Both.to_string());
            return None;
        }
        let read: Option<CronSchedule> = problems.keep(fields.schedule, CronSchedule::parse(schedule));
        let zone = written.time_zone.unwrap_or(UTC);
        let in_zone = problems.keep(fields.time_zone, read.map(|read| read.in_zone(zone)).transpose());
        in_zone.flatten().map(|schedule| Self::At(Box::new(schedule)))
    }

    /// Returns when the next look is after one at this time. A period is a little shorter for some objects and longer for
    /// none, so that objects that were made together drift apart; after a time of a schedule some wait a little.
    pub fn next(&self, uid: &str, after: Timestamp) -> Timestamp {
        match self {
            Self::Every(frequency) => next_regular(uid, frequency.period(), after),
            Self::At(schedule) => {
                // Some objects are looked at a little after a time, which may lie between the two.
                let newest = schedule.last(after).map(|time| look_at(schedule, uid, time));
                let waiting = newest.filter(|look| *look > after);
                waiting.unwrap_or_else(|| look_at(schedule, uid, schedule.next(after)))
            }
        }
    }

    /// Returns how long it is from a look at this time to the next one.
    pub fn pause(&self, from: Timestamp) -> Duration {
        match self {
            Self::Every(frequency) => frequency.period(),
            Self::At(schedule) => remaining(schedule.next(from), from),
        }
    }

    /// Returns how old an answer of a registry may be that another object with the same times was given.
    pub fn shared_age(&self, now: Timestamp) -> Duration {
        match self {
            Self::Every(frequency) => frequency.period(),
            Self::At(schedule) => schedule.last(now).map_or(MAX_JITTER, |last| jitter_width(schedule, last)),
        }
    }

    /// Returns when an object is due of which this process knows only when it was last looked at, as its status records
    /// it. What was due while no agent ran is made up for once, spread over a minute: a restart is no stampede.
    pub fn resume(
        &self,
        uid: &str,
        recorded: Option<Timestamp>,
        uptime: &Uptime,
        now: Timestamp,
    ) -> Timestamp {
        let spread = START_JITTER.min(self.pause(uptime.started));
        let catch_up = saturating_add(uptime.started, jitter(uid, spread));
        // A clock that was ahead must not silence an object.
        let Some(recorded) = recorded.map(|recorded| recorded.min(now)) else { return catch_up };
        let heartbeat = uptime.earlier_heartbeat.map(|heartbeat| heartbeat.min(now));
        let next = self.next(uid, self.done_until(uid, recorded, heartbeat));
        if next > uptime.started { next } else { catch_up }
    }

    /// Returns when the last look was, if the agent ran and no look but the recorded one found something to do; none where
    /// only the time between two looks is known.
    pub fn last(&self, uid: &str, recorded: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let Self::At(schedule) = self else { return None };
        let newest = schedule.last(now)?;
        let at = look_at(schedule, uid, newest);
        let last = if at <= now { at } else { look_at(schedule, uid, schedule.last(just_before(newest))?) };
        Some(last.max(recorded.min(now)))
    }

    /// Returns until when an earlier agent is known to have looked at everything in time.
    fn done_until(&self, uid: &str, recorded: Timestamp, heartbeat: Option<Timestamp>) -> Timestamp {
        let Some(alive) = heartbeat.filter(|heartbeat| *heartbeat > recorded) else { return recorded };
        match self {
            Self::Every(frequency) => {
                let interval = interval(uid, frequency.period());
                let looks = remaining(alive, recorded).as_secs() / interval.as_secs().max(1);
                saturating_add(recorded, interval.saturating_mul(u32::try_from(looks).unwrap_or(u32::MAX)))
            }
            Self::At(_) => {
                let margin = MAX_JITTER + HEARTBEAT_MARGIN;
                alive.checked_sub(margin).map_or(recorded, |done| done.max(recorded))
            }
        }
    }
}

/// Returns when the next regular look is: a period from now, a little less for some objects and a little
/// more for none, so that objects that were made together drift apart.
pub fn next_regular(uid: &str, period: Duration, now: Timestamp) -> Timestamp {
    saturating_add(now, interval(uid, period))
}

fn interval(uid: &str, period: Duration) -> Duration {
    let slack = period / 20;
    period.saturating_sub(slack) + jitter(uid, slack)
}

/// Returns when an object is looked at for a time of its schedule.
fn look_at(schedule: &CronSchedule, uid: &str, time: Timestamp) -> Timestamp {
    saturating_add(time, jitter(uid, jitter_width(schedule, time)))
}

/// Returns over how long the looks of all objects are spread for a time of their schedule.
fn jitter_width(schedule: &CronSchedule, time: Timestamp) -> Duration {
    (remaining(schedule.next(time), time) / JITTER_PART).min(MAX_JITTER)
}

fn just_before(time: Timestamp) -> Timestamp {
    time.checked_sub(Duration::from_secs(1)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
