//! What a pass does for tags whose content is at the destination already: it sets them.

use imgop_core::api::Side;
use imgop_core::copy::{Copy, CopyRequest, Outcome, Plan, Probe, Publications, in_order, learn, publish};
use imgop_registry::reference::Repository;
use imgop_registry::{Reason, RegistryError};
use tokio::time::Instant;

use super::execute::{is_running, runs};
use super::failures::Halt;
use super::job::{engine, falls_back};
use super::memory::{Memory, SyncInProgress};
use super::pass_state::PassState;
use super::{Access, Pass, REGISTRY_TIMEOUT};
use imgop_core::schedule::Due;

impl Pass<'_> {
    /// Sets every tag whose content is at the destination already: because its Job has ended, or because it is
    /// found there now. Returns what remains to be done.
    pub(super) async fn publish_present(
        &self,
        access: &Access,
        state: &mut PassState<'_>,
        memory: &mut Memory,
    ) -> Result<Plan, Halt> {
        let begun = Instant::now();
        let end = begun + REGISTRY_TIMEOUT;
        let mut plan = state.plan();
        // What is there needs no place, and what Native copies has another one: the next copies move up.
        while begun.elapsed() < REGISTRY_TIMEOUT / 2 {
            let probed = self.probe(access, &plan, state, memory.sync(), end).await;
            if !probed.map_err(|error| halt(access, state.request, error))? {
                break;
            }
            plan = state.plan();
        }
        let publications: Vec<Copy> = plan.publications().cloned().collect();
        if publications.is_empty() {
            return Ok(plan);
        }
        let published = self.publish(access, publications, state, memory, end).await;
        published.map_err(|error| halt(access, state.request, error))?;
        Ok(state.plan())
    }

    /// Asks the destination, before Jobs are created, for what they would copy. Returns whether any of it was not asked for
    /// before.
    async fn probe(
        &self,
        access: &Access,
        plan: &Plan,
        state: &mut PassState<'_>,
        sync: &mut SyncInProgress,
        end: Instant,
    ) -> Result<bool, RegistryError> {
        let copies = if self.image.spec.suspend { Vec::new() } else { in_order(plan.copies().cloned()) };
        let with_room = self.with_room(&copies, &sync.by_native).into_iter();
        let new: Vec<Copy> = with_room.filter(|copy| !sync.is_probed(copy)).collect();
        if new.is_empty() {
            return Ok(false);
        }
        let probe = Probe {
            route: access.route(state.request),
            engine: engine(&self.image.spec, &self.agent().config),
            // What Jobs of this sync have pushed may be the content of another tag.
            destination_is_new: state.observed.destination_is_new && state.runs.is_empty(),
            end,
        };
        let probed = probe.of(new.clone()).await?;
        // Where nothing is answered in time, Jobs do not wait for it.
        sync.probed.extend(if probed.copies.is_empty() { new } else { probed.copies });
        for (tag, digest) in &probed.seen {
            state.observed.record(tag, digest);
        }
        for (tag, made_of) in probed.in_parts {
            let mut observed = state.observed.tags.iter().filter(|observed| observed.destination_tag == tag);
            let content = observed.find_map(|observed| observed.source.digest());
            sync.in_parts.extend(content.map(|content| (content.clone(), made_of)));
        }
        for copy in probed.not_copied {
            if falls_back(&self.image.spec, &self.agent().config) {
                sync.by_native.insert(copy.digest);
            } else if copy.attempt == 1 {
                // Otherwise Skopeo has said so, and its pauses hold.
                sync.not_copied.insert(copy.digest);
            }
        }
        sync.note_how(&mut state.observed, self.image.spec.engine.into());
        state.runs.extend(probed.runs);
        Ok(true)
    }

    /// Sets tags, and notes what the destination answers. A refusal concerns all tags, but what was set is set.
    async fn publish(
        &self,
        access: &Access,
        copies: Vec<Copy>,
        state: &mut PassState<'_>,
        memory: &mut Memory,
        end: Instant,
    ) -> Result<(), RegistryError> {
        let route = access.route(state.request);
        let record_write = |copy: &Copy| {
            let (conflicts, destination) = (&self.images.conflicts, &state.request.destination);
            conflicts.record_write(self.uid(), destination, &copy.destination_tag);
        };
        let begun = std::mem::take(&mut state.begun);
        let is_new = |copy: &Copy| begun.contains(copy);
        let published = publish(route, copies, &memory.outcomes, self.now, end, &is_new, &record_write).await;
        let Publications { answered, failed, refusal } = published;
        let mut contents = Vec::new();
        for answer in answered {
            state.observed.record(&answer.copy.destination_tag, &answer.digest);
            if answer.is_published() {
                if state.disputed.contains(&answer.copy.destination_tag) {
                    let disputes = &self.images.conflicts.disputes;
                    disputes.record(self.uid(), &answer.copy.destination_tag, self.now);
                }
                self.images.counters.tag_put(&self.image.spec, None);
                memory.sync().pushed.remove(&answer.copy.destination_tag);
                memory.sync().published.push(answer.copy.destination_tag);
                contents.push((answer.digest, answer.manifest));
            }
        }
        for (copy, outcome) in failed {
            if let Outcome::Immutable { shows: Some(shows), .. } = &outcome {
                state.observed.record(&copy.destination_tag, shows);
            }
            self.images.counters.tag_put(&self.image.spec, Some(&outcome));
            memory.sync().pushed.remove(&copy.destination_tag);
            let outcome = state.counted(&copy, outcome);
            state.set_outcome(&copy, &outcome);
            memory.outcomes.insert(copy, outcome);
        }
        if let Some(learned) = learn(route, contents, self.namespace(), &self.images.blobs).await {
            memory.pulls_per_copy = Some(learned.manifests);
            self.images.counters.bytes_copied.inc_by(learned.new_bytes);
        }
        // Where the destination has accepted tags of this Image, it denies this one alone.
        let refusal = refusal.filter(|error| {
            *error.reason() != Reason::Forbidden || !self.has_written_to(&state.request.destination)
        });
        refusal.map_or(Ok(()), Err)
    }

    /// Returns whether this process has put tags of the Image there, or an earlier one has by the history.
    fn has_written_to(&self, destination: &Repository) -> bool {
        let by_this_one = self.images.conflicts.written_to(self.uid());
        by_this_one.is_some_and(|to| to.is_same_place(destination))
            || self.status().history.iter().any(|sync| sync.copied.is_some_and(|copied| copied > 0))
    }

    /// Sets the tags of Jobs that have ended while no sync is due: a registry may be in back-off, for an hour.
    /// The tag gets what was pushed, as it was observed when the copy began. No copy is begun, the source is
    /// asked nothing, and the status still names the reason.
    pub(super) async fn publish_finished_jobs(
        &self,
        request: &CopyRequest,
        memory: &mut Memory,
    ) -> Result<(), Halt> {
        if !memory.has_started() {
            return Ok(());
        }
        let jobs = self.give_up_stuck_jobs(request, memory).await?;
        if memory.blocked.is_some() {
            return Ok(());
        }
        let runs = runs(&jobs, memory);
        if memory.sync().started.iter().all(|copy| is_running(&runs, copy)) {
            return Ok(());
        }
        let Some(observed) = memory.sync().observed.clone() else {
            // Their sync has ended: the next one finds what they pushed.
            self.forget_ended(&runs, &jobs, memory.sync());
            return Ok(());
        };
        match self.may_work(Due::InProgress).await {
            Ok(()) => {}
            Err(Halt::Api(error)) => return Err(error.into()),
            Err(_) => return Ok(()),
        }
        // What is wrong with a Secret is reported by the next sync that is due.
        let Ok(access) = self.access(request, Due::InProgress, memory).await else { return Ok(()) };
        self.record_vanished_jobs(&jobs, memory);
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
    Halt::Registry { side, error, with: access.asked_with() }
}
