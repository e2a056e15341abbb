//! Repositories that Images use, and the tags of a repository that is typed.

use std::sync::Arc;

use clap_complete::engine::CompletionCandidate;
use imgop_core::api::{Image, Side};
use imgop_core::selection::by_version;
use imgop_registry::Access;
use imgop_registry::reference::{Reference, Repository, Tag};

use super::typed::Typed;
use super::values::{in_time, matching, objects, of_cluster};
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::registry::local_access::LocalAccessArgs;
use crate::registry::registries;

/// How many tags are offered at most.
const MAX_TAGS: usize = 500;

/// Returns sources: tags of a repository that is typed, or repositories that Images copy.
pub fn sources(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    references(typed, begun, Side::Source)
}

/// Returns destinations: tags of a repository that is typed, or repositories that Images copy to.
pub fn destinations(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    references(typed, begun, Side::Destination)
}

/// Returns the names of objects, and sources.
pub fn objects_and_sources(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    if begun.contains(':') {
        return sources(typed, begun);
    }
    let names = objects(typed, begun);
    // The first cluster that does not answer is the last one that is asked.
    let repositories =
        if names.is_empty() && !begun.contains('/') { Vec::new() } else { sources(typed, begun) };
    names.into_iter().chain(repositories).collect()
}

fn references(typed: &Arc<Typed>, begun: &str, side: Side) -> Vec<CompletionCandidate> {
    match repository(begun) {
        Some((name, repository)) => {
            let tags = tags(typed, repository, side).unwrap_or_default();
            matching(begun, tags.iter().map(|tag| format!("{name}:{tag}")).collect())
        }
        None => matching(begun, used(typed, side).unwrap_or_default()),
    }
}

/// Returns the repository of a reference whose tag is begun, and how it is typed.
fn repository(begun: &str) -> Option<(String, Repository)> {
    let (name, tag) = begun.rsplit_once(':')?;
    // A port is followed by a path.
    let reference = name.parse::<Reference>().ok().filter(|_| !tag.contains('/') && !name.contains('@'))?;
    reference.version.is_none().then(|| (name.to_owned(), reference.repository))
}

/// Returns the tags of a repository, the newest first, with the credentials of this machine.
fn tags(typed: &Arc<Typed>, repository: Repository, side: Side) -> Option<Vec<Tag>> {
    let tls = typed.tls(side);
    in_time(async move || {
        let local = LocalAccessArgs::default().credentials.read().ok()?;
        let credential = local.find(Ui::new(false).silent(), &repository, false).await.ok()?;
        let client = registries(false).ok()?.repository(&repository, &Access { credential, tls });
        let mut tags = client.tags().await.ok()?;
        tags.sort_by(|a, b| by_version(b, a));
        tags.truncate(MAX_TAGS);
        Some(tags)
    })
}

/// Returns the repositories that Images of the namespace have on a side.
fn used(typed: &Arc<Typed>, side: Side) -> Option<Vec<String>> {
    of_cluster(typed, async move |cluster| {
        let images = cluster.list(Erased::<Image>::REF, false, None).await.ok()?;
        let images = images.iter().filter_map(|found| read::<Image>(&found.object).ok());
        let mut names: Vec<String> = images.map(|image| image.spec.endpoint(side).name.to_owned()).collect();
        names.sort();
        names.dedup();
        Some(names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_begun_behind_the_colon_that_is_no_port() {
        let typed = |begun: &str| repository(begun).map(|(name, _)| name);
        assert_eq!(typed("quay.io/a/b:").as_deref(), Some("quay.io/a/b"));
        assert_eq!(typed("r.example.com:5000/a:1.").as_deref(), Some("r.example.com:5000/a"));
        for other in ["quay.io/a/b", "r.example.com:5000/a", "quay.io/a/b@sha256:", ""] {
            assert_eq!(typed(other), None, "{other}");
        }
    }
}
