//! Both sides of what is previewed or verified, as this machine reaches them.

use imgop_core::api::{Side, TlsMode};
use imgop_core::copy::Sides;
use imgop_registry::Registries;

use super::targets::{Target, WrittenBy};

use crate::cli_error::CliError;
use crate::registry::errors::ErrorContext;
use crate::registry::local_access::{AccessSources, Endpoint, Origin, Role};

/// What the destination is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is looked at, and nothing changes there.
    Look,
    /// The same, to say what would be pushed from here.
    DryPush,
    /// It is pushed to.
    Push,
}

/// Returns both sides, and what explains their errors. `tls` is how flags secure the connections to source and
/// destination.
pub async fn sides(
    registries: &Registries,
    sources: &AccessSources<'_>,
    target: &Target,
    tls: (Option<TlsMode>, Option<TlsMode>),
) -> Result<(Sides, ErrorContext), CliError> {
    sides_for(Purpose::Look, registries, sources, target, tls).await
}

/// Returns the same for a destination that may be pushed to.
pub async fn sides_for(
    purpose: Purpose,
    registries: &Registries,
    sources: &AccessSources<'_>,
    target: &Target,
    tls: (Option<TlsMode>, Option<TlsMode>),
) -> Result<(Sides, ErrorContext), CliError> {
    let source = sources.reach(endpoint(target, Side::Source, tls.0)).await?;
    let mut context = ErrorContext {
        wording: target.wording,
        source: with_role(source.origin, target.written_by, Side::Source),
        destination: Origin::default(),
        copies_here: purpose != Purpose::Look,
    };
    let source = registries.repository(&target.request.source, &source.access);
    let mut destination = None;
    if target.has_destination {
        let reached = sources.reach(endpoint(target, Side::Destination, tls.1)).await?;
        context.destination = with_role(reached.origin, target.written_by, Side::Destination);
        let (repository, access) = (&target.request.destination, &reached.access);
        destination = Some(match purpose {
            Purpose::Look | Purpose::DryPush => registries.repository(repository, access),
            Purpose::Push => registries.push_target(repository, access),
        });
    }
    Ok((Sides { source, destination }, context))
}

/// Returns where an access comes from, with what sets it: an Image of a mirror is written by that.
fn with_role(origin: Origin, by: WrittenBy, side: Side) -> Origin {
    let role = match (by, side) {
        (WrittenBy::User, _) | (WrittenBy::WorkloadMirror, Side::Destination) => origin.role,
        (WrittenBy::ImageMirror | WrittenBy::WorkloadMirror, Side::Source) => Role::MirrorSource,
        (WrittenBy::ImageMirror, Side::Destination) => Role::MirrorTarget,
    };
    Origin { role, ..origin }
}

fn endpoint(target: &Target, side: Side, tls_flag: Option<TlsMode>) -> Endpoint<'_> {
    let repository = match side {
        Side::Source => &target.request.source,
        Side::Destination => &target.request.destination,
    };
    let namespace = target.image.as_ref().and_then(|image| image.namespace.as_deref());
    Endpoint {
        side,
        namespace,
        repository,
        spec: target.spec.endpoint(side),
        tls_flag,
        is_of_cluster: target.is_of_cluster,
    }
}
