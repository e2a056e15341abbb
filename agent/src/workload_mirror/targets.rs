//! Where the mirrors in sight bring images: what lies there comes from elsewhere.

use std::collections::HashSet;
use std::sync::Arc;

use imgop_core::registry_prefix::RegistryPrefix;

use super::{Others, Pass};

impl Others {
    /// Returns whether all mirrors are known.
    pub(super) fn are_known(&self) -> bool {
        self.image_mirrors.are_known() && self.workload_mirrors.are_known()
    }
}

impl Pass<'_> {
    /// Returns the targets of the mirrors of one's own namespace and of those that are looked at: others must not decide
    /// what is mirrored here.
    pub(super) fn targets(&self, namespaces: &HashSet<Arc<str>>) -> Vec<RegistryPrefix> {
        let is_in_sight = |namespace: Option<&String>| {
            namespace.is_some_and(|of| *of == *self.namespace() || namespaces.contains(of.as_str()))
        };
        let others = &self.mirrors.others;
        let of_inventories = others.image_mirrors.all();
        let of_inventories = of_inventories.filter(|one| is_in_sight(one.metadata.namespace.as_ref()));
        let of_inventories =
            of_inventories.flat_map(|one| one.spec.targets.into_iter().map(|target| target.repository));
        let of_workloads = others.workload_mirrors.all();
        let of_workloads = of_workloads.filter(|one| is_in_sight(one.metadata.namespace.as_ref()));
        let of_workloads = of_workloads.map(|one| one.spec.destination.repository);
        of_inventories.chain(of_workloads).filter_map(|text| text.parse().ok()).collect()
    }
}
