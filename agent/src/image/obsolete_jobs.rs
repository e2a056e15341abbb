//! Jobs of an earlier spec, or of a content that the source showed before, that put tags by themselves
//! (`publish: Direct`). One that ends last would leave the tag wrong. Those of another route and their pods are gone
//! before anything is put. Those of another content end by themselves, or a tag that moves faster than it is copied
//! would never be copied; none other puts their tags meanwhile. Only then the tags are looked up.

use std::time::Duration;

use imgop_core::copy::{Copy, CopyRequest, Observed, Outcome, Run};
use imgop_core::readiness::Readiness;
use imgop_core::time::saturating_add;

use super::failures::Halt;
use super::findings::{Conclusion, Findings};
use super::job_results::JobResults;
use super::memory::Memory;
use super::pass_state::PassState;
use super::{Pass, SHORT_INTERVAL};
use crate::jobs::report::JobReport;

/// How long a Job that is being deleted is waited for: on a node that is lost, its pod never ends.
const MAX_DELETION: Duration = Duration::from_mins(10);

impl Pass<'_> {
    /// Drops what was observed before a Job put a tag to another content than is asked for, once it has: the tag is
    /// looked up.
    pub(super) fn invalidate_put_tags(
        &self,
        request: &CopyRequest,
        reports: &[JobReport],
        memory: &mut Memory,
    ) {
        let jobs = JobResults::new(reports, request.route());
        let open = jobs.to_be_put();
        if !self.image.spec.suspend && memory.cache().contested.iter().any(|tag| !open.contains(tag)) {
            memory.sync().observed = None;
        }
    }

    /// Deletes those of these Jobs, which were read before the registries were asked, that are of another route.
    /// Returns how the pass ends if there are any.
    pub(super) async fn end_obsolete_jobs(
        &self,
        request: &CopyRequest,
        reports: &[JobReport],
        memory: &mut Memory,
    ) -> Result<Option<Conclusion>, Halt> {
        if self.image.spec.suspend {
            return Ok(None);
        }
        let (jobs, mut awaited) = (JobResults::new(reports, request.route()), None);
        memory.cache().contested.clear();
        for (name, tags) in jobs.obsolete() {
            let Some(report) = reports.iter().find(|report| report.name == name) else { continue };
            if report.deleting_since.is_none() {
                tracing::info!(
                    kind = %self.owner.kind,
                    namespace = self.namespace(),
                    name = self.owner.name,
                    job = report.name,
                    "deleting a Job that copies what is not asked for any more"
                );
                self.agent().jobs.delete_after_pods(report).await?;
            }
            memory.sync().started.retain(|copy| !tags.contains(&copy.destination_tag));
            memory.cache().contested.extend(tags.into_iter().cloned());
            if !self.is_overdue(report) {
                awaited = Some(report.name.as_str());
            }
        }
        let Some(name) = awaited else { return Ok(None) };
        memory.sync().observed = None;
        let message =
            format!("waiting until Job {name} is deleted, which copies what is not asked for any more");
        let findings =
            Findings { ended: None, ..Findings::of(Readiness::progressing(message), self.requests.clone()) };
        Ok(Some(Conclusion { findings: Some(findings), wait: Some(SHORT_INTERVAL) }))
    }

    /// Returns what these Jobs are yet to put that is not asked for any more, and that is waited for.
    pub(super) fn outdated_copies(
        &self,
        request: &CopyRequest,
        reports: &[JobReport],
        observed: &Observed,
        memory: &mut Memory,
    ) -> Vec<Copy> {
        if self.image.spec.suspend {
            return Vec::new();
        }
        let (jobs, mut awaited) = (JobResults::new(reports, request.route()), Vec::new());
        for (name, copy) in jobs.outdated(observed) {
            memory.cache().contested.insert(copy.destination_tag.clone());
            if !reports.iter().any(|report| report.name == name && self.is_overdue(report)) {
                awaited.push(copy.clone());
            }
        }
        awaited
    }

    /// Returns whether the Job is not waited for any more.
    fn is_overdue(&self, job: &JobReport) -> bool {
        job.deleting_since.is_some_and(|since| saturating_add(since, MAX_DELETION) <= self.now)
    }
}

/// Lets the tags of these copies wait until they have ended.
pub(super) fn wait_for(outdated: &[Copy], state: &mut PassState<'_>) {
    for copy in outdated {
        let mut tags = state.observed.tags.iter().filter(|tag| tag.destination_tag == copy.destination_tag);
        let Some(digest) = tags.find_map(|tag| tag.digest()).cloned() else { continue };
        // Another content may be there already, but does not stay.
        state.observed.record(&copy.destination_tag, &copy.digest);
        state.runs.retain(|run| run.copy.destination_tag != copy.destination_tag);
        state.runs.push(Run { copy: Copy { digest, ..copy.clone() }, outcome: Outcome::Running });
    }
}
