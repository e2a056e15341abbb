//! What only the status of an ImageMirror has. Pure.

use imgop_core::api::{
    ImageMirrorStatus, InventoryRead, MirrorConflict, MirrorFailure, MirrorTags, MirroredChildren,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::versions::Versions;
use crate::children::{MirrorStatus, mirror_status_frame};
use crate::cluster::status::WithConditions;

/// Proposals that stay named before anything else is left out.
const MIN_PROPOSALS: usize = 10;

/// What is known of the Images, and of what they are made from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observed {
    pub entries: u32,
    pub children: MirroredChildren,
    pub tags: MirrorTags,
    pub conflicts: Vec<MirrorConflict>,
    pub conflict_count: u32,
    pub failing: Vec<MirrorFailure>,
    /// The hash of what was read.
    pub inventory: String,
    /// What is known of version sources.
    pub versions: Versions,
}

impl WithConditions for ImageMirrorStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

impl MirrorStatus for ImageMirrorStatus {
    type Observed = Observed;

    const MAX_BYTES: usize = 16 * 1024;
    const MAX_MESSAGE_BYTES: usize = 1_536;

    mirror_status_frame!();

    fn observe(&mut self, observed: Observed, now: Timestamp) {
        let Observed { entries, children, tags, conflicts, conflict_count, failing, inventory, versions } =
            observed;
        self.entries = Some(entries);
        self.children = Some(children);
        self.tags = Some(tags);
        (self.conflicts, self.conflict_count, self.failing) = (conflicts, conflict_count, failing);
        (self.proposals, self.failed_updates) = (versions.proposals, versions.failed);
        if self.inventory.as_ref().is_none_or(|read| read.hash != inventory) {
            self.inventory = Some(InventoryRead { hash: inventory, time: Time(now) });
        }
    }

    fn synced(&self) -> u32 {
        self.tags.map_or(0, |tags| tags.synced)
    }

    fn leave_out_one(&mut self) -> bool {
        let proposals = self.proposals.as_mut().map(|proposals| &mut proposals.tags);
        match proposals.filter(|tags| tags.len() > MIN_PROPOSALS) {
            Some(tags) => tags.pop().is_some(),
            None => self.frame().leave_out_one(),
        }
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::MirrorProposals;
    use imgop_core::readiness::Readiness;

    use super::*;
    use crate::children::{Findings, Requests, next_status};

    #[test]
    fn a_status_without_room_loses_proposals_but_ten_and_then_conflicts_before_fewer_failures() {
        let long = |n: usize| format!("{n}{}", "x".repeat(400));
        let conflicts = (0..20).map(|n| MirrorConflict { destination: long(n), sources: vec![long(n); 2] });
        let failing =
            (0..3).map(|n| MirrorFailure { image: long(n), reason: "CopyFailed".into(), tag: None });
        let tags: Vec<String> = (0..50).map(long).collect();
        let proposals = MirrorProposals { count: 50, tags, hash: String::new() };
        let observed = Observed {
            conflicts: conflicts.collect(),
            conflict_count: 20,
            failing: failing.collect(),
            versions: Versions { proposals: Some(proposals), ..Versions::default() },
            ..Observed::default()
        };
        let readiness = Readiness::stalled("EntriesConflict", "x".repeat(4_000));
        let findings = Findings { observed: Some(observed), ..Findings::of(readiness, Requests::default()) };
        let status: ImageMirrorStatus = next_status(None, Some(1), findings, false, Timestamp::UNIX_EPOCH);
        let bytes = serde_json::to_vec(&status).unwrap().len();
        assert!(bytes <= ImageMirrorStatus::MAX_BYTES, "{bytes}");
        let proposed = status.proposals.unwrap();
        assert_eq!((proposed.count, proposed.tags.len()), (50, 10));
        assert_eq!((status.conflict_count, status.failing.len()), (20, 3));
        assert!((3..20).contains(&status.conflicts.len()), "{}", status.conflicts.len());
        assert!(status.conditions.iter().all(|condition| condition.message.len() <= 1_536));
    }
}
