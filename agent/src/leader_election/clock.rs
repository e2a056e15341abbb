//! Time that only goes forward.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

/// A time of this process, since some moment that does not matter. Moments of two processes cannot be compared.
pub type Moment = Duration;

/// A clock that no one sets: it goes forward, by one second a second, also while the process is paused.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// Returns a clock that shows what `now` returns.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the clock of this machine. On Linux it also goes on while the machine sleeps.
    pub fn of_this_machine() -> Self {
        #[cfg(target_os = "linux")]
        return Self::new(|| {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
            Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
        });
        #[cfg(not(target_os = "linux"))]
        {
            let began = Instant::now();
            Self::new(move || began.elapsed())
        }
    }

    /// Returns what it shows.
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_goes_as_fast_as_other_clocks() {
        let (clock, began) = (Clock::of_this_machine(), Instant::now());
        let first = clock.now();
        while began.elapsed() < Duration::from_millis(5) {
            std::thread::yield_now();
        }
        assert!(clock.now().saturating_sub(first) >= Duration::from_millis(4), "{first:?} {:?}", clock.now());
    }
}
