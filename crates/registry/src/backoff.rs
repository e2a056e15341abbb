//! How long to wait between attempts.

use std::time::Duration;

/// Returns the wait after `failures` earlier waits: `first`, doubled with each, at most `max`.
pub fn backoff(first: Duration, max: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_maximum_and_never_overflows() {
        let wait = |failures| backoff(Duration::from_secs(10), Duration::from_mins(5), failures).as_secs();
        assert_eq!([0, 1, 2, 4, 5, 31, 32, u32::MAX].map(wait), [10, 20, 40, 160, 300, 300, 300, 300]);
        assert_eq!(backoff(Duration::ZERO, Duration::MAX, 40), Duration::ZERO);
    }
}
