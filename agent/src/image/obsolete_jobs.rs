//! Jobs of an earlier spec, or of a content that the source showed before, that put tags by themselves
//! (`publish: Direct`). One that ends last would leave the tag wrong, so they and their pods are gone before
//! anything is put, and only then their tags are looked up.

use std::time::Duration;

use imgop_core::copy::{CopyRequest, Observed, Outcome, Readiness};
use imgop_core::time::saturating_add;

use super::failures::Halt;
use super::findings::{Conclusion, Findings};
use super::job_results::JobResults;
use super::memory::Memory;
use super::{Pass, SHORT_INTERVAL};
use crate::jobs::report::JobReport;

/// How long a Job that is being deleted is waited for: on a node that is lost, its pod never ends.
const MAX_DELETION: Duration = Duration::from_mins(10);

impl Pass<'_> {
    /// Deletes the obsolete ones of these Jobs, which were read before the registries were asked. Returns how the
    /// pass ends if there are any.
    pub(super) async fn end_obsolete_jobs(
        &self,
        request: &CopyRequest,
        reports: &[JobReport],
        observed: &Observed,
        memory: &mut Memory,
    ) -> Result<Option<Conclusion>, Halt> {
        if self.image.spec.suspend {
            return Ok(None);
        }
        let (jobs, mut awaited) = (JobResults::new(reports, request.route()), None);
        memory.cache.contested.clear();
        for obsolete in jobs.obsolete(observed) {
            let Some(report) = reports.iter().find(|report| report.name == obsolete.name) else { continue };
            if report.deleting_since.is_none() {
                tracing::info!(
                    kind = self.owner.kind,
                    namespace = self.namespace(),
                    name = self.owner.name,
                    job = report.name,
                    "deleting a Job that copies what is not asked for any more"
                );
                self.agent().jobs.delete_after_pods(self.namespace(), report).await?;
            }
            memory.cache.contested.extend(obsolete.tags.iter().copied().cloned());
            memory.sync().started.retain(|copy| !obsolete.tags.contains(&copy.destination_tag));
            let ended = obsolete.runs.iter().filter(|run| run.outcome != Outcome::Running);
            memory.outcomes.extend(ended.map(|run| (run.copy.clone(), run.outcome.clone())));
            let is_overdue = |since| saturating_add(since, MAX_DELETION) <= self.now;
            if !report.deleting_since.is_some_and(is_overdue) {
                awaited = Some(report.name.as_str());
            }
        }
        let Some(name) = awaited else { return Ok(None) };
        memory.sync().observed = None;
        let message =
            format!("waiting until Job {name} is deleted, which copies what is not asked for any more");
        let findings = Findings {
            ended: None,
            ..Findings::of(Readiness::progressing(message), self.request_token.clone())
        };
        Ok(Some(Conclusion { findings: Some(findings), wait: Some(SHORT_INTERVAL) }))
    }
}
