//! Repositories that Images use, and the tags of a repository that is typed.

use std::sync::Arc;

use clap_complete::engine::CompletionCandidate;
use imgop_core::api::{Image, Side};
use imgop_core::selection::by_version;
use imgop_registry::Access;
use imgop_registry::reference::{Reference, Repository, Tag};

use kube::ResourceExt as _;

use super::typed::Typed;
use super::values::{in_time, matching, objects, of_cluster};
use crate::args::is_registry;
use crate::kinds::{Erased, KINDS, ObjectRef, read, split};
use crate::output::Ui;
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

/// Returns the names of objects, and sources. One list of the Images has both: the time allows no second one.
pub fn objects_and_sources(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    if repository(begun).is_some() {
        return sources(typed, begun);
    }
    // `image/a` is completed to `image/argocd`.
    if let (Some(_), _) = split(begun, &KINDS) {
        return objects(typed, begun);
    }
    let given = typed.references();
    let images = images(typed).unwrap_or_default();
    let all = images.iter().map(|image| ObjectRef { kind: Erased::<Image>::REF, name: image.name_any() });
    let names: Vec<String> = all.filter(|name| !given.contains(name)).map(|name| name.to_string()).collect();
    matching(begun, names.into_iter().chain(names_of(&images, Side::Source)).collect())
}

fn references(typed: &Arc<Typed>, begun: &str, side: Side) -> Vec<CompletionCandidate> {
    match repository(begun) {
        Some((name, repository)) => {
            let tags = tags(typed, repository, side).unwrap_or_default();
            matching(begun, tags.iter().map(|tag| format!("{name}:{tag}")).collect())
        }
        None => matching(begun, names_of(&images(typed).unwrap_or_default(), side)),
    }
}

/// Returns the repository of a reference whose tag is begun, and how it is typed.
fn repository(begun: &str) -> Option<(String, Repository)> {
    // An internal registry whose port is begun must not be asked of Docker Hub, as its image with a tag.
    if is_registry(begun) {
        return None;
    }
    let (name, tag) = begun.rsplit_once(':')?;
    // A port is followed by a path.
    let reference = name.parse::<Reference>().ok().filter(|_| !tag.contains('/') && !name.contains('@'))?;
    reference.version.is_none().then(|| (name.to_owned(), reference.repository))
}

/// Returns the tags of a repository, the newest first, with the credentials of this machine.
fn tags(typed: &Arc<Typed>, repository: Repository, side: Side) -> Option<Vec<Tag>> {
    let (tls, credentials) = (typed.tls(side), typed.credentials());
    in_time(async move || {
        let local = credentials.read().ok()?;
        let credential = local.find(Ui::new(false).silent(), &repository, false).await.ok()?;
        let client =
            registries(false).ok()?.repository(&repository, &Access { credential, tls, ..Access::default() });
        let mut tags = client.tags().await.ok()?;
        tags.sort_by(|a, b| by_version(b, a));
        tags.truncate(MAX_TAGS);
        Some(tags)
    })
}

/// Returns the Images of the namespace.
fn images(typed: &Arc<Typed>) -> Option<Vec<Image>> {
    of_cluster(typed, async move |cluster| {
        let images = cluster.list(Erased::<Image>::REF, false, None).await.ok()?;
        Some(images.iter().filter_map(|found| read::<Image>(&found.object).ok()).collect())
    })
}

/// Returns the repositories that Images have on a side.
fn names_of(images: &[Image], side: Side) -> Vec<String> {
    let mut names: Vec<String> =
        images.iter().map(|image| image.spec.endpoint(side).name.to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_begun_behind_the_colon_that_is_no_port() {
        let typed = |begun: &str| repository(begun).map(|(name, _)| name);
        assert_eq!(typed("quay.io/a/b:").as_deref(), Some("quay.io/a/b"));
        assert_eq!(typed("r.example.com:5000/a:1.").as_deref(), Some("r.example.com:5000/a"));
        for other in [
            "quay.io/a/b",
            "r.example.com:5000/a",
            "quay.io/a/b@sha256:",
            "",
            "registry.corp:50",
            "localhost:",
        ] {
            assert_eq!(typed(other), None, "{other}");
        }
    }
}
