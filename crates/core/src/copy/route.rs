//! Between which two repositories a request copies: what the steps that need registries only work on.

use futures::{Stream, StreamExt as _};
use imgop_registry::{Reason, RegistryError, RepositoryClient};
use tokio::time::{Instant, sleep_until};

use super::{CopyRequest, Sides};

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
}

impl Sides {
    /// Returns the route of a request; `None` without a destination, as in a preview of a pattern.
    pub fn route<'a>(&'a self, request: &'a CopyRequest) -> Option<Route<'a>> {
        let destination = self.destination.as_ref()?;
        Some(Route { request, source: &self.source, destination })
    }
}

/// Returns what a stream yields until `end`. What it has yielded is not lost with what is broken off.
pub(super) fn until<T>(end: Instant, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
    stream.take_until(sleep_until(end))
}

/// Returns whether an error is the registry's refusal of the credential, which concerns all tags.
pub(super) fn is_refusal(error: &RegistryError) -> bool {
    matches!(error.reason(), Reason::Unauthorized | Reason::Forbidden)
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
