//! What only the status of a WorkloadMirror has. Pure.

use imgop_core::api::{MirrorConflict, MirrorFailure, WorkloadCounts, WorkloadMirrorStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::children::{MirrorStatus, mirror_status_frame};
use crate::cluster::status::WithConditions;

/// What is known of what runs, and of the Images.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observed {
    pub counts: WorkloadCounts,
    pub conflicts: Vec<MirrorConflict>,
    pub conflict_count: u32,
    pub failing: Vec<MirrorFailure>,
    pub seen_namespaces: Vec<String>,
}

impl WithConditions for WorkloadMirrorStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

impl MirrorStatus for WorkloadMirrorStatus {
    type Observed = Observed;

    const MAX_BYTES: usize = 8 * 1024;
    const MAX_MESSAGE_BYTES: usize = 1_024;

    mirror_status_frame!();

    fn observe(&mut self, observed: Observed, _now: Timestamp) {
        let Observed { counts, conflicts, conflict_count, failing, seen_namespaces } = observed;
        (self.counts, self.seen_namespaces) = (Some(counts), seen_namespaces);
        (self.conflicts, self.conflict_count, self.failing) = (conflicts, conflict_count, failing);
    }

    fn synced(&self) -> u32 {
        self.counts.map_or(0, |counts| counts.synced)
    }

    /// That more or less runs is none.
    fn is_news(&self, old: &Self) -> bool {
        let mut new = self.clone();
        if let (Some(new), Some(old)) = (&mut new.counts, &old.counts) {
            (new.pods, new.workloads) = (old.pods, old.workloads);
        }
        new != *old
    }
}
