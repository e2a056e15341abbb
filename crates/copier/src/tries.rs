//! Whether one blob is tried again, and after how long.

use std::time::Duration;

use imgop_registry::RegistryError;
use tokio::time::sleep;

use crate::copier::Copier;
use crate::error::CopyError;
use crate::options::Options;

/// How often a destination may want fewer requests in the course of one blob. That is no failure of it.
const MAX_THROTTLED: u32 = 16;
/// The longest wait by our own choice, for a registry that wants fewer requests and does not say when.
const MAX_THROTTLED_WAIT: Duration = Duration::from_secs(30);
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The tries of one blob that have failed, by what they say of the next one.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    failures: u32,
    throttled: u32,
    has_had_other_bytes: bool,
    has_been_repeated: bool,
}

impl Tries {
    /// Counts a try that has failed. Returns the wait before the next one, with full jitter; `None` if there is none.
    pub(crate) fn wait_after(&mut self, error: &CopyError, options: &Options) -> Option<Duration> {
        if let Some(asked) = error.asked_pause() {
            self.throttled += 1;
            // What is sent at once is fewer by now, so the first wait can be short.
            let wait = jittered(imgop_registry::backoff(
                options.first_wait / 4,
                MAX_THROTTLED_WAIT,
                self.throttled - 1,
            ));
            return (self.throttled <= MAX_THROTTLED && asked <= options.patience).then_some(asked + wait);
        }
        // Wrong bytes are read once more: the source may have been broken for a moment, and they may be many.
        let is_twice = error.is_of_content() && std::mem::replace(&mut self.has_had_other_bytes, true);
        // So is what was asked for several times in a row: tries of tries would be many.
        let is_repeated = error.is_repeated() && std::mem::replace(&mut self.has_been_repeated, true);
        self.failures += 1;
        let is_over =
            is_twice || is_repeated || !error.is_worth_another() || self.failures >= options.attempts;
        (!is_over).then(|| wait(options.first_wait, self.failures))
    }
}

impl Copier {
    /// Asks a registry for something, and again as long as it wants fewer requests. What fails otherwise has been tried
    /// often enough.
    pub(crate) async fn patiently<T, A>(&self, ask: impl Fn() -> A) -> Result<T, CopyError>
    where
        A: Future<Output = Result<T, RegistryError>>,
    {
        let mut tries = Tries::default();
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => CopyError::from(error),
            };
            let wait = error.asked_pause().and_then(|_| tries.wait_after(&error, &self.options));
            let Some(wait) = wait else { return Err(error) };
            sleep(wait).await;
            self.goes_on()?;
        }
    }
}

/// Returns the wait before the next try, with full jitter.
pub(crate) fn wait(first: Duration, failures: u32) -> Duration {
    jittered(imgop_registry::backoff(first, MAX_WAIT, failures.saturating_sub(1)))
}

fn jittered(bound: Duration) -> Duration {
    bound.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use imgop_registry::reference::Digest;

    use super::*;

    /// How many tries one error allows.
    fn tries(error: &CopyError) -> u32 {
        let (mut tries, options) = (Tries::default(), Options::default());
        (1..=100).find(|_| tries.wait_after(error, &options).is_none()).unwrap()
    }

    #[test]
    fn wrong_bytes_are_read_twice_and_what_stalls_as_often_as_is_set() {
        let digest = || Digest::of(b"a");
        assert_eq!(tries(&CopyError::Content { expected: digest(), found: digest() }), 2);
        assert_eq!(tries(&CopyError::Stalled(digest())), Options::default().attempts);
        assert_eq!(tries(&CopyError::NoManifest(digest())), 1);
    }
}
