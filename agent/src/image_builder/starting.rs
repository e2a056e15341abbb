//! Whether a build begins, and its beginning.

use std::time::Duration;

use imgop_core::api::{BuildReason, BuildResult, ImageBuilderStatus, PlatformStatus};
use imgop_core::build::{
    BuildContext, BuildEnd, BuildRequest, Decision, LastBuild, ObservedInputs, Occasion, Retry, Start, decide,
};
use imgop_core::readiness::Readiness;
use imgop_core::time::{jitter, saturating_add};
use imgop_registry::reference::{Digest, ManifestRef};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::halt::Halt;
use super::inputs::{MAX_WARNINGS, Preflight, RECENT};
use super::last_build::{last_build, renew_key, set_inputs};
use super::memory::Memory;
use super::spec_fields::SpecFields;
use super::status::{Ended, begin, built_parts, end, failure_of, rest};
use super::{Conclusion, Pass, SHORT_INTERVAL, TAGS_INTERVAL};
use crate::cluster::Freshness;

/// How old the answer of a registry or of git may be by which a request that waits is compared with the running build.
const PENDING_REQUEST_AGE: Duration = Duration::from_mins(1);
/// How a warning begins that a check has failed.
const PROBLEM: &str = "rebuildOn: ";

/// What was seen of the world since the last build.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not, whatever the others are")]
pub(super) struct Seen {
    /// What a build would be made from.
    inputs: ObservedInputs,
    /// Whether all of that was asked for just now.
    are_present: bool,
    /// Whether a time of the schedule has come since the last build began.
    is_scheduled: bool,
    /// Whether the last image is gone.
    is_lost: bool,
    /// Whether a Secret is another one with which the last build failed.
    has_other_secrets: bool,
    /// Why the inputs could not be checked.
    problem: Option<String>,
}

impl Pass<'_> {
    /// Returns whether the last build failed in a way that another Secret may change.
    pub(super) fn failed_for_a_secret(&self) -> bool {
        let last = self.status.history.last().filter(|_| self.status.build.is_none());
        let failure = last.and_then(|last| failure_of(last.failure.as_deref()?));
        failure.is_some_and(|failure| failure.retry() == Retry::OnSecret)
    }

    /// Looks at what is due: nothing of the world is asked where nothing is.
    pub(super) async fn seen(
        &self,
        request: &BuildRequest,
        last: Option<&LastBuild>,
        is_check: bool,
        memory: &mut Memory,
    ) -> Result<Seen, Halt> {
        let Some(last) = last else { return Ok(Seen::default()) };
        let problem = self.known_problem().filter(|_| !request.rebuild_on.is_empty());
        let mut seen = Seen { inputs: last.inputs.clone(), problem, ..Seen::default() };
        if self.failed_for_a_secret() {
            seen.has_other_secrets = self.has_other_secrets(request, memory).await?;
        }
        let is_outdated = self.is_outdated(request, last);
        if self.is_requested() && last.is_under_way() && !is_outdated {
            self.see_present_inputs(request, last, &mut seen).await?;
        }
        if !is_check || is_outdated || self.builder.spec.suspend {
            return Ok(seen);
        }
        seen.is_scheduled = self.is_scheduled(request, last);
        if !request.rebuild_on.is_empty() && !seen.are_present {
            match self.check_inputs(request, &last.inputs).await {
                Ok(inputs) => (seen.inputs, seen.problem) = (inputs, None),
                Err(Halt::Api(error)) => return Err(Halt::Api(error)),
                // The image that is there is good, and a running build goes on.
                Err(halt) => seen.problem = Some(format!("{PROBLEM}{halt}")),
            }
        }
        if last.end == Some(BuildEnd::Succeeded) {
            seen.is_lost = self.is_lost(request, memory).await;
        }
        Ok(seen)
    }

    /// Returns why the last check of the inputs failed, which holds until the next one.
    fn known_problem(&self) -> Option<String> {
        self.status.warnings.iter().find(|warning| warning.starts_with(PROBLEM)).cloned()
    }

    /// Looks at what the running build would be made from now: only if it is made from that, it is what was requested.
    async fn see_present_inputs(
        &self,
        request: &BuildRequest,
        running: &LastBuild,
        seen: &mut Seen,
    ) -> Result<(), Halt> {
        // What a request found out stays young enough for the passes that wait for the rest.
        let max_age = if self.request_token.is_some() { RECENT } else { PENDING_REQUEST_AGE };
        match self.present_inputs(request, &running.inputs, max_age).await {
            Ok(Some(inputs)) => (seen.inputs, seen.are_present) = (inputs, true),
            Ok(None) => {}
            Err(Halt::Api(error)) => return Err(Halt::Api(error)),
            // The running build goes on, and another one begins at its end.
            Err(halt) => {
                tracing::info!(kind = %self.owner.kind, name = self.owner.name, namespace = self.namespace(), error = %halt, "a request waits");
            }
        }
        Ok(())
    }

    /// Returns whether a tag no longer shows the last image: once a day each is asked for, and again at each check until
    /// they do.
    async fn is_lost(&self, request: &BuildRequest, memory: &mut Memory) -> bool {
        // A restart is no stampede: what an earlier process saw is looked up within the interval.
        let first = || saturating_add(self.agent().started, jitter(&self.owner.uid, TAGS_INTERVAL));
        let due = memory.tags_seen.map_or_else(first, |seen| saturating_add(seen, TAGS_INTERVAL));
        if self.now < due && !self.is_asked_for {
            return false;
        }
        let image = self.status.image.as_ref();
        let Some(digest) = image.and_then(|image| image.digest.parse::<Digest>().ok()) else { return false };
        if self.access(request, Freshness::Cached, memory).await.is_err() {
            return false;
        }
        for (repository, tag) in &request.destination.tags {
            let Ok(client) = self.client_of(repository).await else { return false };
            match client.head(&ManifestRef::Tag(tag.clone())).await {
                Ok(Some(found)) if found.digest == digest => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
        memory.tags_seen = Some(self.now);
        false
    }

    /// Returns whether Secrets are others than those with which the last build began.
    async fn has_other_secrets(&self, request: &BuildRequest, memory: &Memory) -> Result<bool, Halt> {
        let Ok(access) = self.access(request, Freshness::Rechecked, memory).await else { return Ok(false) };
        let before = self.status.credentials.as_ref();
        Ok(before.is_some_and(|before| *before != access.versions.digest()))
    }

    /// Returns what a decision is made from.
    pub(super) fn occasion<'o>(
        &self,
        request: &'o BuildRequest,
        last: Option<&'o LastBuild>,
        seen: &'o Seen,
    ) -> Occasion<'o> {
        Occasion {
            request,
            generation: self.generation(),
            inputs: &seen.inputs,
            are_present: seen.are_present,
            last,
            asked: self.asked(),
            is_suspended: self.builder.spec.suspend,
            is_scheduled: seen.is_scheduled,
            is_lost: seen.is_lost,
            has_other_secrets: seen.has_other_secrets,
            now: self.now,
        }
    }

    /// Begins a build. Where that cannot be now, a running one of the same spec goes on.
    pub(super) async fn start_or_go_on(
        &self,
        request: &BuildRequest,
        last: Option<&LastBuild>,
        start: &Start,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        let running = last.filter(|last| last.end.is_none() && !self.is_outdated(request, last));
        if let Some(running) = running.filter(|_| self.held(memory).is_some()) {
            return self.go_on(request, running, memory).await;
        }
        let (halt, running) = match (self.start(request, last, start, memory).await, running) {
            (Err(halt), Some(running)) if !matches!(halt, Halt::Api(_)) => (halt, running),
            (started, _) => return started,
        };
        // Whatever keeps the next one from beginning: the conditions are those of the build that runs.
        tracing::info!(kind = %self.owner.kind, name = self.owner.name, namespace = self.namespace(), error = %halt, "the next build waits");
        let wait = memory.schedule.retry_later(self.now);
        self.hold(memory, wait);
        Ok(self.still_requested(self.go_on(request, running, memory).await?))
    }

    /// Begins a build, if all that can be found out without a pod says that it may succeed.
    async fn start(
        &self,
        request: &BuildRequest,
        last: Option<&LastBuild>,
        start: &Start,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        if self.request_token.is_some() {
            memory.schedule.last_request = Some(self.now);
        }
        let preflight = self.preflight(request, last.map(|last| &last.inputs), memory).await?;
        let start = self.with_fields(self.with_changes(request, last, start, &preflight), memory);
        let kept = match last {
            Some(last) => self.kept_parts(request, last, &start, &preflight.inputs),
            None => Vec::new(),
        };
        let mut status = self.handled(self.status.clone());
        let generation = self.builder.metadata.generation;
        status = begin(status, request, &start, generation, &kept, self.now);
        set_inputs(&mut status, request, &preflight.inputs, revision(request));
        status.warnings = preflight.warnings;
        status.warnings.truncate(MAX_WARNINGS);
        // If it fails because of one of them, another one is noticed.
        status.credentials = Some(preflight.credentials);
        self.schedule_check(request, memory);
        let changes = start.changes.as_deref().map_or_else(String::new, |changes| format!(": {changes}"));
        let message = format!("build {} begins ({:?}{changes})", start.number, start.reason);
        let ended = start.replaces.map(|_| BuildResult::Superseded);
        Ok(Conclusion { ended, ..self.reported(status, Readiness::progressing(message), SHORT_INTERVAL) })
    }

    /// Returns the beginning with what is new, now that it is known.
    fn with_changes(
        &self,
        request: &BuildRequest,
        last: Option<&LastBuild>,
        start: &Start,
        preflight: &Preflight,
    ) -> Start {
        let Some(last) = last else { return start.clone() };
        let inputs = preflight.inputs.or(&last.inputs);
        let is_scheduled = start.reason == BuildReason::Schedule;
        let seen = Seen { inputs, is_scheduled, ..Seen::default() };
        match decide(&self.occasion(request, Some(last), &seen)) {
            Decision::Begin(Start { changes: changes @ Some(_), .. }) => Start { changes, ..start.clone() },
            _ => start.clone(),
        }
    }

    /// Returns the beginning with the fields of the spec that changed, if this process has seen the spec before.
    fn with_fields(&self, start: Start, memory: &mut Memory) -> Start {
        let now = SpecFields::of(&self.builder.spec);
        let before = memory.built_spec.replace(Box::new(now.clone()));
        let changed = before.and_then(|before| now.changed_since(&before));
        match (start.reason, changed, &start.changes) {
            (BuildReason::SpecChanged, Some(fields), Some(generations)) => {
                Start { changes: Some(format!("{fields} ({generations})")), ..start }
            }
            _ => start,
        }
    }

    /// Remembers the spec of the last build where it is still the present one.
    pub(super) fn remember_spec(&self, last: Option<&LastBuild>, memory: &mut Memory) {
        let is_present = last.is_some_and(|last| last.generation == self.generation());
        if is_present && memory.built_spec.is_none() {
            memory.built_spec = Some(Box::new(SpecFields::of(&self.builder.spec)));
        }
    }

    /// Returns the parts of the last build that need not be built again: they were built from the same, and are in the
    /// same repository.
    fn kept_parts(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        start: &Start,
        inputs: &ObservedInputs,
    ) -> Vec<PlatformStatus> {
        let may_be_kept = match start.reason {
            // Of these, what is new may be the tags alone, or how builds are run.
            BuildReason::SpecChanged | BuildReason::TagLost => true,
            BuildReason::Requested | BuildReason::Retry => matches!(last.end, None | Some(BuildEnd::Failed)),
            _ => false,
        };
        // Bases that the agent does not know before a pod may have moved; those that it knows are compared.
        let is_same = inputs.or(&last.inputs) == last.inputs && last.is_of(request, self.generation());
        // What only a pod finds out may be a newer commit, of which the rest would be built.
        let is_known = !matches!(request.context, BuildContext::Git { .. }) || inputs.commit.is_some();
        let is_whole = last.end == Some(BuildEnd::Succeeded);
        if may_be_kept && is_same && (is_known || is_whole) { built_parts(&self.status) } else { Vec::new() }
    }

    /// Ends the running build because a user asks for it.
    pub(super) async fn cancel(&self, token: &str, running: Option<&LastBuild>) -> Result<Conclusion, Halt> {
        let mut status = self.status.clone();
        // A request that is there too is for the next pass.
        (status.request_pending, status.last_handled_cancel_requested_at) = (false, Some(token.to_owned()));
        let Some(_) = running else {
            return Ok(Conclusion { status: Some(status), ..Conclusion::unchanged(SHORT_INTERVAL) });
        };
        self.end_all_builds().await?;
        let status = end(status, &Ended::of(BuildResult::Cancelled));
        let readiness = rest(&status);
        let ended = Some(BuildResult::Cancelled);
        Ok(Conclusion { ended, ..self.reported(status, readiness, SHORT_INTERVAL) })
    }

    /// Returns the end of a pass after which nothing is to be done: a status is written only if it has something new.
    /// `next` is when a build begins that `minInterval` holds back.
    pub(super) fn at_rest(
        &self,
        request: &BuildRequest,
        seen: &Seen,
        next: Option<Timestamp>,
        wait: Duration,
    ) -> Conclusion {
        let mut status = self.handled(self.status.clone());
        self.note_generation(request, &mut status);
        status.next_build_time = next.map(Time);
        let unset_policies = self.unset_policies(request);
        // What is of the spec may have been edited without a build.
        status.warnings.retain(|warning| ![PROBLEM, "spec."].iter().any(|of| warning.starts_with(of)));
        let of_spec = request.without_effect().into_iter().chain(unset_policies);
        let of_spec = seen.problem.clone().into_iter().chain(of_spec);
        drop(status.warnings.splice(0..0, of_spec));
        status.warnings.truncate(MAX_WARNINGS);
        let mut readiness = rest(&status);
        if status.history.last().is_some_and(|last| last.result == BuildResult::Succeeded) {
            readiness.add(self.dispute(request));
        }
        self.reported(status, readiness, wait)
    }

    /// Notes that the last build is what the spec of this generation asks for. Another version of the agent, whose keys
    /// are others, would not know it of a spec that was edited without effect, and would build it.
    fn note_generation(&self, request: &BuildRequest, status: &mut ImageBuilderStatus) {
        let last = last_build(status);
        if last.is_some_and(|last| last.is_all_of(request, self.generation())) {
            status.last_generation_seen = self.generation();
            renew_key(status, request);
        }
    }
}

/// Returns the revision that the spec names.
fn revision(request: &BuildRequest) -> Option<&str> {
    match &request.context {
        BuildContext::Git { revision, .. } => revision.as_deref(),
        _ => None,
    }
}
