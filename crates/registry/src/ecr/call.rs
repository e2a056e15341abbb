//! One signed request to ECR's API.
//!
//! Sources: Amazon ECR API Reference; IAM User Guide, "AWS Signature Version 4 for API requests".

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode, Url};
use serde::Deserialize;

use super::aws_http::{AwsHttp, whole_body};
use super::error::{EcrProblem, root_cause, words};
use crate::reference::EcrHost;

/// The service that the signature is for, and what the full name of each of its operations begins with.
const PRIVATE: (&str, &str) = ("ecr", "AmazonEC2ContainerRegistry_V20150921");
const PUBLIC: (&str, &str) = ("ecr-public", "SpencerFrontendService");
const TIMEOUT: Duration = Duration::from_secs(15);

/// What is asked of ECR's API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// `CreateRepository`
    pub(super) operation: &'a str,
    /// Its parameters, as JSON.
    pub(super) body: &'a str,
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// AWS answers, and refuses.
    Refused(Refusal),
    /// AWS was not asked, or did not answer.
    Problem(EcrProblem),
}

/// A refusal of AWS (awsJson1.1: `__type` and `message`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// `RepositoryNotFoundException`; empty where none is given.
    pub(super) code: String,
    /// The code and AWS's words, for people.
    pub(super) message: String,
}

impl From<CallError> for EcrProblem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(Refusal { status, message, .. }) => Self::Refused { status, message },
            CallError::Problem(problem) => problem,
        }
    }
}

impl From<EcrProblem> for CallError {
    fn from(problem: EcrProblem) -> Self {
        Self::Problem(problem)
    }
}

impl CallError {
    /// Whether the same request may succeed soon.
    pub(super) fn is_transient(&self) -> bool {
        EcrProblem::from(self.clone()).is_transient()
    }

    /// Returns the code of AWS's refusal; none if that is not what it is.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            Self::Problem(_) => None,
        }
    }
}

impl Call<'_> {
    /// Asks ECR; `api` is the URL of its API in the region of the host. Returns the body of the answer.
    pub(super) async fn send(
        self,
        http: &AwsHttp,
        api: &Url,
        host: &EcrHost,
        credentials: Credentials,
        now: Timestamp,
    ) -> Result<Bytes, CallError> {
        let name = api.host_str().unwrap_or_default();
        let request = self.signed(api, host, credentials, now)?;
        let failed = |error: reqwest::Error| EcrProblem::Unreachable {
            api: name.to_owned(),
            message: root_cause(&error.without_url()),
        };
        let response = http.client(api).execute(request).await.map_err(failed)?;
        let status = response.status();
        let body = whole_body(response).await.map_err(failed)?;
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(CallError::Refused(Refusal::read(status, &body)))
        }
    }

    /// Returns the request, signed for this region and for nothing but ECR.
    fn signed(
        self,
        api: &Url,
        host: &EcrHost,
        credentials: Credentials,
        now: Timestamp,
    ) -> Result<Request, EcrProblem> {
        let unusable = |error: &dyn std::fmt::Display| EcrProblem::Settings(words(&error.to_string()));
        let (service, prefix) = if host.is_public() { PUBLIC } else { PRIVATE };
        let target = format!("{prefix}.{}", self.operation);
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(host.region())
            .name(service)
            .time(SystemTime::from(now))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unusable(&error))?
            .into();
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let body = SignableBody::Bytes(self.body.as_bytes());
        let signable = SignableRequest::new("POST", api.as_str(), headers.into_iter(), body)
            .map_err(|error| unusable(&error))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| unusable(&error))?.into_parts();
        let mut request = Request::new(Method::POST, api.clone());
        *request.timeout_mut() = Some(TIMEOUT);
        *request.body_mut() = Some(self.body.to_owned().into());
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unusable(&error))?;
            let mut value = HeaderValue::from_str(value).map_err(|error| unusable(&error))?;
            value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

impl Refusal {
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Answer {
            #[serde(rename = "__type")]
            kind: String,
            #[serde(alias = "Message")]
            message: String,
        }
        let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
        // `com.amazonaws.ecr#ServerException` is the long form of a code.
        let code = answer.kind.rsplit('#').next().unwrap_or_default();
        let message = match (code, answer.message.as_str()) {
            ("", "") => "no reason is given".to_owned(),
            (code, "") => words(code),
            (code, message) => words(&format!("{code}: {message}")),
        };
        Self { status: status.as_u16(), code: code.to_owned(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_reported_in_the_words_of_aws() {
        let shown = |status, body: &[u8]| {
            EcrProblem::from(CallError::Refused(Refusal::read(status, body))).to_string()
        };
        let body = br#"{"__type":"com.amazonaws.ecr#AccessDeniedException","Message":"User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *"}"#;
        insta::assert_snapshot!(shown(StatusCode::BAD_REQUEST, body), @"AWS gives no token (HTTP 400): AccessDeniedException: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *");
        insta::assert_snapshot!(shown(StatusCode::BAD_GATEWAY, b"<html>"), @"AWS gives no token (HTTP 502): no reason is given");
    }
}
