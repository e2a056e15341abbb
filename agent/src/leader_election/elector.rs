//! Who leads, worked out from what this process has read of the Lease and written to it. Pure: the time and the
//! answers of the API server are handed in, and what is to be asked next comes out.
//!
//! Why two processes never lead at once, by their own clocks: a process counts from the moment *before* it sent the
//! write that made it the holder, or that renewed it, and stops after [`Timings::valid_for`]. Another one counts from
//! the moment *after* it read that write, and waits for [`Timings::duration`], which is longer. What the times in the
//! Lease say decides nothing, so a wall clock may be wrong. A write names the version that it replaces, so of two
//! processes that take the Lease one is refused.

use std::time::Duration;

use jiff::Timestamp;

use super::clock::Moment;

/// The longest time that another process is waited for, whatever it wrote.
const MAX_DURATION: Duration = Duration::from_mins(1);

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// How long others wait for a holder that does not renew the Lease.
    pub duration: Duration,
    /// How long a write makes its process lead. What lies between this and `duration` is for requests that are under
    /// way then, and for clocks that go differently fast.
    pub valid_for: Duration,
    /// How long after a write the holder renews the Lease.
    pub renew_after: Duration,
    /// How often the others read it.
    pub read_every: Duration,
    /// The pause after a request that failed.
    pub pause: Duration,
    /// How long a request may take.
    pub request: Duration,
}

impl Default for Timings {
    /// After a kill another process leads within 15 seconds: it noticed the last renewal within one, waits for 13, and
    /// writes.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(13),
            valid_for: Duration::from_secs(10),
            renew_after: Duration::from_secs(3),
            read_every: Duration::from_secs(1),
            pause: Duration::from_secs(1),
            request: Duration::from_secs(3),
        }
    }
}

/// The Lease as the API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Who holds it.
    pub holder: Option<String>,
    /// How long others wait for that one.
    pub duration: Duration,
    /// How often the holder has changed.
    pub transitions: i32,
    /// Since when that one holds it, for people.
    pub acquired: Option<Timestamp>,
    /// Its version.
    pub version: String,
}

/// What is to be written into the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseWrite {
    /// Who holds it from then on.
    pub holder: Option<String>,
    /// How long others wait for that one.
    pub duration: Duration,
    /// How often the holder has changed.
    pub transitions: i32,
    /// Since when that one holds it; none if from now on.
    pub acquired: Option<Timestamp>,
    /// The version that it replaces; none if the Lease is created.
    pub version: Option<String>,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing for this time.
    Wait(Duration),
    /// Read the Lease.
    Read,
    /// Write this.
    Write(LeaseWrite),
    /// This process led and must not go on.
    End(Loss),
}

/// Why a process does not lead any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The Lease could not be renewed in time, or the process was paused.
    #[error("the lease was not renewed in time")]
    NotRenewed,
    /// Another process holds the Lease.
    #[error("{0} has taken the lease")]
    Taken(String),
}

/// One process that wants to lead.
#[derive(Debug)]
pub struct Elector {
    identity: String,
    timings: Timings,
    seen: Option<Seen>,
    /// When the write was sent that made this process lead, or the last one that renewed that.
    renewed: Option<Moment>,
    /// Whether there ever was a Lease.
    has_been_there: bool,
    /// Whether the Lease may be another one than the one that was seen last.
    is_outdated: bool,
    /// Nothing is asked before.
    paused_until: Moment,
}

/// What the API server said last.
#[derive(Debug)]
struct Seen {
    record: Option<LeaseRecord>,
    /// When that was first read, or written.
    since: Moment,
    /// When it was last read, or written.
    at: Moment,
}

impl Elector {
    /// Returns a process with a name that no other one has or had.
    pub fn new(identity: String, timings: Timings) -> Self {
        Self {
            identity,
            timings,
            seen: None,
            renewed: None,
            has_been_there: false,
            is_outdated: true,
            paused_until: Moment::ZERO,
        }
    }

    /// Returns until when this process leads; none if it does not.
    pub fn leads_until(&self) -> Option<Moment> {
        self.renewed.filter(|_| self.usurper().is_none()).map(|sent| sent + self.timings.valid_for)
    }

    /// Returns who holds the Lease, if that is another process.
    fn usurper(&self) -> Option<&str> {
        self.holder().filter(|holder| *holder != self.identity)
    }

    /// Returns how long a request may take that is sent now.
    pub fn patience(&self, now: Moment) -> Duration {
        self.leads_until()
            .map_or(self.timings.request, |until| until.saturating_sub(now).min(self.timings.request))
    }

    /// Returns who holds the Lease, as far as is known.
    pub fn holder(&self) -> Option<&str> {
        self.seen.as_ref()?.record.as_ref()?.holder.as_deref()
    }

    /// Returns what is to be done next.
    pub fn next(&self, now: Moment) -> Step {
        if let (Some(_), Some(holder)) = (self.renewed, self.usurper()) {
            return Step::End(Loss::Taken(holder.to_owned()));
        }
        if self.leads_until().is_some_and(|until| now >= until) {
            return Step::End(Loss::NotRenewed);
        }
        if now < self.paused_until {
            return Step::Wait(self.paused_until.min(self.leads_until().unwrap_or(Moment::MAX)) - now);
        }
        match &self.seen {
            Some(seen) if !self.is_outdated => self.after(seen, now),
            _ => Step::Read,
        }
    }

    /// Returns what is to be done after what was read or written last.
    fn after(&self, seen: &Seen, now: Moment) -> Step {
        let free_at = match (self.renewed, &seen.record) {
            (Some(sent), _) => sent + self.timings.renew_after,
            // It was deleted: whoever held it may not know yet.
            (None, None) if self.has_been_there => seen.since + self.timings.duration,
            (None, None) => now,
            (None, Some(record)) if self.may_take_at_once(record) => now,
            (None, Some(record)) => seen.since + record.duration.clamp(self.timings.duration, MAX_DURATION),
        };
        let read_at = self.renewed.map_or(seen.at + self.timings.read_every, |_| Moment::MAX);
        if now >= read_at {
            Step::Read
        } else if now >= free_at {
            Step::Write(self.claim(seen.record.as_ref()))
        } else {
            Step::Wait(free_at.min(read_at) - now)
        }
    }

    /// The holder has released it; or this process has written itself into it and the answer was lost.
    fn may_take_at_once(&self, record: &LeaseRecord) -> bool {
        record.holder.as_ref().is_none_or(|holder| *holder == self.identity)
    }

    /// Returns what makes this process the holder, or renews that.
    fn claim(&self, record: Option<&LeaseRecord>) -> LeaseWrite {
        let is_ours = record.is_some_and(|record| record.holder.as_ref() == Some(&self.identity));
        let transitions = record.map_or(0, |record| record.transitions);
        LeaseWrite {
            holder: Some(self.identity.clone()),
            duration: self.timings.duration,
            transitions: if is_ours || record.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            },
            acquired: record.filter(|_| is_ours).and_then(|record| record.acquired),
            version: record.map(|record| record.version.clone()),
        }
    }

    /// Returns what releases the Lease, if this process holds it by what was read last.
    pub fn release(&mut self) -> Option<LeaseWrite> {
        self.renewed = None;
        let record = self.seen.as_ref()?.record.as_ref()?;
        (record.holder.as_ref() == Some(&self.identity)).then(|| LeaseWrite {
            holder: None,
            acquired: record.acquired,
            ..self.claim(Some(record))
        })
    }

    /// Takes note of what was read; none if there is no Lease.
    pub fn read(&mut self, record: Option<LeaseRecord>, now: Moment) {
        let version = |record: &Option<LeaseRecord>| record.as_ref().map(|record| record.version.clone());
        let is_same = |seen: &&Seen| version(&seen.record) == version(&record);
        let since = self.seen.as_ref().filter(is_same).map_or(now, |seen| seen.since);
        self.has_been_there |= record.is_some();
        self.seen = Some(Seen { record, since, at: now });
        self.is_outdated = false;
    }

    /// Takes note of what was written, and when that was sent.
    pub fn wrote(&mut self, record: LeaseRecord, sent: Moment, now: Moment) {
        self.renewed = Some(sent);
        self.has_been_there = true;
        self.seen = Some(Seen { record: Some(record), since: now, at: now });
        self.is_outdated = false;
    }

    /// Takes note that a request failed, or had no answer: it may have been done or not.
    pub fn failed(&mut self, now: Moment) {
        self.is_outdated = true;
        self.paused_until = now + self.timings.pause;
    }
}

#[cfg(test)]
mod tests;
