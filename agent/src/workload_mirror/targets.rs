//! Where the mirrors in sight bring images: what lies there comes from elsewhere.

use std::collections::HashSet;
use std::sync::Arc;

use imgop_core::workloads::MirrorTarget;

use super::{Others, Pass};

impl Others {
    /// Returns whether all mirrors are known.
    pub(super) fn are_known(&self) -> bool {
        self.image_mirrors.are_known() && self.workload_mirrors.are_known()
    }
}

impl Pass<'_> {
    /// Returns the targets of the mirrors of one's own namespace, and for those that are looked at theirs: others must not
    /// decide what is mirrored here.
    pub(super) fn targets(&self, namespaces: &HashSet<Arc<str>>) -> Vec<MirrorTarget> {
        let is_in_sight = |namespace: Option<&String>| {
            namespace.is_some_and(|of| *of == *self.namespace() || namespaces.contains(of.as_str()))
        };
        let target = |namespace: Option<&String>, text: &str| {
            let only_of = namespace.filter(|of| **of != *self.namespace()).cloned();
            Some(MirrorTarget { place: text.parse().ok()?, only_of })
        };
        let others = &self.mirrors.others;
        let of_inventories = others.image_mirrors.all();
        let of_inventories = of_inventories.filter(|one| is_in_sight(one.metadata.namespace.as_ref()));
        let of_inventories = of_inventories.flat_map(|one| {
            let namespace = one.metadata.namespace.as_ref();
            let targets = one.spec.targets.iter().filter_map(|to| target(namespace, &to.repository));
            targets.collect::<Vec<_>>()
        });
        let of_workloads = others.workload_mirrors.all();
        let of_workloads = of_workloads.filter(|one| is_in_sight(one.metadata.namespace.as_ref()));
        let of_workloads = of_workloads
            .filter_map(|one| target(one.metadata.namespace.as_ref(), &one.spec.destination.repository));
        of_inventories.chain(of_workloads).collect()
    }
}
