//! Notices that this process does not lead any more, also where no task of it goes on: by a thread of its own.
//!
//! A process whose tasks are stuck does not renew the Lease. Nothing of it is written by then, but its probes may still
//! answer, and what it waits for may come hours later. So it is ended before another one leads, or a moment after it goes
//! on where it was paused as a whole.

use std::io;
use std::thread;
use std::time::Duration;

use super::leadership::Leadership;

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long a process has that notices by itself, and ends as it should.
const GRACE: Duration = Duration::from_secs(1);

/// Does `end` once this process does not lead any more and has not ended by then. Not at all for one that gives it up.
pub fn when_lost(leadership: Leadership, end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let watch = move || watch(&leadership, EVERY, GRACE, end);
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

fn watch(leadership: &Leadership, every: Duration, grace: Duration, end: impl FnOnce()) {
    loop {
        thread::sleep(every);
        if leadership.is_lost() {
            thread::sleep(grace);
            // An answer may have come at the last moment.
            if leadership.is_lost() {
                return end();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn a_process_that_led_is_ended_though_none_of_its_tasks_goes_on() {
        let now = Arc::new(AtomicU64::new(0));
        let shown = now.clone();
        let clock = Clock::new(move || Duration::from_secs(shown.load(Ordering::SeqCst)));
        let leadership = Leadership::new(clock);
        leadership.lead_until(Duration::from_secs(10));
        let (ending, ended) = mpsc::channel();
        let (watched, seen) = (leadership.clone(), leadership.clone());
        let (every, grace) = (Duration::from_millis(1), Duration::ZERO);
        // The only thread of the runtime is stuck below.
        thread::spawn(move || watch(&watched, every, grace, move || ending.send(seen.leads()).unwrap()));
        now.store(9, Ordering::SeqCst);
        assert!(ended.try_recv().is_err());
        now.store(10, Ordering::SeqCst);
        let led = ended.recv_timeout(Duration::from_mins(1));
        assert_eq!(led, Ok(false));
    }
}
