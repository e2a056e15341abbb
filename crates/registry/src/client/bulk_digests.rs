//! The digests and push times of many tags at once.

use std::collections::{HashMap, HashSet};

use super::repository_client::RepositoryClient;
use crate::bulk::{self, BulkDigest, Purpose, Query};
use crate::reference::Tag;

impl RepositoryClient {
    /// Returns the digests of `wanted` and their push times, where the registry has an API for many at once
    /// and it takes clearly fewer requests than a HEAD for each. `listed` are all tags of the repository.
    ///
    /// There is no error: a tag that is missing has to be requested. A digest may be a little old, so it
    /// serves to find that nothing has changed; before acting on a change, use [`head`](Self::head).
    pub async fn digests_in_bulk(&self, wanted: &HashSet<Tag>, listed: &[Tag]) -> HashMap<Tag, BulkDigest> {
        self.look_up_in_bulk(wanted, listed, Purpose::Digests).await
    }

    /// Returns the same where push times matter, be it for one tag. `listed` is empty where the tags of the
    /// repository are not known.
    pub async fn pushes_in_bulk(&self, wanted: &HashSet<Tag>, listed: &[Tag]) -> HashMap<Tag, BulkDigest> {
        self.look_up_in_bulk(wanted, listed, Purpose::PushTimes).await
    }

    async fn look_up_in_bulk(
        &self,
        wanted: &HashSet<Tag>,
        listed: &[Tag],
        purpose: Purpose,
    ) -> HashMap<Tag, BulkDigest> {
        let query = Query { repository: self.repository(), wanted, listed, purpose };
        bulk::look_up(&self.shared().http, &self.shared().bulk_reach, query).await
    }
}
