//! Which Jobs of builds are ended that have not ended by themselves: nothing more comes of them.

use imgop_core::api::PlatformState;
use imgop_core::build::{BuildKey, PartAction, PartRecord, PlannedPart};

use super::Pass;
use super::halt::Halt;
use super::job;
use super::part_runs::{is_of_other_key, record};
use crate::jobs::report::JobReport;

impl Pass<'_> {
    /// Deletes the Jobs of other builds that have not ended, and those of another key if there is one: what they push
    /// would be for nothing.
    pub(super) async fn end_other_builds(
        &self,
        number: u64,
        key: Option<&BuildKey>,
        jobs: &[JobReport],
    ) -> Result<(), Halt> {
        for job in jobs.iter().filter(|job| !job.is_finished() && job.deleting_since.is_none()) {
            let is_other = |record: PartRecord| {
                record.number != number || key.is_some_and(|key| is_of_other_key(&record, key))
            };
            if record(job).is_some_and(is_other) {
                self.agent().jobs.delete(job).await?;
            }
        }
        Ok(())
    }

    /// Deletes the Jobs of all builds that have not ended.
    pub(super) async fn end_all_builds(&self) -> Result<(), Halt> {
        // No build has this number.
        self.end_other_builds(u64::MAX, None, &self.agent().jobs.of_owner(&self.owner, self.now)).await
    }

    /// Deletes the Jobs of a build whose pods wait for a node as another template says than that of the spec, and returns
    /// which parts they were: those are begun anew, and it was no try. What runs goes on as it is.
    pub(super) async fn end_waiting(
        &self,
        jobs: &mut Vec<JobReport>,
        number: u64,
    ) -> Result<Vec<PartRecord>, Halt> {
        let mut ended = Vec::new();
        if self.builder.spec.suspend {
            return Ok(ended);
        }
        let template = job::options(&self.builder.spec, &self.agent().config).hash();
        for job in jobs.iter().filter(|job| job.waits_with_other_template(&template)) {
            let Some(record) = record(job).filter(|record| record.number == number) else { continue };
            self.agent().jobs.delete(job).await?;
            ended.push(record);
        }
        let is_ended = |job: &JobReport| record(job).is_some_and(|record| ended.contains(&record));
        jobs.retain(|job| !is_ended(job));
        Ok(ended)
    }

    /// Deletes Jobs that hold a place and do not start: what became of them is in the status then.
    pub(super) async fn delete_stuck(&self, jobs: &[JobReport], number: u64) -> Result<(), Halt> {
        for job in jobs.iter().filter(|job| job.is_to_be_deleted()) {
            let Some(record) = record(job).filter(|record| record.number == number) else { continue };
            let platform = record.platform.to_string();
            let is_noted = self.status.platforms.iter().any(|part| {
                let has_ended = matches!(part.state, PlatformState::Failed | PlatformState::Built);
                let is_noted = part.attempts == record.attempt && has_ended;
                part.platform == platform && (is_noted || part.attempts > record.attempt)
            });
            if is_noted {
                self.agent().jobs.delete(job).await?;
            }
        }
        Ok(())
    }

    /// Deletes Jobs that hold a place and of which nothing more comes, where their platforms are to be tried again now,
    /// or not any more: the next try may find no other place than theirs.
    pub(super) async fn delete_given_up(
        &self,
        jobs: &[JobReport],
        number: u64,
        planned: &[PlannedPart],
    ) -> Result<(), Halt> {
        for job in jobs.iter().filter(|job| job.is_to_be_deleted()) {
            let Some(record) = record(job).filter(|record| record.number == number) else { continue };
            let is_over = |action: &PartAction| match action {
                PartAction::Build(attempt) => *attempt > record.attempt,
                PartAction::GiveUp => true,
                _ => false,
            };
            if planned.iter().any(|part| part.platform == record.platform && is_over(&part.action)) {
                self.agent().jobs.delete(job).await?;
            }
        }
        Ok(())
    }
}
