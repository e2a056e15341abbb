//! Asks the registries, by the code that the agent runs too.

use std::pin::pin;
use std::time::Duration;

use imgop_core::api::Side;
use imgop_core::api::{Image, TlsMode};
use imgop_core::copy::{Known, Limits, ObserveError, Sides, observe};
use imgop_core::copy::{Observed, Seen, TagState};
use imgop_core::selection::Version;
use imgop_registry::Registries;
use tokio::time::timeout;

use super::absent;
use super::report::Report;
use super::targets::Target;
use crate::cli_error::CliError;
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::output::wording::Wording;
use crate::registry::errors::explain;
use crate::registry::local_access::{AccessSources, Endpoint};

/// How long nothing may be printed on a terminal, and how long the other Images may take.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);

/// What is needed to ask.
pub struct Inspector<'a> {
    /// Connections and budgets.
    pub registries: &'a Registries,
    /// Credentials and certificates.
    pub sources: AccessSources<'a>,
    /// What a flag says of the connection to the source.
    pub source_tls: Option<TlsMode>,
    /// What a flag says of the connection to the destination.
    pub destination_tls: Option<TlsMode>,
    /// How much may be asked.
    pub limits: Limits,
}

/// What was seen.
pub struct Inspected {
    /// The preview.
    pub report: Report,
    /// Why no tag at all could be checked, or that the one tag that was asked for is not there, and
    /// what to do about it.
    pub failure: Option<CliError>,
    /// That a pattern means no tag, and which ones are near. Tags that match may yet come.
    pub no_match: Option<CliError>,
}

/// Asks the registries about one target. What the source has is shown also when the destination
/// refuses to answer.
pub async fn inspect(target: &Target, inspector: &Inspector<'_>) -> Result<Inspected, CliError> {
    let sides = inspector.sides(target).await?;
    let observing = observe(&sides, &target.request, &target.known, inspector.limits);
    let wording = target.wording();
    let (observed, mut failure) = match with_sign_of_life(inspector.sources.ui, target, observing).await {
        Ok(observed) => {
            let failure = failure(&sides, &observed, wording).await;
            (observed, failure)
        }
        Err(error @ ObserveError::Registry { side: Side::Destination, .. }) => {
            let observed = without_destination(target, inspector, &sides, &error).await?;
            (observed, Some(explain(&error, wording)))
        }
        Err(error) => return Err(explain(&error, wording)),
    };
    let mut no_match = None;
    if is_nothing_there(&observed) {
        let nothing = nothing_there(target, &sides, &observed).await;
        *(if target.request.version.is_selector() { &mut no_match } else { &mut failure }) = Some(nothing);
    }
    if has_no_platform(&observed) {
        let (source, platforms) = (&target.request.source, &target.request.platforms);
        let text = format!("no tag of {source} that is meant is there for {platforms}");
        failure.get_or_insert(CliError::failed(text));
    }
    let mut report = Report::new(target, &observed);
    if report.has_work() {
        report.leave(target, &inspector.others(target).await);
    }
    Ok(Inspected { report, failure, no_match })
}

/// Whether the source has nothing of what was asked for. A tag that is too young is there.
fn is_nothing_there(observed: &Observed) -> bool {
    observed.waiting.is_empty() && observed.tags.iter().all(|tag| tag.source == Seen::Absent)
}

/// Whether the source has what was asked for, but none of it for a wanted platform.
fn has_no_platform(observed: &Observed) -> bool {
    let mut tags = observed.tags.iter().filter(|tag| tag.referrer_of.is_none()).peekable();
    tags.peek().is_some() && tags.all(|tag| tag.state() == TagState::PlatformNotFound)
}

/// Says that the source has nothing of what was asked for, and what it has instead.
async fn nothing_there(target: &Target, sides: &Sides, observed: &Observed) -> CliError {
    let (request, wording) = (&target.request, target.wording());
    let nothing = CliError::failed(absent::message(request));
    if matches!(request.version, Version::Digest(_)) {
        return nothing;
    }
    match sides.source.tags().await {
        Ok(tags) => absent::hints(request, &tags, &observed.excluded, wording)
            .into_iter()
            .fold(nothing, CliError::hinted),
        // There is no such repository, for instance.
        Err(error) => explain(&ObserveError::Registry { side: Side::Source, error }, wording),
    }
}

impl Inspector<'_> {
    /// The Images of the target's namespace, as far as they can be had.
    async fn others(&self, target: &Target) -> Vec<Image> {
        let (Some(name), Ok(cluster)) = (&target.image, &self.sources.cluster) else { return Vec::new() };
        let there = cluster.in_namespace(name.namespace.as_deref());
        match timeout(SILENCE_LIMIT, there.list(Erased::<Image>::REF, false, None)).await {
            Ok(Ok(list)) => list.iter().filter_map(|found| read(&found.object).ok()).collect(),
            // Without a cluster, or the right to list there, the preview shows what the registries answer.
            _ => Vec::new(),
        }
    }

    async fn sides(&self, target: &Target) -> Result<Sides, CliError> {
        let (request, spec) = (&target.request, &target.spec);
        let namespace = target.image.as_ref().and_then(|image| image.namespace.as_deref());
        let source = Endpoint {
            side: Side::Source,
            namespace,
            repository: &request.source,
            spec: spec.endpoint(Side::Source),
            tls_flag: self.source_tls,
        };
        let source = self.registries.repository(&request.source, &self.sources.access(source).await?);
        if !target.has_destination {
            return Ok(Sides { source, destination: None });
        }
        let destination = Endpoint {
            side: Side::Destination,
            namespace,
            repository: &request.destination,
            spec: spec.endpoint(Side::Destination),
            tls_flag: self.destination_tls,
        };
        let access = self.sources.access(destination).await?;
        Ok(Sides { source, destination: Some(self.registries.repository(&request.destination, &access)) })
    }
}

/// What the source alone says. The destination's refusal stands at each tag that it has.
async fn without_destination(
    target: &Target,
    inspector: &Inspector<'_>,
    sides: &Sides,
    refusal: &ObserveError,
) -> Result<Observed, CliError> {
    let source_only = Sides { destination: None, ..sides.clone() };
    // Which tags were copied before says nothing without the destination's word that they are there.
    let observed = observe(&source_only, &target.request, &Known::default(), inspector.limits).await;
    let mut observed = observed.map_err(|error| explain(&error, target.wording()))?;
    for tag in &mut observed.tags {
        tag.destination = Seen::Unknown(refusal.to_string());
    }
    Ok(observed)
}

/// Why no tag at all could be checked, if so. One of them is asked about again, because an
/// observation keeps only the words of a failure.
async fn failure(sides: &Sides, observed: &Observed, wording: Wording) -> Option<CliError> {
    let is_unknown = |seen: &Seen| matches!(seen, Seen::Unknown(_));
    if !observed.tags.iter().all(|tag| is_unknown(&tag.source) || is_unknown(&tag.destination)) {
        return None;
    }
    let tag = observed.tags.first()?;
    let (side, asked) = match (&tag.source, &sides.destination) {
        (Seen::Unknown(_), _) | (_, None) => (Side::Source, sides.source.head(&tag.source_ref).await),
        (_, Some(client)) => (Side::Destination, client.head(&tag.destination_tag.clone().into()).await),
    };
    asked.err().map(|error| explain(&ObserveError::Registry { side, error }, wording))
}

/// Says that something is going on when it takes long. Only on a terminal: in a log it is noise.
async fn with_sign_of_life<T>(ui: Ui, target: &Target, observing: impl Future<Output = T>) -> T {
    let mut observing = pin!(observing);
    if let Ok(done) = timeout(SILENCE_LIMIT, observing.as_mut()).await {
        return done;
    }
    ui.progress(&format!("still asking about {} …", target.request.source));
    observing.await
}
