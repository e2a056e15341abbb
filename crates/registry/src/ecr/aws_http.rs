//! HTTP for AWS's crates: reqwest with our TLS, so that no second TLS library comes in.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response, Url};

use super::error::root_cause;

/// Responses of STS, of the pod identity agent and of ECR have a few kilobytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// One request and its response, where AWS's crates set no time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends requests to AWS.
#[derive(Debug, Clone)]
pub(super) struct AwsHttp {
    /// For AWS itself, through the proxies of the environment.
    outside: Client,
    /// For plain HTTP: the metadata of this machine and its containers, which no proxy reaches.
    inside: Client,
}

impl AwsHttp {
    pub(super) fn new(user_agent: &str, system_proxy: bool) -> Result<Self, reqwest::Error> {
        let builder = || {
            // A signed request is for one host alone.
            let builder = Client::builder().user_agent(user_agent).redirect(Policy::none()).referer(false);
            builder.retry(reqwest::retry::never()).connect_timeout(CONNECT_TIMEOUT)
        };
        let outside = if system_proxy { builder() } else { builder().no_proxy() };
        Ok(Self { outside: outside.build()?, inside: builder().no_proxy().tls_certs_only([]).build()? })
    }

    pub(super) fn client(&self, url: &Url) -> &Client {
        if url.scheme() == "https" { &self.outside } else { &self.inside }
    }
}

impl HttpClient for AwsHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let times = settings.connect_timeout().zip(settings.read_timeout());
        let timeout = times.map_or(DEFAULT_TIMEOUT, |(connect, read)| connect + read);
        SharedHttpConnector::new(Connector { http: self.clone(), timeout })
    }
}

/// [`AwsHttp`] with the timeout of one of AWS's clients.
#[derive(Debug)]
struct Connector {
    http: AwsHttp,
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, timeout) = (self.http.clone(), self.timeout);
        HttpConnectorFuture::new(async move { send(&http, timeout, request).await })
    }
}

async fn send(
    http: &AwsHttp,
    timeout: Duration,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| unusable(error.into()))?;
    // AWS's credential clients send small bodies that are in memory.
    let request = request.map(|body| body.bytes().map(Bytes::copy_from_slice).unwrap_or_default());
    let mut request = Request::try_from(request).map_err(|error| unusable(error.into()))?;
    *request.timeout_mut() = Some(timeout);
    let client = http.client(request.url());
    let response = client.execute(request).await.map_err(failed)?;
    let status = response.status();
    let mut answer = http::Response::builder().status(status);
    for (name, value) in response.headers() {
        answer = answer.header(name, value);
    }
    let body = whole_body(response).await.map_err(failed)?;
    let answer = answer.body(SdkBody::from(body)).map_err(|error| unusable(error.into()))?;
    HttpResponse::try_from(answer).map_err(|error| unusable(error.into()))
}

/// Returns the body of a response; what is too long for one of AWS is cut, and then no longer readable.
pub(super) async fn whole_body(mut response: Response) -> Result<Bytes, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_RESPONSE_BYTES {
            body.truncate(MAX_RESPONSE_BYTES);
            break;
        }
    }
    Ok(body.into())
}

/// Returns the error without its URL, which may hold a query.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    let text = root_cause(&error);
    if error.is_timeout() { ConnectorError::timeout(text.into()) } else { ConnectorError::io(text.into()) }
}
