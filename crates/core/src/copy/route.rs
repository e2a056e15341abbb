//! Between which two repositories a request copies: what the steps that need registries only work on.

use futures::{Stream, StreamExt as _};
use imgop_registry::{Reason, RegistryError, RepositoryClient};
use tokio::time::{Instant, sleep_until};

use super::{CopyRequest, ReadAhead, Sides};

/// How many tags a step asks for or publishes at once; each registry's own limit bounds it further.
pub(super) const MAX_CONCURRENT_TAGS: usize = 16;

/// A request, and the clients of both its repositories.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// What is asked for.
    pub request: &'a CopyRequest,
    /// The source repository.
    pub source: &'a RepositoryClient,
    /// The destination repository.
    pub destination: &'a RepositoryClient,
    /// Manifests of the source that were read already, if any were.
    pub read_ahead: Option<&'a ReadAhead>,
}

impl Sides {
    /// Returns the route of a request; `None` without a destination, as in a preview of a pattern.
    pub fn route<'a>(&'a self, request: &'a CopyRequest) -> Option<Route<'a>> {
        let destination = self.destination.as_ref()?;
        Some(Route { request, source: &self.source, destination, read_ahead: None })
    }
}

/// Returns what a stream yields until `end`. What it has yielded is not lost with what is broken off.
pub(super) fn until<T>(end: Instant, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
    stream.take_until(sleep_until(end))
}

/// Tells what a registry refuses to one tag from what it refuses to a credential, by its answers for several
/// tags.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refusal: Option<RegistryError>,
    any_accepted: bool,
}

impl Refusals {
    /// Notes an answer.
    pub(super) fn add<T>(&mut self, answer: &Result<T, RegistryError>) {
        match answer {
            Ok(_) => self.any_accepted = true,
            Err(error) => match error.reason() {
                Reason::Unauthorized => self.refusal = Some(error.clone()),
                // One tag may be protected, and one content forbidden by a policy.
                Reason::Forbidden => _ = self.refusal.get_or_insert_with(|| error.clone()),
                _ => {}
            },
        }
    }

    /// Returns the refusal that concerns all tags. That a registry does not take the credential always does;
    /// that it denies something does where it has accepted nothing.
    pub(super) fn of_all(self) -> Option<RegistryError> {
        self.refusal.filter(|error| !self.any_accepted || *error.reason() == Reason::Unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_done_before_the_end_is_kept_and_what_never_ends_is_left() {
        let setting = futures::stream::iter([1, 2, 3]).map(|n| async move {
            if n == 2 {
                std::future::pending::<()>().await;
            }
            n
        });
        let end = Instant::now() + Duration::from_mins(1);
        let done: Vec<i32> = until(end, setting.buffer_unordered(MAX_CONCURRENT_TAGS)).collect().await;
        assert_eq!(done, [1, 3]);
    }
}
