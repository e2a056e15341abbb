//! The AWS identity of this process.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;

use super::aws_http::AwsHttp;
use super::error::{EcrProblem, causes, words};
use crate::reference::EcrHost;

/// What AWS's log of calls has for sessions of a role that we assume.
const SESSION_NAME: &str = "imgop";

/// Returns AWS's own chain: environment, profile (with `role_arn`), web identity, pod identity, instance.
///
/// The region is that of STS, where roles are assumed; the environment or the profile names it, and
/// else it is the registry's. Instance metadata, which knows one too, is not asked for it: outside
/// AWS that only takes time.
pub(super) fn loader(http: &AwsHttp, host: &EcrHost) -> ConfigLoader {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(host.region().to_owned()));
    aws_config::defaults(BehaviorVersion::latest()).region(region).http_client(http.clone())
}

/// Returns the current credentials, or those of a role that their identity assumes. They are not kept.
pub(super) async fn credentials(loader: ConfigLoader, role: Option<&str>) -> Result<Credentials, EcrProblem> {
    let config = loader.load().await;
    let Some(provider) = config.credentials_provider() else { return Err(EcrProblem::NoCredentials) };
    let own = provider.provide_credentials().await.map_err(|error| match &error {
        CredentialsError::CredentialsNotLoaded(_) => EcrProblem::NoCredentials,
        _ => EcrProblem::Credentials(causes(&error)),
    })?;
    let Some(role) = role else { return Ok(own) };
    let assuming = AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&config);
    let assumed = assuming.build_from_provider(own).await.provide_credentials().await;
    assumed.map_err(|error| EcrProblem::Role { role: words(role), message: causes(&error) })
}
