//! Inspects both registries, by the code that the agent runs too.

use std::pin::pin;
use std::time::Duration;

use imgop_core::api::{ImageStatus, Side, TlsMode};
use imgop_core::copy::{Cooldown, Inputs, Known, Limits, ObserveError, Sides, observe, plan};
use imgop_core::copy::{Observed, ObservedTag, Seen, TagState};
use imgop_core::selection::Version;
use imgop_registry::Registries;
use imgop_registry::reference::Tag;
use tokio::time::timeout;

use super::absent;
use super::cluster_images::ClusterImages;
use super::details::Details;
use super::document::Report;
use super::sides::{Purpose, sides_for};
use super::targets::Target;
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::registry::errors::{ErrorContext, explain};
use crate::registry::local_access::AccessSources;

/// How long nothing may be printed on a terminal.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);

/// What is needed to inspect.
pub struct Inspector<'a> {
    /// Connections and limits of requests.
    pub registries: &'a Registries,
    /// Credentials and certificates.
    pub sources: AccessSources<'a>,
    /// The Images of the cluster.
    pub images: &'a ClusterImages<'a>,
    /// How a flag secures the connection to the source.
    pub source_tls: Option<TlsMode>,
    /// How a flag secures the connection to the destination.
    pub destination_tls: Option<TlsMode>,
    /// How many tags may be observed.
    pub limits: Limits,
    /// Which ages, sizes and platforms are looked up.
    pub details: Details,
}

/// What was found.
pub struct Inspected {
    /// The preview.
    pub report: Report,
    /// Why no tag at all could be checked, or that the one tag that was requested does not exist, with
    /// hints.
    pub failure: Option<CliError>,
    /// That a pattern matches no tag, with the near misses. Matching tags may appear later.
    pub no_match: Option<CliError>,
}

/// What both registries answered.
pub struct Looked {
    /// The two sides.
    pub sides: Sides,
    /// What they answered.
    pub observed: Observed,
    /// Why no tag at all could be checked, or that the one tag that was requested does not exist.
    pub failure: Option<CliError>,
    /// That a pattern matches no tag.
    pub no_match: Option<CliError>,
}

/// How both registries are looked at.
#[derive(Clone, Copy)]
pub struct Looking<'a> {
    /// Connections and limits of requests.
    pub registries: &'a Registries,
    /// Credentials and certificates.
    pub sources: &'a AccessSources<'a>,
    /// How flags secure the connections to source and destination.
    pub tls: (Option<TlsMode>, Option<TlsMode>),
    /// How many tags may be observed.
    pub limits: Limits,
    /// What the destination is asked for.
    pub purpose: Purpose,
}

/// Inspects the registries of one target. What the source has is shown even when the destination refuses
/// to answer.
pub async fn inspect(target: &Target, inspector: &Inspector<'_>) -> Result<Inspected, CliError> {
    let looking = Looking {
        registries: inspector.registries,
        sources: &inspector.sources,
        tls: (inspector.source_tls, inspector.destination_tls),
        limits: Limits { max_parts: target.spec.engine.into(), ..inspector.limits },
        purpose: Purpose::Look,
    };
    let Looked { sides, observed, failure, no_match } = Box::pin(look(target, looking)).await?;
    let mut report = inspector.report(target, &observed).await;
    report.add_details(target, &sides, inspector.details).await;
    report.failure = failure.as_ref().map(|failure| failure.message.clone());
    Ok(Inspected { report, failure, no_match })
}

/// Asks both registries of one target.
pub async fn look(target: &Target, inspector: Looking<'_>) -> Result<Looked, CliError> {
    let Looking { registries, sources, tls, limits, purpose } = inspector;
    let (sides, context) = sides_for(purpose, registries, sources, target, tls).await?;
    let observing = observe(&sides, &target.request, &target.known, limits);
    let (observed, mut failure) = match Box::pin(with_progress(sources.ui, target, observing)).await {
        Ok(observed) => {
            let failure = failure(&sides, &observed, &context).await;
            (observed, failure)
        }
        Err(error @ ObserveError::Registry { side: Side::Destination, .. }) => {
            let observed = without_destination(target, limits, &sides, &error).await;
            let observed = observed.map_err(|error| explain(&error, &context))?;
            (observed, Some(explain(&error, &context)))
        }
        Err(error) => return Err(explain(&error, &context)),
    };
    let mut no_match = None;
    if is_nothing_there(&observed) {
        let nothing = nothing_there(target, &sides, &observed, &context).await;
        *(if target.request.version.is_selector() { &mut no_match } else { &mut failure }) = Some(nothing);
    }
    if has_no_platform(&observed) {
        let (source, platforms) = (&target.request.source, &target.request.platforms);
        let text = format!("no selected tag of {source} has platform {platforms}");
        failure.get_or_insert(CliError::failed(text));
    }
    Ok(Looked { sides, observed, failure, no_match })
}

/// Returns whether the source has no selected tag. A tag that is too young exists.
fn is_nothing_there(observed: &Observed) -> bool {
    observed.waiting.is_empty() && observed.tags.iter().all(|tag| tag.source == Seen::Absent)
}

/// Returns whether the source has selected tags, but none of them has a selected platform.
fn has_no_platform(observed: &Observed) -> bool {
    let mut tags = observed.tags.iter().filter(|tag| tag.referrer_of.is_none()).peekable();
    tags.peek().is_some() && tags.all(|tag| tag.state() == TagState::PlatformNotFound)
}

/// Returns that the source has no selected tag, and what it has instead.
async fn nothing_there(
    target: &Target,
    sides: &Sides,
    observed: &Observed,
    context: &ErrorContext,
) -> CliError {
    let request = &target.request;
    let nothing = CliError::failed(absent::message(request));
    if matches!(request.version, Version::Digest(_)) {
        return nothing;
    }
    match sides.source.tags().await {
        Ok(tags) => absent::hints(request, &tags, &observed.excluded, context.wording)
            .into_iter()
            .fold(nothing, CliError::hinted),
        // The repository may not exist, for instance.
        Err(error) => explain(&ObserveError::Registry { side: Side::Source, error }, context),
    }
}

impl Inspector<'_> {
    /// Returns what the agent would do: its plan, without Jobs.
    async fn report(&self, target: &Target, observed: &Observed) -> Report {
        let open: Vec<&Tag> = observed.to_be_written().collect();
        let conflicts = self.images.conflicts(target, &open).await;
        let status = target.manifest.as_ref().and_then(|image| image.status.as_ref());
        let plan = plan(Inputs {
            request: &target.request,
            observed,
            runs: &[],
            failures: &target.failures,
            unrecorded_failures: status.map_or(0, ImageStatus::unrecorded_failures),
            conflicts: &conflicts.tags,
            // The agent's own is not known here; its status has when each tag is tried again.
            cooldown: Cooldown::MAX,
            retry_now: target.retries_now,
            reset_at: None,
            now: target.known.now,
        });
        Report::new(target, observed, &plan, &conflicts)
    }
}

/// Observes only the source. The destination's refusal is the reason why each of its tags is not checked.
async fn without_destination(
    target: &Target,
    limits: Limits,
    sides: &Sides,
    refusal: &ObserveError,
) -> Result<Observed, ObserveError> {
    let source_only = Sides { destination: None, ..sides.clone() };
    // Which tags were copied before is not used: without the destination they cannot be confirmed.
    let mut observed = observe(&source_only, &target.request, &Known::default(), limits).await?;
    for tag in &mut observed.tags {
        tag.destination = Seen::Unknown(refusal.to_string());
    }
    Ok(observed)
}

/// Returns why no tag at all could be checked, if so. One of them is requested again, because an
/// observation keeps only the message of a failure.
async fn failure(sides: &Sides, observed: &Observed, context: &ErrorContext) -> Option<CliError> {
    let is_unknown = |seen: &Seen| matches!(seen, Seen::Unknown(_));
    let is_unchecked = |tag: &ObservedTag| tag.unknown_because().is_some();
    let tag = observed.tags.first().filter(|_| observed.tags.iter().all(is_unchecked))?;
    if !is_unknown(&tag.source) && !is_unknown(&tag.destination) {
        return tag.unknown_because().map(|why| CliError::failed(context.wording.of(why)));
    }
    let (side, asked) = match (&tag.source, &sides.destination) {
        (Seen::Unknown(_), _) | (_, None) => {
            (Side::Source, sides.source.head(&tag.source_ref.asked_for()).await)
        }
        (_, Some(client)) => (Side::Destination, client.head(&tag.destination_tag.clone().into()).await),
    };
    asked.err().map(|error| explain(&ObserveError::Registry { side, error }, context))
}

/// Reports that the registries are still asked when that takes long.
async fn with_progress<T>(ui: Ui, target: &Target, observing: impl Future<Output = T>) -> T {
    let mut observing = pin!(observing);
    if let Ok(done) = timeout(SILENCE_LIMIT, observing.as_mut()).await {
        return done;
    }
    ui.progress(&format!("still waiting for {} …", target.request.source));
    observing.await
}
