//! When Ctrl-C and SIGTERM end this program: at once, but for the few requests that leave nothing half done only
//! together.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::cli_error::CliError;

/// How many guards there are.
static GUARDS: AtomicUsize = AtomicUsize::new(0);
/// One of them was dropped.
static DROPPED: Notify = Notify::const_new();

/// As long as there is one, the first signal waits. The second ends the program.
#[derive(Debug)]
pub struct Uninterrupted(());

impl Uninterrupted {
    /// Begins what is to be done as a whole.
    pub fn begin() -> Self {
        GUARDS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Returns once there is no other one.
    pub async fn is_alone(&self) {
        at_most(1).await;
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        GUARDS.fetch_sub(1, Ordering::Relaxed);
        DROPPED.notify_waiters();
    }
}

/// Does what waits for files or the standard input where a signal can leave it behind: work that does not yield could not be
/// given up.
pub async fn left_behind<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nothing cancels it while it is waited for.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Returns that the work is given up, once the user presses Ctrl-C or another program ends this one.
pub async fn interrupted() -> CliError {
    end_by(signal().await, signal()).await
}

/// Returns how this program ends, once the user presses Ctrl-C or another program ends it: for work that ends by itself
/// then, which a guard keeps from being ended before.
pub async fn asked_to_end() -> CliError {
    signal().await
}

/// Returns once nothing is left half done, or at a second signal.
async fn end_by(first: CliError, second: impl Future<Output = CliError>) -> CliError {
    tokio::select! {
        () = at_most(0) => first,
        second = second => second,
    }
}

/// Returns once there are no more guards.
async fn at_most(guards: usize) {
    loop {
        let dropped = DROPPED.notified();
        if GUARDS.load(Ordering::Relaxed) <= guards {
            return;
        }
        dropped.await;
    }
}

async fn signal() -> CliError {
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => CliError::cancelled(),
        () = terminated() => CliError::terminated(),
    }
}

/// Returns at SIGTERM.
#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// There is no such signal.
#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn what_is_done_as_a_whole_is_ended_by_the_second_signal_only() {
        let guard = Uninterrupted::begin();
        let mut ends = pin!(end_by(CliError::cancelled(), pending()));
        assert!(poll!(ends.as_mut()).is_pending());
        let second = end_by(CliError::cancelled(), ready(CliError::terminated())).await;
        assert_eq!(second, CliError::terminated());
        drop(guard);
        assert_eq!(ends.await, CliError::cancelled());
        assert_eq!(end_by(CliError::cancelled(), pending()).await, CliError::cancelled());
    }
}
