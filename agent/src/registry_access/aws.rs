//! The agent's own AWS identity, lent to objects that say `useAwsIRSA`: only where an administrator has allowed
//! it, since whoever may create such an object reaches every repository that the agent does
//! (docs/decisions/0010-ecr-tokens.md).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::{DOCKER_CONFIG_KEY, MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL, Side};
use imgop_registry::Credential;
use imgop_registry::ecr::EcrCredential;
use imgop_registry::reference::{Digest, RegistryHost};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use secrecy::ExposeSecret as _;

use super::{AccessError, JobSecretError, RegistryAccess, Resolved};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Right;
use crate::cluster::secrets::EnsureError;

/// How old a token may be when a Job is given it; tokens live 12 hours.
const MAX_AGE_FOR_A_JOB: Duration = Duration::from_hours(6);
/// How old it may be when a recent one is wanted.
const MAX_AGE_NOW: Duration = Duration::from_mins(10);

/// Adds the agent's own credential for a side that asks for it.
pub(super) async fn add_credential(
    with: &RegistryAccess<'_>,
    namespace: &str,
    side: Side,
    host: &RegistryHost,
    freshness: Freshness,
    resolved: &mut Resolved,
) -> Result<(), AccessError> {
    if !with.rights.may(Right::USE_AWS, namespace, freshness).await? {
        return Err(AccessError::AwsNotEnabled);
    }
    let max_age = if freshness == Freshness::Cached { Duration::MAX } else { MAX_AGE_NOW };
    let found = with.ecr.credential(host, max_age).await;
    let found = found.map_err(|error| AccessError::Aws { side, error: Box::new(error) })?;
    if let Some(found) = found {
        // A registry that refused a token is asked again with the next one.
        resolved.versions.push(format!("{side} {}", found.fetched_at));
        resolved.access.credential = Some(found.credential);
    }
    Ok(())
}

/// Writes the Secret that an owner's Jobs mount for a side, unless it holds a token that is young enough.
pub(super) async fn ensure_job_secret(
    with: &RegistryAccess<'_>,
    owner: &Owner,
    side: Side,
    host: &RegistryHost,
) -> Result<(), JobSecretError> {
    let found = with.ecr.credential(host, MAX_AGE_FOR_A_JOB).await;
    let found = found.map_err(|error| JobSecretError::Aws(error.to_string()))?;
    let Some(secret) = found.and_then(|found| job_secret(owner, side, host, &found)) else {
        return Err(JobSecretError::Aws(format!("{host} is no registry of ECR")));
    };
    with.secrets.ensure(&secret).await.map_err(|error| match error {
        EnsureError::Taken(name) => JobSecretError::Taken(name),
        EnsureError::Api(error) if matches!(error.cause, ApiCause::MissingRight(_)) => {
            JobSecretError::MissingRight(with.rights.how_to_grant(Right::USE_AWS, &owner.namespace))
        }
        EnsureError::Api(error) => JobSecretError::Api(error),
    })
}

/// Returns the name of the Secret with the token of one side; no two owners share one.
pub(crate) fn secret_name(owner: &Owner, side: Side) -> String {
    let what = format!("{}\n{side}", owner.uid);
    format!("imgop-aws-{}", &Digest::of(what.as_bytes()).hex()[..16])
}

/// Returns the token as a file that Skopeo reads: one registry and nothing else.
fn job_secret(owner: &Owner, side: Side, host: &RegistryHost, found: &EcrCredential) -> Option<Secret> {
    let Credential::Basic { username, password } = &found.credential else { return None };
    let auth = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    let config = serde_json::json!({ "auths": { host.as_str(): { "auth": auth } } });
    let labels = [
        ("app.kubernetes.io/name", "imgop-aws".to_owned()),
        ("app.kubernetes.io/part-of", "imgop".to_owned()),
        (MANAGED_BY_LABEL, MANAGED_BY.to_owned()),
        (OWNER_UID_LABEL, owner.uid.clone()),
    ];
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(owner, side)),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            owner_references: Some(vec![owner.controller_reference()]),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        data: Some(BTreeMap::from([(
            DOCKER_CONFIG_KEY.to_owned(),
            ByteString(config.to_string().into_bytes()),
        )])),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use imgop_registry::DockerConfig;

    use super::*;
    use crate::registry_access::tests::owner;

    #[test]
    fn the_secret_of_a_job_holds_one_registry_and_goes_with_its_owner() {
        let host: RegistryHost = "111111111111.dkr.ecr.eu-west-3.amazonaws.com".parse().unwrap();
        let credential = Credential::Basic { username: "AWS".into(), password: "hunter2".into() };
        let found = EcrCredential { credential, fetched_at: jiff::Timestamp::UNIX_EPOCH };
        let secret = job_secret(&owner("uid"), Side::Destination, &host, &found).unwrap();
        let config = DockerConfig::parse(&secret.data.as_ref().unwrap()[DOCKER_CONFIG_KEY].0).unwrap();
        assert!(config.credential(&host, "a/b").is_some());
        assert!(config.credential(&RegistryHost::docker_hub(), "a/b").is_none());
        assert_eq!(secret.metadata.namespace.as_deref(), Some("team-a"));
        assert_eq!(secret.metadata.owner_references.as_ref().unwrap()[0].uid, "uid");
        assert_eq!(secret.metadata.labels.as_ref().unwrap()[MANAGED_BY_LABEL], MANAGED_BY);
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn each_side_of_each_owner_has_a_secret_of_its_own() {
        let names = ["one", "two"]
            .map(|uid| [Side::Source, Side::Destination].map(|side| secret_name(&owner(uid), side)));
        let names: std::collections::BTreeSet<String> = names.into_iter().flatten().collect();
        assert_eq!(names.len(), 4);
        assert!(names.iter().all(|name| name.len() <= 63 && name.starts_with("imgop-aws-")));
    }
}
