//! Tag lists: complete, page after page, and shared for a while.

use std::collections::HashSet;

use reqwest::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::repository_client::RepositoryClient;
use super::tag_list_cache::{ListKey, SharedTags};
use super::tag_page::TagSet;
use crate::error::{Failure, Operation, Reason, RegistryError, Unreachable};
use crate::reference::Tag;
use crate::transport::{Request, Response, is_registry_not_found, next_page};

impl RepositoryClient {
    /// Returns all tags, sorted by name. The list is complete, or it is an error.
    ///
    /// Names that the specification forbids are left out.
    pub async fn tags(&self) -> Result<Vec<Tag>, RegistryError> {
        self.list().await.map_err(|failure| self.error(Operation::ListTags, failure))
    }

    /// Returns all tags from a list not older than [`Settings::tag_list_ttl`](crate::Settings::tag_list_ttl);
    /// none if there is no such repository.
    pub async fn shared_tags(&self) -> Result<SharedTags, RegistryError> {
        let list = || async {
            match self.list().await {
                Err(failure) if failure.reason == Reason::RepositoryNotFound => Ok(Vec::new()),
                outcome => outcome,
            }
        };
        let tags = self.shared().tag_lists.get(&self.list_key(), list).await;
        tags.map_err(|failure| self.error(Operation::ListTags, failure))
    }

    /// Whether [`Self::shared_tags`] is worth a call for one tag: it may be answered from the cache, or the
    /// list serves others as well and is no longer than one page.
    pub fn prefers_shared_tags(&self) -> bool {
        self.registry().is_ok() && self.shared().tag_lists.is_cheap(&self.list_key())
    }

    /// Drops the cached lists of this repository, and whether it has a referrers API, so that the next call
    /// reads what is there now.
    pub fn invalidate_tag_lists(&self) {
        self.record_write();
        if let Ok(registry) = self.registry() {
            registry.referrers_support.invalidate(self.repository().path());
        }
    }

    /// Records that this process may have written to the repository.
    pub(super) fn record_write(&self) {
        self.shared().tag_lists.invalidate(&self.list_key());
    }

    fn list_key(&self) -> ListKey {
        ListKey { account: self.account(), path: self.repository().path().to_owned() }
    }

    async fn list(&self) -> Result<Vec<Tag>, Failure> {
        let settings = self.settings();
        let mut tags = TagSet::new(settings.max_tags);
        let mut seen = HashSet::new();
        let mut bytes_left = settings.max_list_bytes;
        let (mut page, mut response) = self.first_page(bytes_left).await?;
        let began = Instant::now();
        loop {
            if response.status != StatusCode::OK {
                return Err(self.error_of(&response));
            }
            let before = tags.len();
            tags.add_page(&response.body).map_err(|failure| failure.with_status(response.status))?;
            bytes_left -= response.body.len();
            seen.insert(page);
            let Some(next) = next_page(&response.url, &response.headers)? else { break };
            // It may be large, and the next one is waited for.
            drop(response);
            if tags.len() == before || seen.contains(&next) {
                return Err(Failure::protocol("the pages of the tag list go round in circles"));
            }
            if seen.len() >= settings.max_pages {
                let detail = format!("the tag list has more than {} pages", settings.max_pages);
                return Err(Failure::new(Reason::TooLarge { limit: settings.max_pages }, detail));
            }
            if began.elapsed() >= settings.list_timeout {
                let detail = format!("the tag list has no end after {} s", settings.list_timeout.as_secs());
                return Err(Failure::new(Reason::Unreachable(Unreachable::Timeout), detail));
            }
            response = self.page(next.clone(), bytes_left).await?;
            page = next;
        }
        if tags.invalid > 0 {
            tracing::debug!(repository = %self.repository(), dropped = tags.invalid, "names that are no tags");
        }
        Ok(tags.into_vec())
    }

    /// Returns the first page. Docker Hub sends everything at once unless it is asked for pages, and some
    /// registries refuse a page of 1,000.
    async fn first_page(&self, limit: usize) -> Result<(Url, Response), Failure> {
        let whole = self.url("tags/list")?;
        let mut page = whole.clone();
        if !self.repository().host().is_docker_hub() {
            page.set_query(Some("n=1000"));
        }
        let mut response = self.page(page.clone(), limit).await?;
        if response.status == StatusCode::BAD_REQUEST && page != whole {
            page = whole;
            response = self.page(page.clone(), limit).await?;
        }
        if is_registry_not_found(&response) {
            let failure = self.error_of(&response);
            return Err(Failure { reason: Reason::RepositoryNotFound, ..failure });
        }
        Ok((page, response))
    }

    async fn page(&self, page: Url, limit: usize) -> Result<Response, Failure> {
        let max = self.settings().max_list_bytes;
        self.send(Request::get(page, limit), "pull").await.map_err(|failure| match failure.reason {
            Reason::TooLarge { .. } => {
                let detail = format!("the tag list has more than {max} bytes");
                Failure { reason: Reason::TooLarge { limit: max }, detail, ..failure }
            }
            _ => failure,
        })
    }
}
