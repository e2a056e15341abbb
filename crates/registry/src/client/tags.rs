//! Tag lists: complete, page after page, and shared for a while.

use std::collections::HashSet;

use reqwest::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::repository_client::RepositoryClient;
use super::tag_list_cache::{ListKey, SharedTags};
use super::tag_page::{Page, TagSet};
use crate::auth::Actions;
use crate::error::{Failure, Operation, Reason, RegistryError, Unreachable};
use crate::reference::Tag;
use crate::settings::{MAX_TAG_LIST_BYTES_VARIABLE, MAX_TAG_PAGES_VARIABLE, Settings};
use crate::transport::{Request, Response, is_registry_not_found, next_page};

/// Names on a page; distribution serves no more.
const PAGE_SIZE: usize = 1000;
/// Pages in a row without a new tag until they are no list: some are empty, hold digests (Artifactory) or
/// repeat others.
const MAX_PAGES_WITHOUT_NEWS: usize = 10;

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
        let mut list = Listing::new(self.settings());
        let (mut page, mut response) = self.first_page(list.bytes_left).await?;
        loop {
            if response.status != StatusCode::OK {
                return Err(list.page_error(self.error_of(&response)));
            }
            let Some(next) = list.add(page, &response)? else { break };
            // It may be large, and the next one is waited for.
            drop(response);
            response = self.page(next.clone(), list.bytes_left).await?;
            page = next;
        }
        if list.tags.invalid > 0 {
            let dropped = list.tags.invalid;
            tracing::debug!(repository = %self.repository(), dropped, "names that are no tags");
        }
        Ok(list.tags.into_vec())
    }

    /// Returns the first page. Docker Hub sends everything at once unless it is asked for pages, and some
    /// registries refuse a page of 1,000.
    async fn first_page(&self, limit: usize) -> Result<(Url, Response), Failure> {
        let whole = self.url("tags/list")?;
        let mut page = whole.clone();
        if !self.repository().host().is_docker_hub() {
            page.set_query(Some(&format!("n={PAGE_SIZE}")));
        }
        let mut response = self.page(page.clone(), limit).await?;
        if matches!(response.status.as_u16(), 400 | 416 | 422) && page != whole {
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
        self.send(Request::get(page, limit), Actions::Pull).await.map_err(|failure| match failure.reason {
            Reason::TooLarge { .. } => {
                let detail =
                    format!("the tag list has more than {max} bytes; raise {MAX_TAG_LIST_BYTES_VARIABLE}");
                Failure { reason: Reason::TooLarge { limit: max }, detail, ..failure }
            }
            _ => failure,
        })
    }
}

/// A list as far as it has been read.
struct Listing<'a> {
    settings: &'a Settings,
    tags: TagSet,
    seen: HashSet<Url>,
    bytes_left: usize,
    began: Instant,
    /// Pages in a row without a new tag.
    pages_without_news: usize,
}

impl<'a> Listing<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            tags: TagSet::new(settings.max_tags),
            seen: HashSet::new(),
            bytes_left: settings.max_list_bytes,
            began: Instant::now(),
            pages_without_news: 0,
        }
    }

    /// Adds a page. Returns the URL of the next one; `None` at the end of the list.
    fn add(&mut self, page: Url, response: &Response) -> Result<Option<Url>, Failure> {
        if self.seen.is_empty() {
            // The time of the first page is bounded as that of any request.
            self.began = Instant::now();
        }
        let before = self.tags.len();
        let added = self.tags.add_page(&response.body);
        let added = added.map_err(|failure| failure.with_status(response.status))?;
        self.bytes_left -= response.body.len();
        let has_news = self.tags.len() > before;
        self.pages_without_news = if has_news { 0 } else { self.pages_without_news + 1 };
        let next = match next_page(&response.url, &response.headers)? {
            None if has_news => after_full_page(&page, &added),
            next => next,
        };
        self.seen.insert(page);
        let Some(next) = next else { return Ok(None) };
        self.check(&next)?;
        Ok(Some(next))
    }

    fn check(&self, next: &Url) -> Result<(), Failure> {
        let settings = self.settings;
        if self.seen.contains(next) || self.pages_without_news >= MAX_PAGES_WITHOUT_NEWS {
            return Err(Failure::protocol("the pages of the tag list go round in circles"));
        }
        if self.seen.len() >= settings.max_pages {
            let max = settings.max_pages;
            let detail = format!("the tag list has more than {max} pages; raise {MAX_TAG_PAGES_VARIABLE}");
            return Err(Failure::new(Reason::TooLarge { limit: max }, detail));
        }
        if self.began.elapsed() >= settings.list_timeout {
            let detail = format!("the tag list has no end after {} s", settings.list_timeout.as_secs());
            return Err(Failure::new(Reason::Unreachable(Unreachable::Timeout), detail));
        }
        Ok(())
    }

    /// Returns the failure of a page. Pages before it came over this connection, so that it is not TLS
    /// that a later one lacks (Nexus may name a page that its port does not serve).
    fn page_error(&self, failure: Failure) -> Failure {
        if self.seen.is_empty() {
            return failure;
        }
        let number = self.seen.len() + 1;
        if failure.reason == Reason::Unreachable(Unreachable::WantsTls) {
            let detail = format!("the registry refuses page {number} of the tag list");
            return Failure { reason: Reason::Rejected, detail, ..failure };
        }
        let detail = format!("page {number} of the tag list: {}", failure.detail);
        Failure { detail, ..failure }
    }
}

/// Returns the page after a full one without a `Link`: some registries have more names and do not say so
/// (Nexus groups). Those without pages repeat themselves then.
fn after_full_page(page: &Url, added: &Page) -> Option<Url> {
    let is_sized = page.query_pairs().any(|(name, _)| name == "n");
    let last = added.last.as_ref().filter(|_| is_sized && added.names >= PAGE_SIZE)?;
    let mut next = page.clone();
    next.set_query(Some(&format!("n={PAGE_SIZE}&last={last}")));
    Some(next)
}
