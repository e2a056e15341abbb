//! Tokens of a registry's token server, and how long to use them.
//!
//! Sources: distribution, "Token Authentication Specification" (GET) and "`OAuth2`
//! Token Authentication" (POST with a refresh token).

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

use super::scope::Scopes;
use crate::credentials::{Credential, basic};
use crate::error::{Failure, Reason};
use crate::text::authority;
use crate::transport::{Request, Response, retry_after_of};

/// Tokens have a few kilobytes.
const MAX_RESPONSE_BYTES: usize = 64 << 10;
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// The lifetime that the specification defines for tokens without one.
const DEFAULT_LIFETIME_SECONDS: u64 = 60;
const MAX_LIFETIME_SECONDS: u64 = 24 * 3600;

/// A token and the time from which another one is fetched.
#[derive(Debug, Clone)]
pub(super) struct Token {
    value: SecretString,
    renew_at: Instant,
}

impl Token {
    /// Returns how much longer to use it.
    pub(super) fn use_for(&self) -> Duration {
        self.renew_at.saturating_duration_since(Instant::now())
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.value
    }

    #[cfg(test)]
    pub(super) fn for_tests(life: Duration) -> Self {
        Self { value: "token".into(), renew_at: Instant::now() + life }
    }
}

/// Returns `Bearer …` or `Basic …` as a header value that is never logged.
pub(crate) fn authorization(scheme: &str, value: &str) -> Result<HeaderValue, Failure> {
    let mut header = HeaderValue::from_str(&format!("{scheme} {value}")).map_err(|_| {
        Failure::new(Reason::Unauthorized, "the credential has characters that HTTP cannot carry")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Returns the request for a token: a GET with the password, or a POST with the refresh token.
pub(super) fn request(
    realm: &Url,
    service: Option<&str>,
    scopes: &Scopes,
    credential: Option<&Credential>,
) -> Result<Request, Failure> {
    let mut request = Request::get(realm.clone(), MAX_RESPONSE_BYTES);
    request.max_redirects = 0;
    request.identity = credential.map(Credential::fingerprint);
    match credential {
        Some(Credential::IdentityToken(token)) => {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "imgop")
                .append_pair("scope", &scopes.to_string())
                .append_pair("refresh_token", token.expose_secret());
            if let Some(service) = service {
                form.append_pair("service", service);
            }
            request.method = Method::POST;
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.body = Some((form_type, form.finish().into()));
        }
        Some(Credential::Basic { username, password }) => {
            request.authorization = Some(authorization("Basic", &basic(username, password))?);
            add_query(&mut request.url, service, scopes);
        }
        Some(Credential::RegistryToken(_)) | None => add_query(&mut request.url, service, scopes),
    }
    Ok(request)
}

fn add_query(url: &mut Url, service: Option<&str>, scopes: &Scopes) {
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    // One parameter for each scope here, and one list in a POST (distribution, "Token Authentication
    // Specification" and "OAuth2 Token Authentication").
    for scope in scopes.iter() {
        query.append_pair("scope", &scope.to_string());
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    /// A number; some servers send it as text.
    expires_in: Option<serde_json::Value>,
}

/// Reads the response of a token server, to which a credential was `sent` or not. The token's lifetime
/// counts from `asked_at`: this process's clock, and early.
pub(super) fn read(response: &Response, asked_at: Instant, sent: bool) -> Result<Token, Failure> {
    if response.status != StatusCode::OK {
        return Err(token_error(response, sent));
    }
    let unreadable =
        || Failure::protocol(format!("no token in the response of {}", authority(&response.url)));
    let parsed: TokenResponse = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
    let mut given = [parsed.token, parsed.access_token].into_iter().flatten();
    let value = given.find(|token| !token.expose_secret().is_empty()).ok_or_else(unreadable)?;
    let text = value.expose_secret();
    if text.len() > MAX_TOKEN_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(unreadable());
    }
    let seconds = match parsed.expires_in {
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let life = Duration::from_secs(
        seconds.filter(|s| *s > 0).unwrap_or(DEFAULT_LIFETIME_SECONDS).min(MAX_LIFETIME_SECONDS),
    );
    // At 80 %, so that a token does not expire on its way.
    Ok(Token { value, renew_at: asked_at + life.mul_f32(0.8) })
}

fn token_error(response: &Response, sent: bool) -> Failure {
    let server = authority(&response.url);
    let (reason, detail) = match response.status.as_u16() {
        400 | 401 if !sent => {
            let detail =
                format!("the token server {server} wants a credential, or there is no such repository");
            (Reason::Unauthorized, detail)
        }
        400 | 401 => {
            (Reason::Unauthorized, format!("the token server {server} does not accept the credential"))
        }
        // GitHub says this of a credential that is wrong or has run out, too.
        403 if sent => {
            let detail = format!(
                "the token server {server} gives no token for this repository; the credential is wrong, has \
                 run out or has no right to it"
            );
            (Reason::Forbidden, detail)
        }
        403 => (Reason::Forbidden, format!("the token server {server} gives no token for this repository")),
        429 => {
            let retry_after = retry_after_of(&response.headers);
            (Reason::RateLimited { retry_after }, format!("the token server {server} wants fewer requests"))
        }
        500..=599 => (Reason::Unavailable, format!("the token server {server} is out of order")),
        _ => (Reason::Protocol, format!("{server} does not answer as a token server")),
    };
    Failure::new(reason, detail).with_status(response.status)
}
