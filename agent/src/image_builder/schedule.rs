//! When an ImageBuilder is looked at by itself: what `rebuildOn` watches, its schedule, and its tags.

use std::time::Duration;

use imgop_core::build::{BuildRequest, LastBuild};
use imgop_core::schedule::next_regular;
use imgop_core::time::{jitter, remaining, saturating_add};
use jiff::Timestamp;

use super::memory::Memory;
use super::{Pass, SLOW_INTERVAL, TAGS_INTERVAL};

impl Pass<'_> {
    /// Returns whether it is time to look at what `rebuildOn` watches, at the schedule, or at the tags.
    pub(super) fn is_check_due(
        &self,
        request: &BuildRequest,
        last: Option<&LastBuild>,
        memory: &mut Memory,
    ) -> bool {
        *memory.schedule.next.get_or_insert_with(|| self.first_check(request, last)) <= self.now
    }

    /// Returns whether a time of the schedule has come since the last build began. What was missed is made up for by one
    /// build, as that is the last one then.
    pub(super) fn is_scheduled(&self, request: &BuildRequest, last: &LastBuild) -> bool {
        // A clock that was ahead tells nothing of when the build began.
        let has_come = || request.recurrence.next(&self.owner.uid, last.started_at) <= self.now;
        request.is_built_by_schedule() && (last.started_at > self.now || has_come())
    }

    /// Schedules the next check, and returns how long nothing is to be done until then.
    pub(super) fn schedule_check(&self, request: &BuildRequest, memory: &mut Memory) -> Duration {
        memory.schedule.retries = 0;
        let regular = || request.recurrence.next(&self.owner.uid, self.now);
        let tags = || next_regular(&self.owner.uid, TAGS_INTERVAL, self.now);
        memory.schedule.next = Some(earliest(request, regular, tags));
        self.idle(memory)
    }

    /// Returns how long an ImageBuilder is left alone of which nothing is due.
    pub(super) fn idle(&self, memory: &Memory) -> Duration {
        let next = memory.schedule.next.unwrap_or_else(|| saturating_add(self.now, TAGS_INTERVAL));
        let wait = remaining(next, self.now).max(Duration::from_secs(1));
        if self.failed_for_a_secret() { wait.min(SLOW_INTERVAL) } else { wait }
    }

    /// Returns when the first check of this process is: when it is due after the last build. What waits for nothing is
    /// looked at within the interval, so that a restart is no stampede.
    fn first_check(&self, request: &BuildRequest, last: Option<&LastBuild>) -> Timestamp {
        let (uid, uptime) = (&self.owner.uid, self.agent().uptime());
        let began = last.map(|last| last.started_at);
        let regular = || request.recurrence.resume(uid, began, &uptime, self.now);
        let tags = || saturating_add(uptime.started, jitter(uid, TAGS_INTERVAL));
        earliest(request, regular, tags)
    }
}

/// Returns when the next check is: the regular one where something is watched or scheduled; where nothing is watched, the
/// tags are looked at once a day.
fn earliest(
    request: &BuildRequest,
    regular: impl FnOnce() -> Timestamp,
    tags: impl FnOnce() -> Timestamp,
) -> Timestamp {
    match request.rebuild_on.is_empty() {
        false => regular(),
        true if request.is_built_by_schedule() => regular().min(tags()),
        true => tags(),
    }
}
