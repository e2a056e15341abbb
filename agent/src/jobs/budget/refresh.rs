//! Owners that wait for long: what their passes observed gets old, and is observed again now and then.

use std::sync::Arc;
use std::time::Duration;

use imgop_core::time::jitter;
use jiff::Timestamp;

use super::JobBudget;
use crate::cluster::owner::Owner;

/// How often an owner that waits is woken although it is not next. Ten thousand may wait, and each of their passes asks
/// both registries.
const REFRESH_PERIOD: Duration = Duration::from_hours(2);

impl JobBudget {
    /// Wakes those owners in the queues whose time to observe anew is after `since` and not after `until`. Nothing is
    /// kept for it: the time follows from the UID.
    pub fn refresh(&self, since: Timestamp, until: Timestamp) {
        let due: Vec<Arc<Owner>> = {
            let state = self.0.state.lock();
            let waiting = state.namespaces.values().flat_map(|of| of.queue.values());
            waiting.filter(|owner| is_due(&owner.uid, since, until)).cloned().collect()
        };
        for owner in &due {
            (self.0.wake)(owner);
        }
    }
}

/// Returns whether one of an owner's times is after `since` and not after `until`. It has one in each period.
fn is_due(uid: &str, since: Timestamp, until: Timestamp) -> bool {
    let period = seconds(REFRESH_PERIOD);
    let first = seconds(jitter(uid, REFRESH_PERIOD));
    let periods = |at: Timestamp| (at.as_second() - first).div_euclid(period);
    periods(until) > periods(since)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::super::tests::{CAPS, now, owner};
    use super::*;

    #[test]
    fn each_owner_that_waits_is_woken_once_in_two_hours_and_they_are_spread() {
        let woken = Arc::<Mutex<Vec<String>>>::default();
        let wakes = woken.clone();
        let budget = JobBudget::new(CAPS, move |owner| wakes.lock().push(owner.uid.clone()));
        let holders = ["a", "b"].map(|uid| budget.take(&owner("x", uid), 3, now()));
        assert_eq!(holders.iter().map(|granted| granted.places.len()).sum::<usize>(), 5);
        let uids: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        for uid in &uids {
            drop(budget.take(&owner("x", uid), 1, now()));
        }
        budget.leave("b");
        woken.lock().clear();

        let minute = |n: u64| now() + Duration::from_mins(n);
        let mut most = 0;
        for n in 0..120 {
            let before = woken.lock().len();
            budget.refresh(minute(n), minute(n + 1));
            most = most.max(woken.lock().len() - before);
        }
        let mut all = std::mem::take(&mut *woken.lock());
        all.sort_by_key(|uid| uid.parse::<u32>().unwrap());
        assert_eq!(all, uids);
        assert!(most < 15, "{most} of 300 in one minute");
    }
}
