//! Which tier the next pod of a build gets: what started a pod of the namespace a short while ago goes before the
//! administrator's order, so that only one build finds out what does not start there. What starts depends on the
//! namespace, and one namespace must not decide it for another.

use std::collections::HashMap;
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
    number: u64,
    tier: BuildTier,
}

/// The tiers that were found to start pods, by namespace, and when the Job was created that showed it.
#[derive(Debug, Default)]
pub(super) struct Tiers(Mutex<HashMap<String, (BuildTier, Timestamp)>>);

impl Tiers {
    /// Returns the tier of a try in a namespace, given the number of tries before it that did not start.
    pub(super) fn tier(
        &self,
        settings: &BuildSettings,
        namespace: &str,
        not_started: usize,
        now: Timestamp,
    ) -> BuildTier {
        let known = self.0.lock().get(namespace).copied();
        let known = known.filter(|(_, at)| is_remembered(*at, now)).map(|(tier, _)| tier);
        let order = settings.tiers();
        let first = order.iter().copied().filter(|tier| Some(*tier) == known);
        let others = order.iter().copied().filter(|tier| Some(*tier) != known);
        let order: Vec<BuildTier> = first.chain(others).collect();
        order.get(not_started % order.len().max(1)).copied().unwrap_or(BuildTier::A1)
    }

    /// Takes note of the tiers of pods of a build that have started: their first container has ended.
    pub(super) fn take_note(
        &self,
        settings: &BuildSettings,
        (namespace, number): (&str, u64),
        jobs: &[JobReport],
        now: Timestamp,
    ) {
        if settings.tiers().len() < 2 {
            return;
        }
        let has_started = |job: &&JobReport| {
            let state = job.container(PREPARE);
            matches!(state, ContainerState::Ended(_) | ContainerState::Completed { .. })
        };
        let started = jobs.iter().filter(has_started).filter_map(|job| {
            let created = job.created.filter(|created| is_remembered(*created, now))?;
            Some((tier_of(job, number)?, created))
        });
        let Some((tier, created)) = started.max_by_key(|(_, created)| *created) else { return };
        let mut all = self.0.lock();
        // What is known is not renewed by what follows from it, and never by what is older.
        let is_news = all.get(namespace).is_none_or(|(known, at)| {
            let is_other = *known != tier && created > *at;
            is_other || !is_remembered(*at, created)
        });
        if is_news {
            all.retain(|_, (_, at)| is_remembered(*at, now));
            all.insert(namespace.to_owned(), (tier, created));
        }
    }
}

fn is_remembered(at: Timestamp, now: Timestamp) -> bool {
    now < saturating_add(at, REMEMBERED)
}

/// Returns the tier of a Job of the build with this number.
fn tier_of(job: &JobReport, number: u64) -> Option<BuildTier> {
    let record: TierOfJob = serde_json::from_str(job.annotations.get(BUILD_ANNOTATION)?).ok()?;
    (record.number == number).then_some(record.tier)
}
