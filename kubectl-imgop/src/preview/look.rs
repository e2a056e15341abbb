//! Asks the registries, by the code that the agent runs too.

use imgop_core::observe::{Limits, Side, Sides, observe};
use imgop_core::plan::{Observed, Seen};
use imgop_core::registry::Registries;

use super::report::Report;
use super::targets::Target;
use crate::access::{AccessSources, Endpoint};
use crate::errors::CliError;
use crate::image_args::TlsArg;
use crate::registry_errors::{advice, explain};

/// What is needed to ask.
pub struct Looker<'a> {
    /// Connections and budgets.
    pub registries: &'a Registries,
    /// Credentials and certificates.
    pub sources: AccessSources<'a>,
    /// What a flag says of the connection to the source.
    pub source_tls: Option<TlsArg>,
    /// What a flag says of the connection to the destination.
    pub destination_tls: Option<TlsArg>,
    /// How much may be asked.
    pub limits: Limits,
}

/// What was seen.
pub struct Looked {
    /// The preview.
    pub report: Report,
    /// What to do when nothing could be checked.
    pub hints: Vec<String>,
}

/// Asks the registries about one target.
pub async fn look(target: &Target, looker: &Looker<'_>) -> Result<Looked, CliError> {
    let (request, spec) = (&target.request, &target.spec);
    let namespace = target.image.as_ref().and_then(|image| image.namespace.as_deref());
    let source = Endpoint {
        side: Side::Source,
        namespace,
        repository: &request.source,
        credentials: spec.source.credentials.as_ref(),
        tls: &spec.source.tls,
        tls_flag: looker.source_tls,
    };
    let destination = Endpoint {
        side: Side::Destination,
        namespace,
        repository: &request.destination,
        credentials: spec.destination.credentials.as_ref(),
        tls: &spec.destination.tls,
        tls_flag: looker.destination_tls,
    };
    let sides = Sides {
        source: looker.registries.repository(&request.source, &looker.sources.access(source).await?),
        destination: if target.has_destination {
            Some(
                looker
                    .registries
                    .repository(&request.destination, &looker.sources.access(destination).await?),
            )
        } else {
            None
        },
    };
    let observed = observe(&sides, request, &target.already_synced, looker.limits).await;
    let observed = observed.map_err(|error| explain(&error))?;
    let report = Report::new(target, &observed);
    let hints =
        if report.unchecked() < report.tags.len() { Vec::new() } else { hints(&sides, &observed).await };
    Ok(Looked { report, hints })
}

/// What to do when no tag at all could be checked: one of them is asked about again, because an
/// observation keeps only the words of a failure.
async fn hints(sides: &Sides, observed: &Observed) -> Vec<String> {
    let Some(tag) = observed.tags.first() else { return Vec::new() };
    let (side, asked) = match (&tag.source, &sides.destination) {
        (Seen::Unknown(_), _) | (_, None) => (Side::Source, sides.source.head(&tag.source_ref).await),
        (_, Some(client)) => (Side::Destination, client.head(&tag.destination_tag.clone().into()).await),
    };
    asked.err().map(|error| advice(side, error.repository().host(), error.reason())).unwrap_or_default()
}
