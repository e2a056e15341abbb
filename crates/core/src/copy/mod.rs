//! What an `Image` means: from what is asked for, and what both registries answer, to what is done.
//!
//! Everything but [`observe()`] is pure: no clock, no I/O. A plan is worked out from the whole state each
//! time: the spec, both registries, the Jobs, the recorded failures. So nothing is lost or repeated when the
//! process ends between any two writes, and a preview is the same computation without Jobs.

mod age;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod mount;
mod observe;
mod outcome;
mod plan;
mod precedence;
mod readiness;
mod request;
mod state;

pub(crate) use age::Evidence;
pub use age::{FirstSeen, Waiting, first_seen};
pub use observe::{ContentCache, Known, Limits, ObserveError, Sides, observe};
pub use outcome::{Copy, CopyRecord, MadeOf, Origin, Outcome, Run};
pub use plan::{Inputs, Plan, PlannedTag, TagAction, plan, retry_delay};
pub use precedence::{OlderImage, TagClaim};
pub use readiness::{Readiness, readiness};
pub use request::{CopyRequest, Naming, SpecError, SpecField, SpecProblem};
pub use state::{Content, MadeIndex, Observed, ObservedTag, Seen, TagState};
