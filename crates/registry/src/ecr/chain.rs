//! The AWS identity of this process.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;

use super::aws_http::AwsHttp;
use super::error::{EcrProblem, causes};
use crate::reference::EcrHost;

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

/// Returns the current credentials. They are used once and not kept.
pub(super) async fn credentials(loader: ConfigLoader) -> Result<Credentials, EcrProblem> {
    let config = loader.load().await;
    let Some(provider) = config.credentials_provider() else { return Err(EcrProblem::NoCredentials) };
    provider.provide_credentials().await.map_err(|error| match &error {
        CredentialsError::CredentialsNotLoaded(_) => EcrProblem::NoCredentials,
        _ => EcrProblem::Credentials(causes(&error)),
    })
}
