//! Which tier the next pod of a build gets: what started a pod a short while ago goes before the administrator's order, so
//! that only one build finds out what does not start.

use std::time::Duration;

use imgop_core::api::BUILD_ANNOTATION;
use imgop_core::build::PartRecord;
use imgop_core::time::saturating_add;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::job::PREPARE;
use crate::config::{BuildSettings, BuildTier};
use crate::jobs::report::{ContainerState, JobReport};

/// How long a tier goes first that has started a pod; then the administrator's order counts again, whose first may have
/// become possible.
const REMEMBERED: Duration = Duration::from_hours(1);

/// What a Job records of itself.
#[derive(Debug, Serialize)]
pub(super) struct JobRecord<'a> {
    /// Which part it is.
    #[serde(flatten)]
    pub part: &'a PartRecord,
    /// How its pod gets what Buildah needs.
    pub tier: BuildTier,
}

#[derive(Debug, Deserialize)]
struct TierOfJob {
    tier: BuildTier,
}

/// The tier that was found to start pods, and when.
#[derive(Debug, Default)]
pub(super) struct Tiers(Mutex<Option<(BuildTier, Timestamp)>>);

impl Tiers {
    /// Returns the tier of a try, given the number of tries before it that did not start.
    pub(super) fn tier(&self, settings: &BuildSettings, not_started: usize, now: Timestamp) -> BuildTier {
        let known = *self.0.lock();
        let known = known.filter(|(_, at)| now < saturating_add(*at, REMEMBERED)).map(|(tier, _)| tier);
        let order = settings.tiers();
        let first = order.iter().copied().filter(|tier| Some(*tier) == known);
        let others = order.iter().copied().filter(|tier| Some(*tier) != known);
        let order: Vec<BuildTier> = first.chain(others).collect();
        order.get(not_started % order.len().max(1)).copied().unwrap_or(BuildTier::A1)
    }

    /// Takes note of the tiers of pods that have started: their first container has ended.
    pub(super) fn take_note(&self, settings: &BuildSettings, jobs: &[JobReport], now: Timestamp) {
        if settings.tiers().len() < 2 {
            return;
        }
        let has_started = |job: &&JobReport| {
            let state = job.container(PREPARE);
            matches!(state, ContainerState::Ended(_) | ContainerState::Completed { .. })
        };
        let Some(newest) = jobs.iter().filter(has_started).max_by_key(|job| job.created) else { return };
        let Some(tier) = tier_of(newest) else { return };
        let mut known = self.0.lock();
        // The time is that of the first pod: what is known is not renewed by what follows from it.
        let is_news = known.is_none_or(|(of, at)| of != tier || now >= saturating_add(at, REMEMBERED));
        let is_recent = newest.created.is_some_and(|created| now < saturating_add(created, REMEMBERED));
        if is_news && is_recent {
            *known = Some((tier, now));
        }
    }
}

fn tier_of(job: &JobReport) -> Option<BuildTier> {
    let record: TierOfJob = serde_json::from_str(job.annotations.get(BUILD_ANNOTATION)?).ok()?;
    Some(record.tier)
}
