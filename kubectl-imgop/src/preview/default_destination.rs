//! Images of the cluster and of files, with the default destination of their namespace.

use imgop_core::api::Image;
use imgop_core::default_destination::{WithDestination, as_reported};
use jiff::Timestamp;
use kube::Resource;

use super::targets::Target;
use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;

/// No registry has this name (RFC 2606): for a side that is not known yet.
pub const NOWHERE: &str = "preview.invalid/none";

/// Returns an object with the default destination of its namespace: what the user may read says which, or else the
/// object's own status.
pub async fn completed<K: WithDestination + Resource>(
    object: K,
    accesses: &RegistryAccesses<'_>,
) -> Result<K, CliError> {
    match accesses.completed(object.clone()).await {
        Ok((completed, Some(_))) => Ok(completed),
        Ok((unchanged, None)) => Ok(as_reported(unchanged)),
        Err(error) => {
            let reported = as_reported(object);
            if reported.written_destination().is_empty() { Err(error) } else { Ok(reported) }
        }
    }
}

/// Returns the target of an Image.
pub async fn target(
    image: Image,
    accesses: &RegistryAccesses<'_>,
    now: Timestamp,
) -> Result<Target, CliError> {
    let image = completed(image, accesses).await?;
    Target::of_image(image, now).map_err(|error| CliError::failed(error.to_string()))
}

/// Returns a target, unless the agent would refuse its destination.
pub async fn allowed(target: Target, accesses: &RegistryAccesses<'_>) -> Result<Target, CliError> {
    let namespace = target.image.as_ref().and_then(|image| image.namespace.as_deref());
    let refusal = if target.has_destination {
        accesses.refusal(namespace, &target.request.destination).await
    } else {
        None
    };
    refusal.map_or(Ok(target), Err)
}
