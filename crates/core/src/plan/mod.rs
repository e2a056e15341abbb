//! From what is asked for and what is seen to what is done. Pure: no clock, no I/O.
//!
//! A plan is worked out from the whole state each time: the spec, both registries, the Jobs, the
//! recorded failures. So nothing is lost or repeated when the process ends between any two writes,
//! and a preview is the same computation without Jobs.

mod actions;
mod age;
mod claim;
mod older;
#[cfg(test)]
pub(crate) mod fixtures;
mod observed;
mod request;
mod run;
mod tag_plan;
mod readiness;

pub use actions::{Action, Plan, PlannedTag};
pub(crate) use age::Evidence;
pub use age::{FirstSeen, Waiting, first_seen};
pub use claim::TagClaim;
pub use older::OlderImage;
pub use observed::{Content, MadeIndex, Observed, ObservedTag, Seen, TagState};
pub use request::{CopyRequest, Naming, SpecError, SpecField, SpecProblem};
pub use run::{Copy, CopyRecord, MadeOf, Origin, Outcome, Run, container_name};
pub use tag_plan::{Inputs, plan, retry_delay};
pub use readiness::{Readiness, readiness};
