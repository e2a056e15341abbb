//! Where the mirrors in sight bring images: what lies there comes from elsewhere.

use std::collections::BTreeSet;

use imgop_core::workloads::{MirrorTarget, targets_in_sight};

use super::{Others, Pass};

impl Others {
    /// Returns whether all mirrors are known.
    pub(super) fn are_known(&self) -> bool {
        self.image_mirrors.are_known() && self.workload_mirrors.are_known()
    }
}

impl Pass<'_> {
    /// Returns the targets of mirrors that count for this one, which looks at these namespaces.
    pub(super) fn targets(&self, namespaces: &BTreeSet<String>) -> Vec<MirrorTarget> {
        let Others { image_mirrors, workload_mirrors } = &self.mirrors.others;
        targets_in_sight(self.namespace(), namespaces, image_mirrors.all(), workload_mirrors.all())
    }
}
