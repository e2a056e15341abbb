//! The cap of the Jobs of one kind, within all others.

use super::{Caps, Full, Namespace, State, key};
use crate::cluster::owner::Owner;

/// How many Jobs of the owners of one kind may run at once. One namespace gets half of them at most.
#[derive(Debug, Clone, Copy)]
pub struct KindCap {
    /// Returns whether an owner is of the kind.
    pub is_of: fn(&Owner) -> bool,
    /// In all.
    pub in_all: usize,
    /// The setting of the agent that says so.
    pub setting: &'static str,
}

impl KindCap {
    /// Returns how many may run in one namespace, so that one tenant leaves room for the others.
    fn per_namespace(self) -> usize {
        self.in_all.div_ceil(2)
    }
}

impl State {
    /// Notes that an owner exists, if it is of the kind that has a cap of its own. Its Jobs may be seen before or after.
    pub(super) fn know(&mut self, caps: Caps, owner: &Owner) {
        let key = key(owner);
        if !caps.of_kind.is_some_and(|cap| (cap.is_of)(owner)) || !self.known.insert(key.clone()) {
            return;
        }
        if self.owners.contains_key(&key) {
            self.hold(caps, &key, |held| held.is_of_kind = true);
        }
    }

    /// Returns how many Jobs an owner may create, and why not more, if its kind has a cap of its own. `own` is how many
    /// of the places that are left to owners that were woken are its own.
    pub(super) fn room_of_kind(&self, caps: Caps, owner: &Owner, own: usize) -> Option<[(usize, Full); 3]> {
        let cap = caps.of_kind.filter(|cap| (cap.is_of)(owner))?;
        let (setting, share) = (cap.setting, cap.per_namespace());
        let here = self.namespaces.get(&owner.namespace);
        let free_here = here.map_or(share, |of| share.saturating_sub(of.held_of_kind));
        let free = cap.in_all.saturating_sub(self.held_of_kind(cap));
        let left_here = here.map_or(0, |of| of.woken_of_kind(cap)).saturating_sub(own);
        let left = self.woken_of_kind(cap).saturating_sub(own);
        Some([
            (free, Full::Kind { cap: cap.in_all, setting }),
            (free_here, Full::KindInNamespace { cap: share, setting }),
            (free_here.saturating_sub(left_here).min(free.saturating_sub(left)), Full::Queue),
        ])
    }

    /// Returns how many places of a kind are free and left to no owner that was woken.
    pub(super) fn free_of_kind(&self, cap: KindCap) -> usize {
        cap.in_all.saturating_sub(self.held_of_kind(cap) + self.woken_of_kind(cap))
    }

    fn woken_of_kind(&self, cap: KindCap) -> usize {
        self.namespaces.values().map(|of| of.woken_of_kind(cap)).sum()
    }

    /// Returns the places of a kind. Forged Jobs of many owners must not take the places of other namespaces.
    fn held_of_kind(&self, cap: KindCap) -> usize {
        self.namespaces.values().map(|of| of.held_of_kind.min(cap.per_namespace())).sum()
    }
}

impl Namespace {
    /// Returns how many places of a kind are free here and left to no owner that was woken.
    pub(super) fn free_of_kind(&self, cap: KindCap) -> usize {
        cap.per_namespace().saturating_sub(self.held_of_kind + self.woken_of_kind(cap))
    }

    fn woken_of_kind(&self, cap: KindCap) -> usize {
        self.woken.values().filter(|(owner, _)| (cap.is_of)(owner)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CAPS, Scene, owner};
    use super::*;

    /// Of 5 places in a namespace and 20 in all, builds have 4 in all, and 2 in a namespace.
    const BUILDS: KindCap =
        KindCap { is_of: |owner| owner.uid.starts_with("build"), in_all: 4, setting: "MAX_BUILDS" };
    const ALL_FULL: Option<Full> = Some(Full::Kind { cap: 4, setting: "MAX_BUILDS" });
    const FULL_HERE: Option<Full> = Some(Full::KindInNamespace { cap: 2, setting: "MAX_BUILDS" });

    fn scene() -> Scene {
        Scene::new(Caps { in_all: 20, of_kind: Some(BUILDS), ..CAPS })
    }

    #[test]
    fn no_more_builds_run_than_there_may_be_however_many_passes_ask_at_once() {
        let mut scene = scene();
        assert_eq!(scene.take("x", "build-1", 3), (2, FULL_HERE));
        assert_eq!(scene.take("y", "build-2", 1), (1, None));
        assert_eq!(scene.take("z", "build-3", 2), (1, ALL_FULL), "places without a Job count");
        scene.fill();
        assert_eq!(scene.take("z", "build-4", 1), (0, ALL_FULL));
        assert_eq!(scene.take("z", "copy", 2), (2, None), "others have the rest");
    }

    #[test]
    fn a_build_that_waits_is_woken_and_the_namespace_with_the_fewest_jobs_comes_first() {
        let mut scene = scene();
        for (namespace, uid) in [("x", "build-1"), ("y", "build-2")] {
            assert_eq!(scene.take(namespace, uid, 2), (2, None));
        }
        scene.fill();
        for n in 3..53 {
            assert_eq!(scene.take("x", &format!("build-{n}"), 1), (0, ALL_FULL));
        }
        assert_eq!(scene.take("z", "build-99", 1), (0, ALL_FULL));
        scene.budget.set("y", "build-2", 1);
        assert_eq!(scene.woken(), ["build-99"], "whichever of x polls");
        assert_eq!(scene.take("y", "build-2", 1), (0, Some(Full::Queue)), "the place is kept for it");
        assert_eq!(scene.take("z", "build-99", 1), (1, None));
        scene.fill();
        scene.budget.set("x", "build-1", 1);
        assert_eq!(scene.woken(), ["build-3"], "all have one, and it has waited longest");
    }

    #[test]
    fn jobs_of_builds_that_do_not_exist_take_no_place_of_a_build() {
        let mut scene = scene();
        for forged in ["build-7", "build-8"] {
            scene.budget.set("forger", forged, 3);
        }
        assert_eq!(scene.take("x", "build-1", 2), (2, None));
        for uid in ["build-7", "build-8"] {
            scene.budget.know(&owner("forger", uid));
        }
        assert_eq!(scene.room("y", "build-2", 1), (0, ALL_FULL), "they exist");
        scene.budget.set("x", "build-1", 0);
        scene.places.clear();
        assert_eq!(scene.room("y", "build-2", 2), (2, None), "and count for half of the places");
    }

    #[test]
    fn jobs_that_are_seen_after_their_build_count_at_once() {
        let mut scene = scene();
        scene.budget.know(&owner("x", "build-1"));
        scene.budget.set("x", "build-1", 2);
        assert_eq!(scene.take("x", "build-2", 1), (0, FULL_HERE));
        scene.budget.set("x", "build-1", 0);
        scene.budget.retain_known(|uid| uid != "build-1");
        scene.budget.set("x", "build-1", 2);
        assert_eq!(
            scene.room("x", "build-3", 2).0,
            1,
            "that build is gone, and one place is left to build-2"
        );
    }
}
