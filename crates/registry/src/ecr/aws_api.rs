//! ECR's API as this process reaches it: its address, our identity, and the tries of a call.

use std::time::Duration;

use aws_credential_types::Credentials;
use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::Url;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::aws_http::AwsHttp;
use super::call::{Call, CallError};
use super::chain;
use super::error::{EcrProblem, root_cause};
use super::tokens::EcrSettings;
use crate::reference::{EcrHost, RegistryHost};

/// Retries of one call after a transient failure.
const RETRIES: usize = 2;
/// The wait before the first retry; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// ECR's API.
#[derive(Debug)]
pub(super) struct AwsApi {
    settings: EcrSettings,
    http: Mutex<Option<AwsHttp>>,
}

/// A few calls with the same credentials, which are not kept.
pub(super) struct Session<'a> {
    api: &'a AwsApi,
    http: AwsHttp,
    url: Url,
    ecr: &'a EcrHost,
    credentials: Credentials,
}

impl AwsApi {
    /// Installs ring for TLS if the process has chosen no provider.
    pub(super) fn new(settings: EcrSettings) -> Self {
        // An error means that the process has a provider, which serves as well. Without one reqwest panics.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { settings, http: Mutex::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.now)()
    }

    /// Begins calls for a registry, with our identity or with a role that it assumes.
    pub(super) async fn session<'a>(
        &'a self,
        ecr: &'a EcrHost,
        role: Option<&str>,
    ) -> Result<Session<'a>, EcrProblem> {
        let (http, url) = (self.http()?, self.url(ecr)?);
        let loader = (self.settings.chain)(chain::loader(&http, ecr));
        // At level TRACE, AWS's crates log whole answers, and those of STS hold secrets.
        // Their future is large, and seldom run.
        let credentials = chain::credentials(loader, role).with_subscriber(NoSubscriber::default());
        let credentials = Box::pin(credentials).await?;
        Ok(Session { api: self, http, url, ecr, credentials })
    }

    /// Returns the HTTP client, which is built on first use: programs without ECR need no certificates.
    fn http(&self) -> Result<AwsHttp, EcrProblem> {
        let mut known = self.http.lock();
        if let Some(http) = &*known {
            return Ok(http.clone());
        }
        let http = AwsHttp::new(&self.settings.user_agent, self.settings.system_proxy)
            .map_err(|error| EcrProblem::Settings(root_cause(&error)))?;
        *known = Some(http.clone());
        Ok(http)
    }

    fn url(&self, ecr: &EcrHost) -> Result<Url, EcrProblem> {
        let usual = format!("https://{}/", ecr.api_host());
        let text = self.settings.endpoint.as_deref().unwrap_or(&usual);
        let url: Url =
            text.parse().map_err(|_| EcrProblem::Settings("the endpoint of ECR is no address".to_owned()))?;
        let name = url.host_str().unwrap_or_default();
        let is_here = name.parse::<RegistryHost>().is_ok_and(|host| host.is_loopback());
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_here => Ok(url),
            _ => Err(EcrProblem::Settings("the endpoint of ECR is not HTTPS".to_owned())),
        }
    }
}

impl Session<'_> {
    /// Asks ECR, again after transient failures.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Bytes, CallError> {
        let backoff = ExponentialBuilder::default().with_min_delay(FIRST_BACKOFF).with_max_times(RETRIES);
        let send = async || {
            let (credentials, now) = (self.credentials.clone(), self.api.now());
            call.send(&self.http, &self.url, self.ecr, credentials, now).await
        };
        // Their future is large too.
        Box::pin(send.retry(backoff).when(CallError::is_transient)).await
    }

    /// Returns that the answer is not one of ECR.
    pub(super) fn protocol_error(&self) -> EcrProblem {
        EcrProblem::Protocol { api: self.url.host_str().unwrap_or_default().to_owned() }
    }
}
