//! Tag lists: complete, page after page, and shared for a while.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::repository_client::RepositoryClient;
use super::tag_list::TagList;
use super::tag_list_cache::{ListKey, Shared, SharedTags};
use super::tag_memory::{Short, TagReservation, WhenFull};
use super::tag_page::{Page, TagSet};
use crate::auth::Actions;
use crate::error::{Failure, Operation, Reason, RegistryError, Unreachable};
use crate::reference::{RegistryHost, Tag};
use crate::settings::{
    LIST_TIMEOUT_VARIABLE, MAX_TAG_LIST_BYTES_VARIABLE, MAX_TAG_MEMORY_VARIABLE, MAX_TAG_PAGES_VARIABLE,
    Settings,
};
use crate::transport::{Request, Response, is_registry_not_found, next_page};

/// Names on a page; distribution serves no more.
const PAGE_SIZE: usize = 1000;
/// How long a list waits for memory at most: the pass that needs it keeps others from beginning.
const MAX_MEMORY_WAIT: Duration = Duration::from_secs(10);
/// Pages in a row without a new name until they are no list: some are empty or repeat others.
const MAX_PAGES_WITHOUT_NEW_NAMES: usize = 10;

impl RepositoryClient {
    /// Returns all tags, sorted by name. The list is complete, or it is an error.
    ///
    /// Names that the specification forbids are left out.
    pub async fn tags(&self) -> Result<Vec<Tag>, RegistryError> {
        Ok(self.own_tags().await?.to_vec())
    }

    /// Returns all tags, from a list that is read for this call alone. Where memory is short it waits for some,
    /// so that the caller should hold no other list.
    pub async fn own_tags(&self) -> Result<TagList, RegistryError> {
        self.list(WhenFull::Wait).await.map_err(|failure| self.error(Operation::ListTags, failure))
    }

    /// Returns all tags from a list not older than [`Settings::tag_list_ttl`](crate::Settings::tag_list_ttl);
    /// none if there is no such repository. Where no memory is left it fails at once: the caller may hold
    /// another list.
    pub async fn shared_tags(&self) -> Result<SharedTags, RegistryError> {
        let Shared { outcome, is_new } = self.shared_list(WhenFull::Fail).await;
        match outcome {
            Ok(tags) => Ok(SharedTags { tags, is_new, has_no_repository: false }),
            Err(failure) if failure.reason == Reason::RepositoryNotFound => {
                // Some say so without a code where a proxy in between has lost the name.
                let has_no_repository = is_new && failure.code.as_deref() == Some("NAME_UNKNOWN");
                Ok(SharedTags { tags: TagList::default(), is_new, has_no_repository })
            }
            Err(failure) => Err(self.error(Operation::ListTags, failure)),
        }
    }

    /// Returns the same where a repository that does not exist is an error. Where memory is short it waits for
    /// some, so that the caller should hold no other list.
    pub async fn listed_tags(&self) -> Result<SharedTags, RegistryError> {
        let Shared { outcome, is_new } = self.shared_list(WhenFull::Wait).await;
        let tags = outcome.map_err(|failure| self.error(Operation::ListTags, failure))?;
        Ok(SharedTags { tags, is_new, has_no_repository: false })
    }

    async fn shared_list(&self, when_full: WhenFull) -> Shared {
        self.shared().tag_lists.get(&self.list_key(), when_full, || self.list(when_full)).await
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
    fn record_write(&self) {
        self.shared().tag_lists.invalidate(&self.list_key());
    }

    /// Records a write when it begins and when what is returned is dropped.
    pub(super) fn recorded_write(&self) -> RecordedWrite<'_> {
        self.record_write();
        RecordedWrite(self)
    }

    fn list_key(&self) -> ListKey {
        ListKey { account: self.account(), path: self.repository().path().to_owned() }
    }

    /// Reads the list. One for which no memory is left may wait a moment for some, and is read anew.
    async fn list(&self, when_full: WhenFull) -> Result<TagList, Failure> {
        let (memory, lists) = (&self.shared().tag_memory, &self.shared().tag_lists);
        let mut reserved = memory.reservation(self.repository().host());
        let (mut end, mut wait_end) = (None, None);
        loop {
            let read = self.read_list(&mut reserved, &mut end).await;
            // What took the time was not the registry.
            let late = |failure: Failure| match wait_end {
                Some(_) if is_over(end) => no_memory_left(),
                _ => failure,
            };
            let Listing { tags, cut, .. } = read.map_err(late)?;
            let Some(short) = cut else {
                let bytes = tags.bytes;
                return Ok(TagList::new(tags.into_vec(), reserved.into_held(bytes)));
            };
            let wanted = 2 * tags.bytes;
            drop(tags);
            let (Some(end), WhenFull::Wait) = (end, when_full) else { return Err(no_memory_left()) };
            let _nothing_kept = lists.keep_nothing(self.host_of(short));
            let wait_end = *wait_end.get_or_insert_with(|| end.min(Instant::now() + MAX_MEMORY_WAIT));
            timeout_at(wait_end, reserved.wait_for(wanted)).await.map_err(|_| no_memory_left())?;
        }
    }

    /// Reads the pages as far as there is memory for their tags.
    async fn read_list<'a>(
        &'a self,
        memory: &mut TagReservation<'_>,
        end: &mut Option<Instant>,
    ) -> Result<Listing<'a>, Failure> {
        let mut list = Listing::new(self.settings(), *end);
        let (mut page, mut response) = self.first_page(list.bytes_left).await?;
        loop {
            if response.status != StatusCode::OK {
                return Err(list.page_error(self.error_of(&response)));
            }
            let next = list.add(page, &response)?;
            *end = list.end;
            // It may be large, and the next one is waited for.
            drop(response);
            list.cut = self.reserve(memory, list.tags.bytes)?.err();
            let Some(next) = next.filter(|_| list.cut.is_none()) else { break };
            response = self.page(next.clone(), list.bytes_left).await?;
            page = next;
        }
        if list.tags.invalid > 0 {
            let count = list.tags.invalid;
            tracing::debug!(repository = %self.repository(), count, "names that are no tags");
        }
        Ok(list)
    }

    /// Reserves memory for a list, or returns what is short. What is only cached makes room for it.
    fn reserve(&self, memory: &mut TagReservation<'_>, bytes: usize) -> Result<Result<(), Short>, Failure> {
        let (lists, max) = (&self.shared().tag_lists, self.shared().tag_memory.max_list_bytes());
        if bytes > max {
            let detail = format!(
                "the tags of the repository have more than {max} bytes, which is all that one list may have of \
                 {MAX_TAG_MEMORY_VARIABLE}; raise that"
            );
            return Err(Failure::new(Reason::TooLarge { limit: max }, detail));
        }
        // First that of its registry may be short, then that of all.
        for _ in 0..2 {
            let Err(short) = memory.extend_to(bytes) else { return Ok(Ok(())) };
            lists.clear(self.host_of(short));
        }
        Ok(memory.extend_to(bytes))
    }

    /// Returns the registry whose lists alone hold what is short, if they do.
    fn host_of(&self, short: Short) -> Option<&RegistryHost> {
        (short == Short::OfHost).then(|| self.repository().host())
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

fn is_over(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

/// Returns the failure of a list that is no fault of its registry.
fn no_memory_left() -> Failure {
    let detail = format!(
        "no memory is left for the tag list beside others; it is retried later, or raise {MAX_TAG_MEMORY_VARIABLE}"
    );
    Failure { is_local: true, ..Failure::new(Reason::Unreachable(Unreachable::Timeout), detail) }
}

/// A write that is under way.
pub(super) struct RecordedWrite<'a>(&'a RepositoryClient);

impl Drop for RecordedWrite<'_> {
    fn drop(&mut self) {
        self.0.record_write();
    }
}

/// A list as far as it has been read.
struct Listing<'a> {
    settings: &'a Settings,
    tags: TagSet,
    seen: HashSet<Url>,
    bytes_left: usize,
    /// When the list must have ended; known once it has begun.
    end: Option<Instant>,
    /// What was short, if pages are missing for want of memory.
    cut: Option<Short>,
    /// The last name of each page: that of pages that repeat others is among them.
    last_names: HashSet<String>,
    pages_without_new_names: usize,
}

impl<'a> Listing<'a> {
    fn new(settings: &'a Settings, end: Option<Instant>) -> Self {
        Self {
            settings,
            tags: TagSet::new(settings.max_tags),
            seen: HashSet::new(),
            bytes_left: settings.max_list_bytes,
            end,
            cut: None,
            last_names: HashSet::new(),
            pages_without_new_names: 0,
        }
    }

    /// Adds a page. Returns the URL of the next one; `None` at the end of the list.
    fn add(&mut self, page: Url, response: &Response) -> Result<Option<Url>, Failure> {
        // The time of the first page is bounded as that of any request.
        self.end.get_or_insert_with(|| Instant::now() + self.settings.list_timeout);
        let before = self.tags.len();
        let added = self.tags.add_page(&response.body);
        let added = added.map_err(|failure| failure.with_status(response.status))?;
        self.bytes_left -= response.body.len();
        // A page may hold nothing but names that are no tags, such as digests (Artifactory).
        let has_new_last = added.last.clone().is_some_and(|last| self.last_names.insert(last));
        let has_new_names = has_new_last || self.tags.len() > before;
        self.pages_without_new_names = if has_new_names { 0 } else { self.pages_without_new_names + 1 };
        let next = match next_page(&response.url, &response.headers)? {
            None if has_new_names => after_full_page(&page, &added),
            next => next,
        };
        self.seen.insert(page);
        let Some(next) = next else { return Ok(None) };
        self.check(&next)?;
        Ok(Some(next))
    }

    fn check(&self, next: &Url) -> Result<(), Failure> {
        let settings = self.settings;
        if self.seen.contains(next) {
            return Err(Failure::protocol("the pages of the tag list go round in circles"));
        }
        if self.pages_without_new_names >= MAX_PAGES_WITHOUT_NEW_NAMES {
            let detail =
                format!("{MAX_PAGES_WITHOUT_NEW_NAMES} pages of the tag list in a row have no new name");
            return Err(Failure::protocol(detail));
        }
        if self.seen.len() >= settings.max_pages {
            let max = settings.max_pages;
            let detail = format!("the tag list has more than {max} pages; raise {MAX_TAG_PAGES_VARIABLE}");
            return Err(Failure::new(Reason::TooLarge { limit: max }, detail));
        }
        if is_over(self.end) {
            let seconds = settings.list_timeout.as_secs();
            let detail = format!("the tag list has no end after {seconds} s; raise {LIST_TIMEOUT_VARIABLE}");
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
    next.set_query(Some(&format!("n={PAGE_SIZE}")));
    next.query_pairs_mut().append_pair("last", last);
    Some(next)
}

#[cfg(test)]
mod tests;
