//! What only the status of a WorkloadMirror has. Pure.

use imgop_core::api::{MirrorConflict, MirrorFailure, WorkloadCounts, WorkloadMirrorStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::on_the_fly::OF_UNASKED;
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

    /// That more or less runs is none, nor that a registry which is out keeps more or less images from being found.
    fn is_news(&self, old: &Self) -> bool {
        let mut new = self.clone();
        if let (Some(new), Some(old)) = (&mut new.counts, &old.counts) {
            (new.pods, new.workloads) = (old.pods, old.workloads);
        }
        for (new, old) in new.conditions.iter_mut().zip(&old.conditions) {
            if without_number(&new.message).is_some_and(|text| Some(text) == without_number(&old.message)) {
                new.message.clone_from(&old.message);
            }
        }
        new != *old
    }
}

/// Returns what stands before and after the number of images that a registry may have that could not be asked, if there is one.
fn without_number(message: &str) -> Option<(&str, &str)> {
    let (before, after) = message.split_once(OF_UNASKED)?;
    Some((before, after.trim_start_matches(|c: char| c.is_ascii_digit())))
}
