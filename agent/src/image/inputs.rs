//! What a pass reads: rights, and what both registries answer.

use std::collections::BTreeSet;
use std::time::Duration;

use imgop_core::api::{Engine, Side, TagFailure};
use imgop_core::copy::{
    AsksForRepository, CopyRequest, Known, Limits, ObserveError, Observed, ObservedTag, Sides, TagState,
    observe,
};
use imgop_core::reset::Reset;
use imgop_core::selection::Version;
use imgop_core::time::{clamp_ahead, saturating_add};
use imgop_registry::reference::Tag;
use imgop_registry::{Reason, RegistryError};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::timeout;

use super::failures::Halt;
use super::job::{engine, max_parts};
use super::memory::Memory;
use super::pass_state::observation_ttl;
use super::{Access, Pass, REGISTRY_TIMEOUT, SHORT_INTERVAL};
use crate::cluster::Freshness;
use crate::cluster::rights::Right;
use crate::controller::READY_WITHOUT_SOME_AFTER;
use imgop_core::schedule::Due;

impl Pass<'_> {
    /// Invalidates what was remembered, before anything can fail: the next pass must not take it for fresh.
    pub(super) fn invalidate(&self, due: Due, memory: &mut Memory) {
        let generation = self.image.metadata.generation;
        if due.is_asked_for() || memory.generation != generation {
            memory.invalidate();
            memory.generation = generation;
        }
        match due {
            // After a restart alone the destination is trusted, or it would cost a pull for each tag.
            Due::SpecChanged => memory.invalidate_contents(),
            Due::Requested => memory.schedule.last_request = Some(self.now),
            Due::InProgress | Due::Scheduled => {}
        }
    }

    /// Returns an error unless the agent may copy for the Image now. The API server is asked before any
    /// registry, or a tenant could make the agent work where no administrator allowed it.
    pub(super) async fn may_work(&self, due: Due) -> Result<(), Halt> {
        let agent = self.agent();
        // A namespace that cannot be watched must not stop all others, so this has an end.
        let is_early = self.now < saturating_add(agent.started, READY_WITHOUT_SOME_AFTER);
        let are_known = self.images.conflicts.is_known() && self.images.claims.are_known();
        if is_early && !are_known {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let freshness = if due.is_asked_for() { Freshness::Now } else { Freshness::Cached };
        let rights = if self.names_a_secret() { &Right::FOR_JOBS_WITH_SECRETS[..] } else { &Right::FOR_JOBS };
        match agent.rights.missing(rights, self.namespace(), freshness).await? {
            None => Ok(()),
            Some(right) => Err(Halt::MissingRight(right)),
        }
    }

    fn names_a_secret(&self) -> bool {
        [Side::Source, Side::Destination].into_iter().any(|side| {
            let endpoint = self.image.spec.endpoint(side);
            endpoint.credentials.is_some() || endpoint.tls.ca_secret_name.is_some()
        })
    }

    /// Returns what both registries answer: asked anew when a sync begins, remembered while its Jobs run, but
    /// no longer than a period, so that one slow tag does not hide what happens to the others.
    pub(super) async fn observe(
        &self,
        access: &Access,
        request: &CopyRequest,
        due: Due,
        memory: &mut Memory,
    ) -> Result<(Timestamp, Observed), Halt> {
        let ttl = observation_ttl(request, self.now);
        let before = memory.sync().observed.take();
        let is_fresh = |observed: &(Timestamp, Observed)| self.now < saturating_add(observed.0, ttl);
        if due == Due::InProgress
            && let Some(observed) = before.clone().filter(is_fresh)
        {
            memory.blocked = None;
            return Ok(observed);
        }
        // Whoever requests a sync wants to know what is there now, on both sides.
        if due == Due::Requested {
            access.source.invalidate_tag_lists();
            access.destination.invalidate_tag_lists();
        }
        let known = Known { read_ahead: access.read_ahead.clone(), ..self.known(request, due, memory) };
        // A list that takes too long ends with the name of its setting.
        let limit = longest_observation(self.agent().config.registry_list_timeout);
        let config = &self.agent().config;
        let limits = Limits {
            max_tags: config.max_tags_per_image.into(),
            max_parts: max_parts(&self.image.spec, config),
            ..Limits::default()
        };
        match observe_within(limit, access, request, &known, limits).await {
            Ok(observed) => {
                memory.blocked = None;
                // What was put before has been seen by now.
                memory.cache().lost.retain(|_, until| *until > self.now);
                Ok((self.now, observed))
            }
            Err(error) => {
                if memory.has_started() {
                    // The Jobs that run were created for this, and it is enough to set their tags.
                    memory.sync().observed = before;
                }
                Err(Halt::Observe { error, with: access.asked_with() })
            }
        }
    }

    /// Returns the failures in the status, but for what this pass resets. None waits longer than its pause, whatever the
    /// status holds.
    pub(super) fn recorded_failures(&self, memory: &Memory) -> Vec<TagFailure> {
        let mut failures = self.status().failures;
        let is_all_reset = memory.sync.as_ref().is_some_and(|sync| sync.reset_at == Some(self.now));
        let all = is_all_reset.then_some(&Reset::All);
        all.or(self.requests.reset.as_ref()).into_iter().for_each(|reset| reset.apply_to(&mut failures));
        let cooldown = self.agent().config.failure_cooldown();
        for failure in &mut failures {
            let max = cooldown.pause(failure.reason, failure.attempts);
            let next_attempt = failure.next_attempt.take();
            failure.next_attempt = next_attempt.map(|at| Time(clamp_ahead(at.0, self.now, max)));
        }
        failures
    }

    /// Returns what is known before the registries are asked.
    fn known(&self, request: &CopyRequest, due: Due, memory: &Memory) -> Known {
        let Known { mut first_seen, newest, .. } = Known::recorded(self.image, request, self.now);
        let remembered = memory.known(self.now);
        first_seen.extend(remembered.first_seen);
        let already_synced = self.synced_before(request, memory);
        let asks_for_repository = match engine(&self.image.spec, &self.agent().config) {
            Engine::Native => AsksForRepository::IfAbsent,
            Engine::Skopeo => AsksForRepository::No,
        };
        let mut known = Known { already_synced, first_seen, asks_for_repository, ..remembered };
        if !memory.has_answers && !due.is_asked_for() {
            known.newest = newest;
        }
        known
    }

    /// Returns the tags that mode `OnceByTag` need not compare again, as the status and this process know them.
    pub(super) fn synced_before(&self, request: &CopyRequest, memory: &Memory) -> BTreeSet<Tag> {
        let mut all = Known::recorded(self.image, request, self.now).already_synced;
        let from = request.synced_from(&self.image.spec);
        all.extend(memory.already_synced(&from).cloned());
        all
    }
}

/// Returns how long both registries may take, if a tag list may take this many seconds besides.
fn longest_observation(list_timeout: u32) -> Duration {
    REGISTRY_TIMEOUT + Duration::from_secs(list_timeout.into())
}

/// Returns what both registries answer, or the error of a source that does not exist.
async fn observe_within(
    limit: Duration,
    access: &Access,
    request: &CopyRequest,
    known: &Known,
    limits: Limits,
) -> Result<Observed, ObserveError> {
    let answer = timeout(limit, observe_existing(access, request, known, limits)).await;
    answer.unwrap_or(Err(ObserveError::TooSlow { seconds: limit.as_secs() }))
}

async fn observe_existing(
    access: &Access,
    request: &CopyRequest,
    known: &Known,
    limits: Limits,
) -> Result<Observed, ObserveError> {
    let sides = Sides { source: access.source.clone(), destination: Some(access.destination.clone()) };
    let observed = observe(&sides, request, known, limits).await?;
    match missing_repository(access, request, &observed).await {
        Some(error) => Err(ObserveError::Registry { side: Side::Source, error }),
        None => Ok(observed),
    }
}

/// Returns the error of a source that does not exist. A registry answers alike for a tag that it lacks and for a
/// repository that it lacks; only of the latter there is no list.
async fn missing_repository(
    access: &Access,
    request: &CopyRequest,
    observed: &Observed,
) -> Option<RegistryError> {
    let is_missing = |tag: &ObservedTag| tag.state() == TagState::NotFound;
    if !matches!(request.version, Version::Exact(_) | Version::Tags(_))
        || !observed.tags.iter().all(is_missing)
    {
        return None;
    }
    access.source.tags().await.err().filter(|error| *error.reason() == Reason::RepositoryNotFound)
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Mode;
    use imgop_fakes::{ScriptedRegistry, client, json};
    use imgop_registry::Allowances;

    use super::*;
    use crate::image::tests::fixtures;

    #[test]
    fn a_list_ends_by_its_own_setting_which_its_error_names_and_not_by_the_time_of_the_pass() {
        for list_timeout in [1, 300, 3600] {
            assert!(longest_observation(list_timeout) > Duration::from_secs(list_timeout.into()));
        }
    }

    #[tokio::test]
    async fn a_list_of_the_source_that_does_not_end_takes_no_longer_than_all_of_the_observation_may() {
        let registry = ScriptedRegistry::start_async(|seen| async move {
            if seen.target.contains("/tags/list") {
                std::future::pending::<()>().await;
            }
            json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)
        });
        let registry = registry.await;
        let mut request = fixtures::request(&fixtures::image(Mode::Recurrent));
        (request.source, request.destination) =
            (registry.repository("source"), registry.repository("target"));
        request.version = Version::Exact("v2.13.1".parse().unwrap());
        let access = Access {
            source: client(&request.source),
            destination: client(&request.destination),
            secrets: Vec::new(),
            credentials: String::new(),
            lent: None,
            allowances: <[Allowances; 2]>::default(),
            read_ahead: None,
        };
        let limit = Duration::from_secs(1);
        let answer = observe_within(limit, &access, &request, &Known::default(), Limits::default()).await;
        assert!(matches!(answer, Err(ObserveError::TooSlow { seconds: 1 })), "{answer:?}");
    }
}
