//! Pulls that are reserved before copies begin.

use super::pull_quota::PullReserveReached;
use super::repository_client::RepositoryClient;
use crate::text::authority;

impl RepositoryClient {
    /// Reserves the pulls of a copy that is about to begin, unless the registry reports that too few are
    /// left. A registry that has reported no limit has none.
    pub fn reserve_pulls(&self, pulls: u64) -> Result<(), PullReserveReached> {
        let Ok(base) = self.url("") else { return Ok(()) };
        self.shared().pulls.reserve(&authority(&base), self.identity(), pulls)
    }

    /// Releases the pulls of a copy that did not begin after all.
    pub fn release_pulls(&self, pulls: u64) {
        if let Ok(base) = self.url("") {
            self.shared().pulls.release(&authority(&base), self.identity(), pulls);
        }
    }

    /// Whether the registry has reported that it counts pulls.
    pub fn counts_pulls(&self) -> bool {
        self.url("").is_ok_and(|base| self.shared().pulls.counts_pulls(&authority(&base)))
    }
}
