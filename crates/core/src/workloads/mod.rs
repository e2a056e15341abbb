//! What a `WorkloadMirror` means: what workloads use, and the Images that this becomes. Pure; agent and plugin come to the
//! same answer.
//!
//! ```text
//!  spec ── WorkloadRequest::parse ──▶ WorkloadRequest ─┐
//!  pods, templates ── in_use ──▶ Usage ──▶ UsedImage ──┼── plan ──▶ Plan { children, gone, findings, uses, counts }
//!  namespaces ── Sight ──▶ targets_in_sight ───────────┤
//!  Images as they are ── ChildImage::read ─────────────┘                  └─▶ WorkloadRequest::image_spec
//!
//!  a pod that cannot pull ── origins ──▶ candidates, in the order in which they are asked
//! ```

mod child;
mod digests;
mod excluded;
mod in_use;
mod mirror_right;
mod namespaces;
mod observed;
mod origins;
mod paths;
mod plan;
mod recorded;
mod request;
mod retention;
mod sight;
mod targets;
mod usage;

pub use child::{ChildImage, PlannedChild, UnusedSince};
pub use excluded::Excluded;
pub use in_use::{Between, Controller, InUse, Maker, Makers, Member, in_use, kinds_read};
pub use mirror_right::{MirrorRight, service_accounts_of};
pub use namespaces::NamespaceChoice;
pub use observed::{
    ObservedContainer, ObservedImage, ObservedMetadata, ObservedOwner, ObservedPod, ObservedStatus,
    ObservedTemplate, ObservedWorkload, running_digest,
};
pub use origins::{HourlyLimit, Origin, Route, next_try, origins, wants};
pub use paths::{PathError, PathMap, Prefix, PrefixError};
pub use plan::{
    Finding, FoundOrigin, NotMirrored, Outcome, Plan, PlanCounts, Situation, Use, mirrored_images, plan,
};
pub use request::{PlatformChoice, WorkloadRequest, WorkloadSpecError};
pub use sight::{SeenBefore, SelectedNamespace, Sight};
pub use targets::{MirrorTarget, targets_in_sight};
pub use usage::{ImageUser, Newest, RunningPods, Usage, UsedImage};

#[cfg(test)]
mod tests;
