//! One request to ECR's API: `GetAuthorizationToken`.
//!
//! Sources: Amazon ECR API Reference, "`GetAuthorizationToken`", and the same of ECR Public; IAM User Guide, "AWS Signature
//! Version 4 for API requests".

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::aws_http::{AwsHttp, whole_body};
use super::error::{EcrProblem, root_cause, words};
use crate::reference::EcrHost;

/// The operation by its full name, and the service that the signature is for.
const PRIVATE: (&str, &str) = ("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", "ecr");
const PUBLIC: (&str, &str) = ("SpencerFrontendService.GetAuthorizationToken", "ecr-public");
/// No account is named: a token is good for every registry of the region that we may use.
const BODY: &str = "{}";
const TIMEOUT: Duration = Duration::from_secs(15);
/// The user name of every token.
const USERNAME: &str = "AWS";

/// The password of the user `AWS`, and when it ends.
#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) password: SecretString,
    pub(super) expires_at: Timestamp,
}

/// Fetches a token; `api` is the URL of ECR's API in the region of the host.
pub(super) async fn get(
    http: &AwsHttp,
    api: &Url,
    host: &EcrHost,
    credentials: Credentials,
    now: Timestamp,
) -> Result<Authorization, EcrProblem> {
    let name = api.host_str().unwrap_or_default().to_owned();
    let request = signed(api, host, credentials, now)?;
    let failed = |error: reqwest::Error| EcrProblem::Unreachable {
        api: name.clone(),
        message: root_cause(&error.without_url()),
    };
    let response = http.client(api).execute(request).await.map_err(failed)?;
    let status = response.status();
    let body = whole_body(response).await.map_err(failed)?;
    if status != StatusCode::OK {
        return Err(refusal(status, &body));
    }
    read(&body).ok_or(EcrProblem::Protocol { api: name })
}

/// Returns the request, signed for this region and for nothing but ECR.
fn signed(
    api: &Url,
    host: &EcrHost,
    credentials: Credentials,
    now: Timestamp,
) -> Result<Request, EcrProblem> {
    let unusable = |error: &dyn std::fmt::Display| EcrProblem::Settings(words(&error.to_string()));
    let (target, service) = if host.is_public() { PUBLIC } else { PRIVATE };
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
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    let body = SignableBody::Bytes(BODY.as_bytes());
    let signable = SignableRequest::new("POST", api.as_str(), headers.into_iter(), body)
        .map_err(|error| unusable(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| unusable(&error))?.into_parts();
    let mut request = Request::new(Method::POST, api.clone());
    *request.timeout_mut() = Some(TIMEOUT);
    *request.body_mut() = Some(BODY.into());
    for (name, value) in headers.into_iter().chain(instructions.headers()) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unusable(&error))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| unusable(&error))?;
        value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: OneOrMany,
}

/// A list with one token; ECR Public gives the token itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Data>),
    One(Data),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    authorization_token: SecretString,
    /// Seconds of the epoch, with a fraction.
    expires_at: f64,
}

fn read(body: &[u8]) -> Option<Authorization> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let data = match answer.authorization_data {
        OneOrMany::Many(list) => list.into_iter().next()?,
        OneOrMany::One(data) => data,
    };
    let text = String::from_utf8(STANDARD.decode(data.authorization_token.expose_secret()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is no timestamp")]
    let expires_at = Timestamp::from_second(data.expires_at as i64).ok()?;
    let is_whole = username == USERNAME && !password.is_empty();
    is_whole.then(|| Authorization { password: password.into(), expires_at })
}

/// Returns the problem where AWS returns no token (awsJson1.1: `__type` and `message`).
fn refusal(status: StatusCode, body: &[u8]) -> EcrProblem {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Refusal {
        #[serde(rename = "__type")]
        kind: String,
        #[serde(alias = "Message")]
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    // `com.amazonaws.ecr#ServerException` is the long form of a code.
    let code = refusal.kind.rsplit('#').next().unwrap_or_default();
    let message = match (code, refusal.message.as_str()) {
        ("", "") => "no reason is given".to_owned(),
        (code, "") => words(code),
        (code, message) => words(&format!("{code}: {message}")),
    };
    EcrProblem::Refused { status: status.as_u16(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_password_of_the_user_aws() {
        let answer = |token: &str, end: &str| {
            let token = STANDARD.encode(token);
            read(format!(r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{end},"proxyEndpoint":"https://x"}}]}}"#).as_bytes())
        };
        let read = answer("AWS:a:b", "1.7e9").unwrap();
        assert_eq!(read.password.expose_secret(), "a:b");
        assert_eq!(read.expires_at.as_second(), 1_700_000_000);
        for (token, end) in
            [("AWS:", "1"), ("a:b", "1"), ("AWS", "1"), ("AWS:x", "1e300"), ("AWS:x", "\"soon\"")]
        {
            assert!(answer(token, end).is_none(), "{token} {end}");
        }
        assert!(super::read(br#"{"authorizationData":[]}"#).is_none());
    }

    #[test]
    fn a_refusal_is_reported_in_the_words_of_aws() {
        let body = br#"{"__type":"com.amazonaws.ecr#AccessDeniedException","Message":"User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *"}"#;
        let shown = refusal(StatusCode::BAD_REQUEST, body).to_string();
        insta::assert_snapshot!(shown, @"AWS gives no token (HTTP 400): AccessDeniedException: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *");
        insta::assert_snapshot!(refusal(StatusCode::BAD_GATEWAY, b"<html>").to_string(), @"AWS gives no token (HTTP 502): no reason is given");
    }
}
