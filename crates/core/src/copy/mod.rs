//! From what an `Image` asks for, and what both registries answer, to what is done.
//!
//! ```text
//! request    a spec, parsed                      naming   which tag each becomes
//! observe    asks both registries                state    what they answered
//! plan       what is to be done for each tag     age, outcome, precedence: what it is worked out from
//! readiness  the conditions that follow
//! next_sync  when an Image is synced again, and what is remembered until then
//! prune      tags of the destination that the Image has put and no longer selects
//! probe, parts, publish, mount, quota, batches   the steps around a Job that need registries only
//! ```
//!
//! A plan is pure and is worked out from the whole state each time: the spec, both registries, the Jobs, the
//! recorded failures. So nothing is lost or repeated when the process ends between any two writes, and a
//! preview is the same computation without Jobs.

mod age;
mod batches;
mod cooldown;
mod engine_fields;
#[cfg(test)]
pub(crate) mod fixtures;
mod max_parts;
mod mount;
mod naming;
mod next_sync;
mod observe;
mod outcome;
mod parts;
mod plan;
mod precedence;
mod probe;
mod prune;
mod publish;
mod quota;
mod read_ahead;
mod readiness;
mod recorded;
mod request;
mod route;
mod spec_field;
mod spec_limits;
mod state;

pub(crate) use age::Evidence;
pub use age::{FirstSeen, Waiting, first_seen};
pub use batches::{Order, batches, in_order};
pub use cooldown::Cooldown;
pub use engine_fields::EngineFields;
pub use max_parts::MaxParts;
pub use mount::{KnownBlobs, Learned, SourceMounts, learn, mount};
pub use naming::Naming;
pub use next_sync::{schedule_next, still_waiting, synced_once};
pub use observe::{
    AnswersOfBoth, AsksForRepository, ContentCache, Known, Limits, MAX_TAGS_PER_IMAGE, ObserveError, Sides,
    observe,
};
pub use outcome::{Copy, CopyRecord, MadeOf, Origin, Outcome, Run};
pub use plan::{Inputs, Plan, PlannedTag, TagAction, plan};
pub use precedence::{OlderImage, TagClaim, conflicts, disputed, holds_claims};
pub use probe::{Probe, Probed};
pub use prune::{MadeTags, PruneInputs, PruneRequest, UsedImage, due};
pub use publish::{Answered, Publications, made_index, publish};
pub use quota::{Admission, Deferral, admit, release};
pub use read_ahead::ReadAhead;
pub use readiness::readiness;
pub use request::CopyRequest;
pub use route::Route;
pub use spec_field::{SpecError, SpecField};
pub use state::{Content, MadeIndex, Observed, ObservedTag, Seen, TagState};
