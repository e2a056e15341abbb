//! Repositories of public registries, by words.

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use imgop_registry::reference::RegistryHost;
use imgop_registry::{FoundRepository, Registries};

use super::typing::SearchSources;
use crate::prompts::Row;

/// How many repositories of each registry are proposed.
const MAX_FOUND: usize = 10;
/// How much of a word is searched for at least.
const MIN_TERM: usize = 2;

/// Searches all registries that have a search, at once.
pub struct OfRegistries<'a> {
    /// The connections.
    pub registries: &'a Registries,
    /// The registries.
    pub hosts: Vec<RegistryHost>,
}

impl SearchSources for OfRegistries<'_> {
    fn search<'a>(&'a self, words: &'a str) -> LocalBoxFuture<'a, Vec<Row>> {
        async move {
            // What has a registry's name or a version is no word to search for.
            if words.chars().count() < MIN_TERM || words.contains(['.', ':', '@']) {
                return Vec::new();
            }
            let searches = self.hosts.iter().map(|host| self.registries.search(host, words, MAX_FOUND));
            // A registry that is not reached proposes nothing.
            join_all(searches).await.into_iter().flatten().flatten().map(|found| row(&found)).collect()
        }
        .boxed_local()
    }
}

fn row(found: &FoundRepository) -> Row {
    let official = if found.is_official { "official; " } else { "" };
    Row { value: found.repository.to_string(), note: format!("{official}{}", found.description) }
}
