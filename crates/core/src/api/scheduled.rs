//! What the kinds have in common that are looked at again and again: the fields of spec and status that mean the same in
//! each of them.
//!
//! Each kind declares these fields itself, as it describes them in its own words, and as a decoder names the field that is
//! wrong only in the struct that declares it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;

use super::{
    Image, ImageBuilder, ImageBuilderSpec, ImageMirror, ImageMirrorSpec, ImageSpec, Phase, RecurrenceRef,
    WorkloadMirror,
};

/// An object that is looked at again and again.
pub trait Scheduled: Resource<DynamicType = ()> {
    /// Returns whether `spec.suspend` is set.
    fn is_suspended(&self) -> bool;

    /// Returns what its status says of the last pass; nothing without a status.
    fn last_pass(&self) -> LastPass<'_>;
}

/// What a status says of the last pass over an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastPass<'a> {
    /// Its conditions.
    pub conditions: &'a [Condition],
    /// The generation of the spec that it is of.
    pub observed_generation: Option<i64>,
    /// What became of the sync or the build.
    pub phase: Option<Phase>,
    /// The last token of `imgop.skopeo.io/requested-at` that was acted on.
    pub handled_request: Option<&'a str>,
    /// The last value of `imgop.skopeo.io/reset` that was acted on.
    pub handled_reset: Option<&'a str>,
}

/// Implements [`Scheduled`], which only names fields.
macro_rules! scheduled {
    ($($kind:ty),*) => {$(
        impl Scheduled for $kind {
            fn is_suspended(&self) -> bool {
                self.spec.suspend
            }

            fn last_pass(&self) -> LastPass<'_> {
                let last_pass = self.status.as_ref().map(|status| LastPass {
                    conditions: &status.conditions,
                    observed_generation: status.observed_generation,
                    phase: status.phase,
                    handled_request: status.last_handled_requested_at.as_deref(),
                    handled_reset: status.last_handled_reset.as_deref(),
                });
                last_pass.unwrap_or_default()
            }
        }
    )*};
}

scheduled!(Image, ImageBuilder, ImageMirror, WorkloadMirror);

/// Gives a spec the fields that say when.
macro_rules! recurrence {
    ($($spec:ty),*) => {$(
        impl $spec {
            /// Returns the fields that say when.
            pub fn recurrence(&self) -> RecurrenceRef<'_> {
                let Self { frequency, schedule, time_zone, .. } = self;
                RecurrenceRef { frequency, schedule: schedule.as_deref(), time_zone: time_zone.as_deref() }
            }
        }
    )*};
}

recurrence!(ImageSpec, ImageBuilderSpec, ImageMirrorSpec);
