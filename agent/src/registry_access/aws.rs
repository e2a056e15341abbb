//! The agent's own AWS identity, lent to objects that say `useAwsIRSA`: only where an administrator has allowed
//! it, since whoever may create such an object reaches every repository that the agent does
//! (docs/decisions/0010-ecr-tokens.md).

use std::time::Duration;

use imgop_registry::reference::{Digest, RegistryHost};

use super::docker_config::docker_config_secret;
use super::{AccessError, AccessResolver, JobSecretError, Resolved};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Right;
use crate::cluster::secrets::EnsureError;

/// How old a token may be when a Job is given it; tokens live 12 hours.
const MAX_AGE_FOR_A_JOB: Duration = Duration::from_hours(6);
/// How old it may be when a recent one is wanted.
const MAX_AGE_NOW: Duration = Duration::from_mins(10);

/// Adds the agent's own credential for a field that asks for it.
pub(super) async fn add_credential(
    with: &AccessResolver<'_>,
    namespace: &str,
    field: &str,
    host: &RegistryHost,
    freshness: Freshness,
    resolved: &mut Resolved,
) -> Result<(), AccessError> {
    if !with.rights.may(Right::USE_AWS, namespace, freshness).await? {
        return Err(AccessError::AwsNotEnabled);
    }
    let max_age = if freshness == Freshness::Cached { Duration::MAX } else { MAX_AGE_NOW };
    add_token(with, field, host, max_age, resolved).await
}

/// Adds the agent's own credential for a field that asks for it, and to which an administrator lends it.
pub(super) async fn add_lent_credential(
    with: &AccessResolver<'_>,
    field: &str,
    host: &RegistryHost,
    freshness: Freshness,
    resolved: &mut Resolved,
) -> Result<(), AccessError> {
    // A Job may be given what is resolved here.
    let max_age = if freshness == Freshness::Cached { MAX_AGE_FOR_A_JOB } else { MAX_AGE_NOW };
    add_token(with, field, host, max_age, resolved).await
}

async fn add_token(
    with: &AccessResolver<'_>,
    field: &str,
    host: &RegistryHost,
    max_age: Duration,
    resolved: &mut Resolved,
) -> Result<(), AccessError> {
    let found = with.ecr.credential(host, max_age).await;
    let found =
        found.map_err(|error| AccessError::Aws { field: field.to_owned(), error: Box::new(error) })?;
    if let Some(found) = found {
        // A registry that refused a token is asked again with the next one.
        resolved.versions.tokens.push(format!("{field} {}", found.fetched_at));
        resolved.access.credential = Some(found.credential);
    }
    Ok(())
}

/// Writes the Secret that an owner's Jobs mount for a field, unless it holds a token that is young enough.
pub(super) async fn ensure_job_secret(
    with: &AccessResolver<'_>,
    owner: &Owner,
    field: &str,
    host: &RegistryHost,
) -> Result<(), JobSecretError> {
    let found = with.ecr.credential(host, MAX_AGE_FOR_A_JOB).await;
    let found = found.map_err(|error| JobSecretError::Aws(error.to_string()))?;
    let Some(found) = found else {
        return Err(JobSecretError::Aws(format!("{host} is no registry of ECR")));
    };
    let credentials = [(host.to_string(), found.credential)];
    let secret = docker_config_secret(owner, secret_name(owner, field), "imgop-aws", &credentials);
    with.secrets.ensure(&secret).await.map_err(|error| match error {
        EnsureError::Taken(name) => JobSecretError::Taken(name),
        EnsureError::Api(error) if matches!(error.cause, ApiCause::MissingRight(_)) => {
            JobSecretError::MissingRight(with.rights.how_to_grant(Right::USE_AWS, &owner.namespace))
        }
        EnsureError::Api(error) => JobSecretError::Api(error),
    })
}

/// Returns the name of the Secret with the token for one field of a spec; no two owners share one.
pub(crate) fn secret_name(owner: &Owner, field: &str) -> String {
    let what = format!("{}\n{field}", owner.uid);
    format!("imgop-aws-{}", &Digest::of(what.as_bytes()).hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry_access::tests::owner;

    #[test]
    fn each_field_of_each_owner_has_a_secret_of_its_own() {
        let names =
            ["one", "two"].map(|uid| ["source", "destination"].map(|field| secret_name(&owner(uid), field)));
        let names: std::collections::BTreeSet<String> = names.into_iter().flatten().collect();
        assert_eq!(names.len(), 4);
        assert!(names.iter().all(|name| name.len() <= 63 && name.starts_with("imgop-aws-")));
    }
}
