//! Repositories of public registries, by words.

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use imgop_registry::Registries;

use super::typing::SearchSources;
use crate::prompts::Row;

/// Searches at the registries that offer that.
pub struct OfRegistries<'a> {
    /// The connections.
    pub registries: &'a Registries,
}

impl SearchSources for OfRegistries<'_> {
    fn search<'a>(&'a self, _words: &'a str) -> LocalBoxFuture<'a, Vec<Row>> {
        let _ = self.registries;
        std::future::ready(Vec::new()).boxed_local()
    }
}
