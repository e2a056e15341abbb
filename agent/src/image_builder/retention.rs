//! How many Jobs of ended builds are kept, with their logs, and which of them are ended.

use std::time::Duration;

use imgop_core::api::{BuildResult, ImageBuilderStatus};

use super::halt::Halt;
use super::part_runs::record;
use super::{JOB_INTERVAL, Pass};
use crate::jobs::report::{JobReport, JobState};

impl Pass<'_> {
    /// Deletes the Jobs of ended builds beyond those that the spec's history limits keep, and those that a container
    /// keeps from ending that something else added to their pods.
    pub(super) async fn keep_finished_jobs(&self) -> Result<(), Halt> {
        let jobs = self.agent().jobs.of_owner(&self.owner, self.now);
        let spec = &self.builder.spec;
        let limits = (spec.successful_builds_history_limit, spec.failed_builds_history_limit);
        for job in surplus(&jobs, &self.status, limits).into_iter().chain(abandoned(&jobs, &self.status)) {
            self.agent().jobs.delete(job).await?;
        }
        Ok(())
    }

    /// Returns when Jobs are read again that have not ended; none if all have. Nothing is seen of a Job that a foreign
    /// container keeps from ending.
    pub(super) fn job_interval(&self) -> Option<Duration> {
        let jobs = self.agent().jobs.of_owner(&self.owner, self.now);
        jobs.iter().any(|job| !job.is_finished() && job.deleting_since.is_none()).then_some(JOB_INTERVAL)
    }
}

/// Returns the Jobs of ended builds whose own containers have ended some time ago.
fn abandoned<'a>(jobs: &'a [JobReport], status: &ImageBuilderStatus) -> impl Iterator<Item = &'a JobReport> {
    let running = status.build.as_ref().map(|build| build.number);
    jobs.iter().filter(move |job| {
        job.state == JobState::Abandoned
            && job.deleting_since.is_none()
            && record(job).is_some_and(|record| Some(record.number) != running)
    })
}

/// Returns the finished Jobs that are not kept: of the newest builds that succeeded and of those that did not, as many
/// as the limits say stay.
fn surplus<'a>(
    jobs: &'a [JobReport],
    status: &ImageBuilderStatus,
    (successful, failed): (u32, u32),
) -> Vec<&'a JobReport> {
    let newest = |is_success: bool, limit: u32| {
        let of_kind = status
            .history
            .iter()
            .rev()
            .filter(move |build| (build.result == BuildResult::Succeeded) == is_success);
        of_kind.map(|build| build.number).take(usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let mut kept: Vec<u64> = newest(true, successful).chain(newest(false, failed)).collect();
    kept.extend(status.build.as_ref().map(|build| build.number));
    let is_surplus = |job: &&JobReport| {
        job.is_finished()
            && job.deleting_since.is_none()
            && record(job).is_some_and(|record| !kept.contains(&record.number))
    };
    jobs.iter().filter(is_surplus).collect()
}

#[cfg(test)]
mod tests {
    use imgop_core::api::BuildRecord;

    use super::*;
    use crate::image_builder::tests::fixtures::{now, record};
    use crate::image_builder::tests::job_of_build;

    #[test]
    fn as_many_finished_jobs_are_kept_as_the_limits_say() {
        let results =
            [BuildResult::Succeeded, BuildResult::Failed, BuildResult::Succeeded, BuildResult::Cancelled];
        let history: Vec<BuildRecord> =
            (1..).zip(results).map(|(number, result)| record(number, result)).collect();
        let status = ImageBuilderStatus { history, ..ImageBuilderStatus::default() };
        let jobs: Vec<JobReport> = (1..=4).map(|number| job_of_build(number, true, now())).collect();
        let deleted = |limits| -> Vec<u64> {
            surplus(&jobs, &status, limits)
                .into_iter()
                .filter_map(super::record)
                .map(|record| record.number)
                .collect()
        };
        assert_eq!(deleted((1, 3)), [1]);
        assert_eq!(deleted((2, 0)), [2, 4]);
        assert_eq!(deleted((0, 0)), [1, 2, 3, 4]);
        let running = vec![job_of_build(1, false, now())];
        assert!(surplus(&running, &status, (0, 0)).is_empty(), "what runs is ended elsewhere");
    }
}
