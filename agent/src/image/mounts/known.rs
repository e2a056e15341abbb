//! Which blobs a registry can take from repositories of its own, before anything is sent to it. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use imgop_registry::reference::{Digest, Repository};

/// One blob to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The configuration or layer.
    pub blob: Digest,
    /// The repository of the destination's registry that holds it.
    pub from: Repository,
}

/// What is to be mounted into `destination`, each blob once, in the order in which they are needed.
///
/// `source` is the repository that the blobs are copied from, if the destination's credential may read
/// it; where it is of the destination's registry, it holds all of them. `known` tells which repository
/// there holds a blob, if any.
pub fn plan<'a>(
    needed: impl IntoIterator<Item = &'a Digest>,
    destination: &Repository,
    source: Option<&Repository>,
    known: impl Fn(&Digest) -> Option<Repository>,
) -> Vec<Mount> {
    let of_this_registry = |from: &Repository| from.host() == destination.host();
    let mut seen = HashSet::new();
    let mounts = needed.into_iter().filter(|blob| seen.insert(*blob)).filter_map(|blob| {
        let at_source = source.filter(|source| of_this_registry(source)).cloned();
        let from = known(blob).filter(of_this_registry).or(at_source)?;
        Some(Mount { blob: blob.clone(), from })
    });
    // What the destination itself holds needs no mount.
    mounts.filter(|mount| mount.from != *destination).collect()
}

/// Which repository holds a blob, for each scope `S` apart: who may know of it. Bounded; what came first
/// goes first.
#[derive(Debug)]
pub struct KnownBlobs<S> {
    most: usize,
    next: u64,
    scopes: HashMap<Arc<S>, HashMap<Digest, Known>>,
    by_age: BTreeMap<u64, (Arc<S>, Digest)>,
}

#[derive(Debug)]
struct Known {
    repository: Arc<Repository>,
    age: u64,
}

impl<S: Eq + Hash> KnownBlobs<S> {
    /// Nothing is known yet. At most `most` blobs are kept.
    pub fn new(most: usize) -> Self {
        Self { most, next: 0, scopes: HashMap::new(), by_age: BTreeMap::new() }
    }

    /// Whether nothing is known in a scope.
    pub fn is_empty(&self, scope: &S) -> bool {
        !self.scopes.contains_key(scope)
    }

    /// How many blobs are known in all scopes.
    pub fn count(&self) -> usize {
        self.by_age.len()
    }

    /// The repository that holds a blob.
    pub fn find(&self, scope: &S, blob: &Digest) -> Option<&Repository> {
        self.scopes.get(scope)?.get(blob).map(|known| &*known.repository)
    }

    /// A repository holds these blobs now.
    pub fn learn(&mut self, scope: S, repository: &Repository, blobs: impl IntoIterator<Item = Digest>) {
        let scope =
            self.scopes.get_key_value(&scope).map_or_else(|| Arc::new(scope), |(known, _)| known.clone());
        let repository = Arc::new(repository.clone());
        for blob in blobs {
            let age = self.next;
            self.next += 1;
            let known = Known { repository: repository.clone(), age };
            let before = self.scopes.entry(scope.clone()).or_default().insert(blob.clone(), known);
            if let Some(before) = before {
                self.by_age.remove(&before.age);
            }
            self.by_age.insert(age, (scope.clone(), blob));
            if self.by_age.len() > self.most
                && let Some((_, (scope, oldest))) = self.by_age.pop_first()
            {
                self.drop_blob(&scope, &oldest);
            }
        }
    }

    /// A repository turned out not to hold a blob.
    pub fn forget(&mut self, scope: &S, blob: &Digest) {
        if let Some(known) = self.scopes.get(scope).and_then(|blobs| blobs.get(blob)) {
            self.by_age.remove(&known.age);
            self.drop_blob(scope, blob);
        }
    }

    fn drop_blob(&mut self, scope: &S, blob: &Digest) {
        if let Some(blobs) = self.scopes.get_mut(scope) {
            blobs.remove(blob);
            if blobs.is_empty() {
                self.scopes.remove(scope);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repository(name: &str) -> Repository {
        name.parse().unwrap()
    }

    fn blob(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    #[test]
    fn within_one_registry_the_source_holds_everything() {
        let (to, from) = (repository("r.example.com/b"), repository("r.example.com/a"));
        let needed = [blob("config"), blob("layer"), blob("layer")];
        let mounts = plan(&needed, &to, Some(&from), |_| None);
        let blobs: Vec<_> = mounts.iter().map(|mount| mount.blob.clone()).collect();
        assert_eq!(blobs, needed[..2]);
        assert!(mounts.iter().all(|mount| mount.from == from));
        assert!(plan(&needed, &to, None, |_| None).is_empty(), "unless it may not be read");
    }

    #[test]
    fn of_another_registry_only_what_is_known_at_the_destination_is_mounted() {
        let (to, from) = (repository("r.example.com/b"), repository("quay.io/team/a"));
        let other = repository("r.example.com/other");
        let known = HashMap::from([
            (blob("base"), other.clone()),
            (blob("own"), to.clone()),
            (blob("elsewhere"), repository("elsewhere.example.com/x")),
        ]);
        let needed = ["base", "new", "own", "elsewhere"].map(blob);
        let mounts = plan(&needed, &to, Some(&from), |blob| known.get(blob).cloned());
        assert_eq!(mounts, [Mount { blob: blob("base"), from: other }]);
    }

    #[test]
    fn a_copy_within_one_repository_needs_no_mount() {
        let app = repository("r.example.com/app");
        assert!(plan(&[blob("layer")], &app, Some(&app), |_| None).is_empty());
    }

    #[test]
    fn no_scope_learns_what_another_has() {
        let (mut known, app) = (KnownBlobs::new(10), repository("r.example.com/app"));
        known.learn("team-a", &app, [blob("secret base")]);
        assert_eq!(known.find(&"team-a", &blob("secret base")), Some(&app));
        assert_eq!(known.find(&"team-b", &blob("secret base")), None);
        assert!(known.is_empty(&"team-b") && !known.is_empty(&"team-a"));
        known.forget(&"team-b", &blob("secret base"));
        assert!(!known.is_empty(&"team-a"));
        known.forget(&"team-a", &blob("secret base"));
        assert!(known.is_empty(&"team-a") && known.count() == 0);
    }

    #[test]
    fn what_was_learned_first_goes_first_and_what_is_learned_again_stays() {
        let (mut known, app) = (KnownBlobs::new(3), repository("r.example.com/app"));
        known.learn("a", &app, ["1", "2", "3"].map(blob));
        known.learn("b", &app, [blob("1")]);
        known.learn("a", &app, [blob("2")]);
        known.learn("a", &app, [blob("4")]);
        let there = |scope, name| known.find(&scope, &blob(name)).is_some();
        assert_eq!(["1", "2", "3", "4"].map(|name| there("a", name)), [false, true, false, true]);
        assert!(there("b", "1"));
    }

    proptest! {
        #[test]
        fn no_more_is_kept_than_may_be_and_nothing_twice(
            steps in proptest::collection::vec((0..3_u8, 0..12_u8, any::<bool>()), 0..200)
        ) {
            let (mut known, app) = (KnownBlobs::new(8), repository("r.example.com/app"));
            for (scope, name, learn) in steps {
                let blob = blob(&name.to_string());
                if learn {
                    known.learn(scope, &app, [blob.clone()]);
                    prop_assert_eq!(known.find(&scope, &blob), Some(&app));
                } else {
                    known.forget(&scope, &blob);
                    prop_assert_eq!(known.find(&scope, &blob), None);
                }
                let kept: usize = known.scopes.values().map(HashMap::len).sum();
                prop_assert!(kept == known.count() && kept <= 8);
                prop_assert!(known.scopes.values().all(|blobs| !blobs.is_empty()));
            }
        }
    }
}
