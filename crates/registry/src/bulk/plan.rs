//! Whether a bulk API saves requests, decided before any request.

use std::collections::HashSet;

use crate::reference::Tag;
use crate::settings::BulkKind;

/// HEADs that a page must save: it is far larger than they are.
const MIN_SAVED_BY_A_PAGE: usize = 2;
/// Pages for push times, which no HEAD returns. Docker Hub and Quay begin with what was pushed last, and
/// what is young matters then.
const MAX_PAGES_FOR_PUSHES: usize = 10;

/// What to request from the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The text that the requested tags contain; empty for all.
    pub(super) filter: String,
    /// The most pages. Even if all of them are in vain, that is half of what the HEADs cost.
    pub(super) pages: usize,
}

impl Plan {
    /// Returns `None` where HEADs are cheaper. `reach` is how many pages the API serves.
    pub(super) fn new(kind: BulkKind, wanted: &HashSet<Tag>, listed: &[Tag], reach: usize) -> Option<Self> {
        let filter = filter(kind, wanted);
        let matching = matching(&filter, wanted, listed);
        let pages = matching.div_ceil(kind.page_size()).min(reach).min(kind.max_pages());
        let reachable = matching.min(pages.saturating_mul(kind.page_size()));
        // Those that are wanted may be anywhere in the window, or outside of it.
        let saved = (wanted.len() * reachable).checked_div(matching)?;
        (pages > 0 && saved >= pages * MIN_SAVED_BY_A_PAGE).then_some(Self { filter, pages })
    }

    /// Returns the plan for push times, which no HEAD returns; so one tag is reason enough. `None` if nothing
    /// is wanted, or the API serves nothing. Where `listed` is empty the number of pages is unknown.
    pub(super) fn for_pushes(
        kind: BulkKind,
        wanted: &HashSet<Tag>,
        listed: &[Tag],
        reach: usize,
    ) -> Option<Self> {
        let filter = filter(kind, wanted);
        let matching = matching(&filter, wanted, listed);
        let pages = if listed.is_empty() { usize::MAX } else { matching.div_ceil(kind.page_size()) };
        let pages = pages.min(reach).min(kind.max_pages()).min(MAX_PAGES_FOR_PUSHES);
        (pages > 0 && !wanted.is_empty()).then_some(Self { filter, pages })
    }
}

fn filter(kind: BulkKind, wanted: &HashSet<Tag>) -> String {
    if kind.filters() { common_prefix(wanted) } else { String::new() }
}

/// Returns how many tags the API has for this filter.
fn matching(filter: &str, wanted: &HashSet<Tag>, listed: &[Tag]) -> usize {
    let lower = filter.to_ascii_lowercase();
    let contains = |tag: &Tag| tag.as_str().to_ascii_lowercase().contains(&lower);
    listed.iter().filter(|tag| contains(tag)).count().max(wanted.len())
}

fn common_prefix(tags: &HashSet<Tag>) -> String {
    let mut tags = tags.iter().map(Tag::as_str);
    let mut prefix = tags.next().unwrap_or_default();
    for tag in tags {
        let common = prefix.bytes().zip(tag.bytes()).take_while(|(a, b)| a == b).count();
        prefix = &prefix[..common];
    }
    prefix.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(prefix: &str, number: usize) -> Vec<Tag> {
        (0..number).map(|n| format!("{prefix}{n}").parse().unwrap()).collect()
    }

    /// Pages for `wanted` tags of a line of versions, among `others`.
    fn pages(kind: BulkKind, wanted: usize, others: usize, reach: usize) -> Option<usize> {
        let wanted = tags("1.", wanted);
        let listed: Vec<Tag> = wanted.iter().cloned().chain(tags("0-", others)).collect();
        Plan::new(kind, &wanted.into_iter().collect(), &listed, reach).map(|plan| plan.pages)
    }

    #[test]
    fn the_api_is_used_only_where_it_saves_requests() {
        use BulkKind::{DockerHub, EcrPublic, Quay};
        assert_eq!(pages(DockerHub, 0, 1000, 99), None, "nothing is wanted");
        assert_eq!(pages(DockerHub, 1, 0, 99), None, "a HEAD is cheaper");
        assert_eq!(pages(DockerHub, 2, 0, 99), Some(1));
        assert_eq!(pages(DockerHub, 300, 0, 99), Some(3));
        assert_eq!(pages(EcrPublic, 300, 3000, 99), Some(4), "it cannot filter");
        assert_eq!(pages(EcrPublic, 3, 3000, 99), None);
        assert_eq!(pages(Quay, 3, 90_000, 99), Some(1), "it filters");
        assert_eq!(pages(Quay, 250, 0, 0), None, "it refused");
        assert_eq!(pages(Quay, 250, 0, 1), Some(1), "it gave one page");
        assert_eq!(pages(DockerHub, 2000, 0, 99), Some(10), "the rest is asked for by HEAD");
    }

    #[test]
    fn push_times_are_requested_for_one_tag_too() {
        use BulkKind::{DockerHub, EcrPublic, Quay};
        let pages = |kind, wanted: usize, listed: usize, reach| {
            let (wanted, listed) = (tags("1.", wanted).into_iter().collect(), tags("1.", listed));
            Plan::for_pushes(kind, &wanted, &listed, reach).map(|plan| plan.pages)
        };
        assert_eq!(pages(DockerHub, 0, 10, 99), None, "nothing is wanted");
        assert_eq!(pages(Quay, 1, 10, 0), None, "it refused");
        assert_eq!(pages(DockerHub, 1, 10, 99), Some(1));
        assert_eq!(pages(EcrPublic, 1, 2500, 99), Some(3), "it may be on any of them");
        assert_eq!(pages(EcrPublic, 1, 0, 99), Some(10), "the number of pages is unknown");
        assert_eq!(pages(Quay, 2, 90_000, 200), Some(10), "the rest was pushed before those");
    }

    #[test]
    fn tags_without_a_common_beginning_are_not_filtered() {
        let mixed: HashSet<Tag> = ["v1.0", "1.0"].iter().map(|t| t.parse().unwrap()).collect();
        let plan = Plan::new(BulkKind::Quay, &mixed, &tags("x", 98), 9).unwrap();
        assert_eq!(plan, Plan { filter: String::new(), pages: 1 });
        let three = |others| Plan::new(BulkKind::DockerHub, &mixed, &tags("x", others), 9);
        assert_eq!(three(900), None, "nine pages for two tags");
    }
}
