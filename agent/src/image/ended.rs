//! Jobs that end while a registry is left alone: their tags are set all the same.

use imgop_core::copy::{Copy, CopyRequest, Outcome};

use super::jobs::Jobs;
use super::reconcile::{ApiError, Look};
use super::schedule::Due;
use super::settle;

impl Look<'_> {
    /// A registry that did not answer, or that wants fewer requests, is not observed before its pause ends,
    /// which may be an hour. Copies that were begun before go on meanwhile. Where one has ended, the tag gets
    /// what was pushed, as it was observed when the copy began. No copy is begun, and the status goes on to
    /// say why.
    pub(super) async fn set_what_ended(&mut self, request: &CopyRequest) -> Result<(), ApiError> {
        if self.memory.started.is_empty() || self.memory.blocked.is_some() {
            return Ok(());
        }
        let Some(observed) = self.memory.observed.clone() else { return Ok(()) };
        let (route, podless) = (request.route(), &mut self.memory.podless);
        let jobs = Jobs::of(self.context, self.image, route, podless, self.now).await?;
        self.drop_stuck(&jobs).await?;
        let runs = jobs.runs(&self.memory.outcomes);
        let still_runs =
            |copy: &Copy| runs.iter().any(|run| run.copy == *copy && run.outcome == Outcome::Running);
        if self.memory.started.iter().all(still_runs) {
            return Ok(());
        }
        let namespace = self.image.metadata.namespace.as_deref().unwrap_or_default();
        if !self.context.may_work_in(namespace).await? {
            return Ok(());
        }
        // What is wrong with a Secret is said by the next look that is due.
        let Ok((sides, _)) = self.sides(request, Due::InProgress).await else { return Ok(()) };
        let Some(destination) = &sides.destination else { return Ok(()) };
        let mut work = self.work(request, observed, &jobs, Due::InProgress);
        let publications: Vec<Copy> = self.plan(&work).publications().cloned().collect();
        let end = settle::end();
        if let Err(error) = self.publish_all((&sides.source, destination), publications, &mut work, end).await
        {
            // It is remembered of each tag, and met again by the next look that is due.
            tracing::debug!(%error, "tags of Jobs that have ended are not set");
        }
        self.learn(request, destination).await;
        self.memory.observed = Some((work.observed_at, work.observed));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use imgop_core::api::conditions::reasons;
    use imgop_core::copy::{Observed, ObservedTag, Seen};
    use imgop_registry::reference::Digest;

    use super::*;
    use crate::image::memory::{Blocked, Remembered};
    use crate::image::schedule::later;
    use crate::image::tests::fixtures::now;
    use crate::image::tests::stage::{Stage, copy_of};

    /// The source has said that it is left alone for an hour, while a Job copied `v2.13.1`.
    async fn left_alone() -> (Stage, Remembered) {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING_WITH_RETRY);
        let copy = copy_of("v2.13.1", "{}");
        stage.has_job(&copy);
        let there = Seen::Present(copy.digest.clone());
        let tag =
            ObservedTag::whole(copy.source_ref.clone(), copy.destination_tag.clone(), there, Seen::Absent);
        let observed = Observed { tags: vec![tag], ..Observed::default() };
        let memory = Remembered {
            generation: Some(1),
            next_look: Some(later(now(), Duration::from_hours(1))),
            observed: Some((now() - Duration::from_hours(2), observed)),
            started: [copy].into(),
            ..Remembered::default()
        };
        // As a Job has pushed it.
        stage.registry.hold_manifest("target", Digest::of(b"{}").as_str(), "{}");
        (stage, memory)
    }

    async fn look(stage: &Stage, memory: &mut Remembered) {
        Look { context: &stage.context, image: &stage.image, memory, now: now() }.run().await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_ends_while_the_source_is_left_alone_gets_its_tag_and_the_source_no_request() {
        let (stage, mut memory) = left_alone().await;
        look(&stage, &mut memory).await;
        assert_eq!(stage.registry.requests(), Vec::<String>::new(), "it still runs");
        assert_eq!(memory.started.len(), 1);

        stage.end_job();
        look(&stage, &mut memory).await;
        let asked = stage.registry.requests();
        assert!(asked.contains(&"PUT /v2/target/manifests/v2.13.1".to_owned()), "{asked:?}");
        assert!(asked.iter().all(|request| request.contains("/v2/target/")), "{asked:?}");
        assert_eq!((memory.published, memory.started.len()), (1, 0));
        assert_eq!(stage.api.bodies("PATCH"), Vec::<serde_json::Value>::new(), "it is left alone as before");

        look(&stage, &mut memory).await;
        assert_eq!(stage.registry.requests(), asked, "once");
    }

    #[tokio::test]
    async fn where_credentials_are_refused_nothing_is_set() {
        let (stage, mut memory) = left_alone().await;
        let until = later(now(), Duration::from_hours(1));
        memory.blocked = Some(Blocked { secrets: Vec::new(), until });
        stage.end_job();
        look(&stage, &mut memory).await;
        assert_eq!(stage.registry.requests(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_was_observed_is_kept_for_the_jobs_that_run_while_it_cannot_be_observed_anew() {
        let (stage, mut memory) = left_alone().await;
        stage.registry.refuse(401);
        memory.next_look = Some(now());
        look(&stage, &mut memory).await;
        assert!(memory.observed.is_some());
        memory.started.clear();
        (memory.next_look, memory.blocked) = (Some(now()), None);
        look(&stage, &mut memory).await;
        assert!(memory.observed.is_none(), "nobody needs it");
    }
}
