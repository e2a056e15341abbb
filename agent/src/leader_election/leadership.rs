//! Whether this process leads, for all its parts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use imgop_registry::WriteGate;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::clock::{Clock, Moment};

/// A process that has not read the Lease for longer does not know whether it could lead.
const LEASE_STALE: Duration = Duration::from_secs(90);

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// There is no election: it works without asking anyone.
    Unelected,
    /// It waits until it leads, and can: it has read who leads, if any process does.
    Candidate(Option<String>),
    /// It waits until it leads, and does not know whether it can: the Lease could not be read.
    Excluded,
    /// It leads.
    Leader(String),
}

/// Whether this process leads. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Leadership(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// In milliseconds of the clock.
    leads_until: AtomicU64,
    /// Whether it was to lead for some time.
    was_elected: AtomicBool,
    /// Whether it has given that up by itself.
    has_resigned: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    is_unelected: bool,
    holder: Option<String>,
    read: Option<Moment>,
}

impl Leadership {
    /// Returns that of a process that takes part in an election and does not lead yet.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            clock,
            leads_until: AtomicU64::new(0),
            was_elected: AtomicBool::new(false),
            has_resigned: AtomicBool::new(false),
            known: Mutex::default(),
        }))
    }

    /// Returns that of a process without an election: it may always write.
    pub fn unelected() -> Self {
        let leadership = Self::new(Clock::of_this_machine());
        leadership.0.known.lock().is_unelected = true;
        leadership.lead_until(Moment::MAX);
        leadership
    }

    /// Returns whether this process leads now.
    pub fn leads(&self) -> bool {
        millis(self.0.clock.now()) < self.0.leads_until.load(Ordering::Acquire)
    }

    /// Returns whether this process led, and does not any more though it has not given that up: it must end.
    pub fn is_lost(&self) -> bool {
        let Shared { was_elected, has_resigned, .. } = &*self.0;
        was_elected.load(Ordering::Acquire) && !has_resigned.load(Ordering::Acquire) && !self.leads()
    }

    /// Returns the gate that is open while this process leads.
    pub fn write_gate(&self) -> WriteGate {
        let leadership = self.clone();
        WriteGate::new(move || leadership.leads())
    }

    /// Returns the gate that closes when leadership is lost. It is open before this process leads and after it has
    /// given that up: it reads then.
    pub fn connection_gate(&self) -> WriteGate {
        let leadership = self.clone();
        WriteGate::new(move || !leadership.is_lost())
    }

    /// Returns what this process does.
    pub fn role(&self) -> Role {
        let known = self.0.known.lock();
        if known.is_unelected {
            Role::Unelected
        } else if self.leads() {
            Role::Leader(known.holder.clone().unwrap_or_default())
        } else if known.read.is_some_and(|read| self.0.clock.now().saturating_sub(read) < LEASE_STALE) {
            Role::Candidate(known.holder.clone())
        } else {
            Role::Excluded
        }
    }

    /// Leads until then.
    pub(crate) fn lead_until(&self, until: Moment) {
        self.0.leads_until.store(millis(until), Ordering::Release);
        self.0.was_elected.store(true, Ordering::Release);
    }

    /// Does not lead, or not any more.
    pub(super) fn end(&self) {
        self.0.leads_until.store(0, Ordering::Release);
    }

    /// Gives up to lead: another process may.
    pub(super) fn resign(&self) {
        self.0.has_resigned.store(true, Ordering::Release);
        self.end();
    }

    /// Takes note of who holds the Lease.
    pub(crate) fn has_read(&self, holder: Option<&str>) {
        let mut known = self.0.known.lock();
        known.read = Some(self.0.clock.now());
        if known.holder.as_deref() != holder {
            known.holder = holder.map(str::to_owned);
        }
    }
}

/// Whole milliseconds, rounded down: the end of a lease is never later than it is.
fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unelected => f.write_str("works without an election"),
            Self::Candidate(None) => f.write_str("waits to lead; no agent leads"),
            Self::Candidate(Some(holder)) => write!(f, "waits to lead; {holder} leads"),
            Self::Excluded => f.write_str("cannot read the Lease"),
            Self::Leader(identity) => write!(f, "this agent leads, {identity}"),
        }
    }
}

impl Collector for Leadership {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let leads = ConstGauge::new(i64::from(self.leads()));
        let help = "Whether this agent leads: 1, or 0 for one that would take over";
        leads.encode(encoder.encode_descriptor("leading", help, None, leads.metric_type())?)?;
        let help = "The agent that leads, as this one has read last";
        let mut leader = encoder.encode_descriptor("leader_info", help, None, MetricType::Gauge)?;
        if let Some(holder) = &self.0.known.lock().holder {
            let labels = [("holder", holder.as_str())];
            ConstGauge::new(1i64).encode(leader.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_led_until_a_moment_may_write_nothing_from_then_on() {
        let now = Arc::new(AtomicU64::new(5_000));
        let shown = now.clone();
        let clock = Clock::new(move || Duration::from_millis(shown.load(Ordering::SeqCst)));
        let leadership = Leadership::new(clock);
        let gate = leadership.write_gate();
        assert!(!gate.is_open());
        assert_eq!(leadership.role(), Role::Excluded);
        leadership.has_read(Some("b"));
        assert_eq!(leadership.role(), Role::Candidate(Some("b".to_owned())));
        leadership.has_read(Some("a"));
        leadership.lead_until(Duration::from_secs(10));
        now.store(9_999, Ordering::SeqCst);
        assert_eq!((gate.is_open(), leadership.role()), (true, Role::Leader("a".to_owned())));
        now.store(10_000, Ordering::SeqCst);
        assert!(!gate.is_open());
        now.store(100_000, Ordering::SeqCst);
        assert_eq!(leadership.role(), Role::Excluded);
        assert!(Leadership::unelected().write_gate().is_open());
    }

    #[test]
    fn leadership_is_lost_when_its_time_is_over_and_not_when_it_is_given_up_or_never_was() {
        let now = Arc::new(AtomicU64::new(5_000));
        let shown = now.clone();
        let leadership =
            Leadership::new(Clock::new(move || Duration::from_millis(shown.load(Ordering::SeqCst))));
        let connections = leadership.connection_gate();
        leadership.end();
        assert!(!leadership.is_lost() && connections.is_open(), "it never led");
        leadership.lead_until(Duration::from_secs(10));
        assert!(!leadership.is_lost() && connections.is_open());
        now.store(10_000, Ordering::SeqCst);
        assert!(leadership.is_lost() && !connections.is_open());
        leadership.lead_until(Duration::from_secs(20));
        assert!(!leadership.is_lost(), "it was renewed");
        leadership.end();
        assert!(leadership.is_lost());
        leadership.resign();
        assert!(!leadership.is_lost() && connections.is_open() && !Leadership::unelected().is_lost());
    }
}
