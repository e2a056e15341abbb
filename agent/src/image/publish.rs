//! What a pass does for tags whose content is at the destination already: it sets them.

use imgop_core::api::Side;
use imgop_core::copy::{Answered, Copy, CopyRequest, Plan, Publications, in_order, learn, probe, publish};
use imgop_registry::RegistryError;
use tokio::time::Instant;

use super::execute::is_running;
use super::failures::Halt;
use super::findings::State;
use super::memory::{Memory, SyncInProgress};
use super::{Access, Pass, REGISTRY_TIMEOUT};
use crate::schedule::Due;

impl Pass<'_> {
    /// Sets every tag whose content is at the destination already: because its Job has ended, or because it is
    /// found there now. Returns what remains to be done.
    pub(super) async fn publish_present(
        &self,
        access: &Access,
        plan: Plan,
        state: &mut State<'_>,
        memory: &mut Memory,
    ) -> Result<Plan, Halt> {
        let end = Instant::now() + REGISTRY_TIMEOUT;
        let (planned, probed) =
            (plan.publications().cloned().collect::<Vec<Copy>>(), memory.sync().probed.len());
        let found = self.probe(access, &plan, state, memory.sync(), end).await;
        let found = found.map_err(|error| halt(access, state.request, error))?;
        if planned.is_empty() && memory.sync().probed.len() == probed {
            return Ok(plan);
        }
        let published = self.publish(access, [planned, found].concat(), state, memory, end).await;
        published.map_err(|error| halt(access, state.request, error))?;
        Ok(state.plan())
    }

    /// Asks the destination, before Jobs are created, for what they would copy. Returns the copies whose tags can
    /// be set now.
    async fn probe(
        &self,
        access: &Access,
        plan: &Plan,
        state: &mut State<'_>,
        sync: &mut SyncInProgress,
        end: Instant,
    ) -> Result<Vec<Copy>, RegistryError> {
        let copies = if self.image.spec.suspend { Vec::new() } else { in_order(plan.copies().cloned()) };
        let room = self.room(&copies);
        let new = copies.into_iter().take(room).filter(|copy| !sync.probed.contains(copy)).collect();
        let probed = probe(access.route(state.request), new, end).await?;
        sync.probed.extend(probed.copies);
        let mut found: Vec<Copy> = probed.runs.iter().map(|run| run.copy.clone()).collect();
        for (tag, digest) in probed.seen {
            // Whether another content than was observed may be overwritten is for the plan to say.
            if state.at_destination(&tag) != Some(&digest) {
                found.retain(|copy| copy.destination_tag != tag);
            }
            state.observed.record(&tag, &digest);
        }
        state.runs.extend(probed.runs);
        Ok(found)
    }

    /// Sets tags, and notes what the destination answers. A refusal concerns all tags, but what was set is set.
    async fn publish(
        &self,
        access: &Access,
        copies: Vec<Copy>,
        state: &mut State<'_>,
        memory: &mut Memory,
        end: Instant,
    ) -> Result<(), RegistryError> {
        let route = access.route(state.request);
        let Publications { answered, failed, refusal } =
            publish(route, copies, &memory.outcomes, self.now, end).await;
        let mut contents = Vec::new();
        for answer in answered {
            state.observed.record(&answer.copy.destination_tag, &answer.digest);
            if answer.is_published() {
                self.record_published(state.request, &answer, memory.sync());
                contents.push((answer.digest, answer.manifest));
            }
        }
        for (copy, outcome) in failed {
            state.set_outcome(&copy, &outcome);
            memory.outcomes.insert(copy, outcome);
        }
        let pulls = learn(route, contents, self.namespace(), &self.images.blobs).await;
        memory.cache.pulls_per_copy = pulls.or(memory.cache.pulls_per_copy);
        refusal.map_or(Ok(()), Err)
    }

    /// Counts a tag that the destination shows as planned. One that it merely shows may be another program's;
    /// one that was put was put with the credentials of this Image.
    fn record_published(&self, request: &CopyRequest, answer: &Answered, sync: &mut SyncInProgress) {
        sync.published = sync.published.saturating_add(1);
        if answer.is_put {
            let precedence = &self.images.precedence;
            precedence.record_write(self.uid(), &request.destination, &answer.copy.destination_tag);
        }
    }

    /// Sets the tags of Jobs that have ended while a registry is in back-off, which may be an hour: the tag gets
    /// what was pushed, as it was observed when the copy began. No copy is begun, the source is asked nothing,
    /// and the status goes on to tell why.
    pub(super) async fn publish_finished_jobs(
        &self,
        request: &CopyRequest,
        memory: &mut Memory,
    ) -> Result<(), Halt> {
        let sync = memory.sync.as_ref().filter(|sync| !sync.started.is_empty());
        let Some(observed) = sync.and_then(|sync| sync.observed.clone()) else { return Ok(()) };
        if memory.blocked.is_some() {
            return Ok(());
        }
        let jobs = self.jobs(request, memory).await?;
        let runs = jobs.runs(&memory.outcomes);
        if memory.sync().started.iter().all(|copy| is_running(&runs, copy)) {
            return Ok(());
        }
        match self.may_work(Due::InProgress).await {
            Ok(()) => {}
            Err(Halt::Api(error)) => return Err(error.into()),
            Err(_) => return Ok(()),
        }
        // What is wrong with a Secret is reported by the next sync that is due.
        let Ok(access) = self.access(request, Due::InProgress, memory).await else { return Ok(()) };
        let mut state = self.state(request, observed, &jobs, Due::InProgress, memory);
        let publications = state.plan().publications().cloned().collect();
        let end = Instant::now() + REGISTRY_TIMEOUT;
        if let Err(error) = self.publish(&access, publications, &mut state, memory, end).await {
            // It is remembered of each tag, and met again by the next sync that is due.
            tracing::debug!(%error, "tags of Jobs that have ended are not set");
        }
        memory.sync().observed = Some((state.observed_at, state.observed));
        Ok(())
    }
}

/// Returns the end of a pass that a registry ends. An index that is made is read from the source before it is
/// written.
fn halt(access: &Access, request: &CopyRequest, error: RegistryError) -> Halt {
    let is_sources = error.repository() == &request.source && request.source != request.destination;
    let side = if is_sources { Side::Source } else { Side::Destination };
    Halt::Registry { side, error, secrets: access.secrets.clone() }
}
