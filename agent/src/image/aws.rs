//! The agent's own AWS identity, lent to Images that say `useAwsIRSA`: only where an administrator
//! has allowed it, since whoever may create such an Image reaches every repository that the agent
//! does (docs/decisions/0010-ecr-tokens.md).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::Side;
use imgop_core::api::{IMAGE_UID_LABEL, Image, MANAGED_BY, MANAGED_BY_LABEL};
use imgop_core::copy::CopyRequest;
use imgop_registry::Credential;
use imgop_registry::ecr::EcrCredential;
use imgop_registry::reference::{Digest, RegistryHost};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use secrecy::ExposeSecret as _;

use super::access::{AccessError, Resolved};
use super::jobs::JobError;
use super::pod::DOCKER_CONFIG_KEY;
use super::secrets::{Freshness, KeepError};
use crate::context::Context;

/// How old a token may be when a Job is given it; tokens live 12 hours.
const OLDEST_FOR_A_JOB: Duration = Duration::from_hours(6);
/// How old it may be when somebody wants to be sure.
const OLDEST_NOW: Duration = Duration::from_mins(10);

/// Whether a side of an Image is reached with the agent's AWS identity.
pub fn is_wanted(image: &Image, side: Side) -> bool {
    match side {
        Side::Source => image.spec.source.use_aws_irsa,
        Side::Destination => image.spec.destination.use_aws_irsa,
    }
}

/// Adds the agent's own credential for a side that asks for it.
pub async fn lend(
    context: &Context,
    image: &Image,
    side: Side,
    host: &RegistryHost,
    freshness: Freshness,
    mut resolved: Resolved,
) -> Result<Resolved, AccessError> {
    if !is_wanted(image, side) {
        return Ok(resolved);
    }
    let namespace = image.namespace().unwrap_or_default();
    let may = context.may_use_aws_in(&namespace).await;
    if !may.map_err(|error| AccessError::Rights { error: Box::new(error) })? {
        return Err(AccessError::AwsNotEnabled);
    }
    let oldest = if freshness == Freshness::Now { OLDEST_NOW } else { Duration::MAX };
    let found = context.ecr.credential(host, oldest).await;
    let found = found.map_err(|error| AccessError::Aws { side, error: Box::new(error) })?;
    if let Some(found) = found {
        // A registry that refused a token is asked again with the next one.
        resolved.secrets.push(format!("{side} {}", found.fetched_at));
        resolved.access.credential = Some(found.credential);
    }
    Ok(resolved)
}

/// Writes the Secrets that the Image's Jobs mount, unless they hold tokens that are young enough.
/// Only right before a Job is made: an Image with nothing to copy has no Secret.
pub async fn keep_job_secrets(
    context: &Context,
    image: &Image,
    request: &CopyRequest,
) -> Result<(), JobError> {
    for (side, repository) in [(Side::Source, &request.source), (Side::Destination, &request.destination)] {
        if !is_wanted(image, side) {
            continue;
        }
        let found = context.ecr.credential(repository.host(), OLDEST_FOR_A_JOB).await;
        let found = found.map_err(|error| JobError::Aws(error.to_string()))?;
        let Some(secret) = found.and_then(|found| job_secret(image, side, repository.host(), &found)) else {
            return Err(JobError::Aws(format!("{} is no registry of ECR", repository.host())));
        };
        context.secrets.keep(&secret).await.map_err(|error| match error {
            KeepError::Api(error) => JobError::Api(error),
            KeepError::Taken => JobError::SecretTaken(secret.name_any()),
            KeepError::NoRight => JobError::NotEnabled(context.how_to_enable_aws(image)),
            KeepError::NamespaceEnds => JobError::NamespaceEnds,
            KeepError::Refused(message) => JobError::Refused(message),
        })?;
    }
    Ok(())
}

/// The name of the Secret with the token of one side; no two Images share one.
pub fn secret_name(image: &Image, side: Side) -> String {
    let what = format!("{}\n{side}", image.uid().unwrap_or_default());
    format!("imgop-aws-{}", &Digest::of(what.as_bytes()).hex()[..16])
}

/// The token as a file that Skopeo reads: one registry and nothing else.
fn job_secret(image: &Image, side: Side, host: &RegistryHost, found: &EcrCredential) -> Option<Secret> {
    let Credential::Basic { username, password } = &found.credential else { return None };
    let auth = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    let config = serde_json::json!({ "auths": { host.as_str(): { "auth": auth } } });
    let labels = [
        ("app.kubernetes.io/name", "imgop-aws".to_owned()),
        ("app.kubernetes.io/part-of", "imgop".to_owned()),
        (MANAGED_BY_LABEL, MANAGED_BY.to_owned()),
        (IMAGE_UID_LABEL, image.uid().unwrap_or_default()),
    ];
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(image, side)),
            namespace: image.metadata.namespace.clone(),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            owner_references: kube::Resource::controller_owner_ref(image, &()).map(|owner| vec![owner]),
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
    use imgop_core::api::Mode;
    use imgop_registry::DockerConfig;

    use super::*;
    use crate::image::tests::fixtures::{image, now};

    #[test]
    fn the_secret_of_a_job_holds_one_registry_and_goes_with_its_image() {
        let image = image(Mode::OneShot);
        let host: RegistryHost = "111111111111.dkr.ecr.eu-west-3.amazonaws.com".parse().unwrap();
        let credential = Credential::Basic { username: "AWS".into(), password: "hunter2".into() };
        let found = EcrCredential { credential, fetched_at: now() };
        let secret = job_secret(&image, Side::Destination, &host, &found).unwrap();
        let config = DockerConfig::parse(&secret.data.as_ref().unwrap()[DOCKER_CONFIG_KEY].0).unwrap();
        assert!(config.credential(&host, "a/b").is_some());
        assert!(config.credential(&RegistryHost::docker_hub(), "a/b").is_none());
        assert_eq!(secret.namespace().as_deref(), Some("team-a"));
        assert_eq!(secret.owner_references()[0].uid, image.uid().unwrap());
        assert_eq!(secret.labels()[MANAGED_BY_LABEL], MANAGED_BY);
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn each_side_of_each_image_has_a_secret_of_its_own() {
        let (one, mut two) = (image(Mode::OneShot), image(Mode::OneShot));
        two.metadata.uid = Some("another".into());
        let names =
            [&one, &two].map(|image| [Side::Source, Side::Destination].map(|side| secret_name(image, side)));
        let names: std::collections::BTreeSet<String> = names.into_iter().flatten().collect();
        assert_eq!(names.len(), 4);
        assert!(names.iter().all(|name| name.len() <= 63 && name.starts_with("imgop-aws-")));
    }
}
