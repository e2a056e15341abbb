//! What an error response means.
//!
//! Of the body only the error object of the distribution API is repeated, shortened and cleaned.

use reqwest::StatusCode;
use serde::Deserialize;

use super::message::Response;
use super::retry::retry_after;
use crate::error::{Failure, Reason, Unreachable};
use crate::text::{authority, clean};

/// The error object of a registry (distribution-spec, "Error Codes").
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Deserialize)]
struct Body {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: serde_json::Value,
}

/// Returns the first error of the body, if the body is one of a registry.
pub(crate) fn server_error(body: &[u8], secrets: &[String]) -> Option<ServerError> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let Some(first) = body.errors.first() else { return Some(ServerError::default()) };
    let text = |value: &serde_json::Value| clean(value.as_str().unwrap_or_default(), secrets);
    Some(ServerError { code: text(&first.code), message: text(&first.message) })
}

/// Returns the failure that a response stands for. Neither `secrets` nor what the request authenticated
/// with appear in it.
pub(crate) fn error_of(response: &Response, secrets: &[String]) -> Failure {
    let sent = response.authorization.as_ref().and_then(|header| header.to_str().ok()?.split_once(' '));
    let hidden: Vec<String> =
        secrets.iter().cloned().chain(sent.map(|(_, value)| value.to_owned())).collect();
    let error = server_error(&response.body, &hidden);
    let (mut reason, mut detail) = classify(response, secrets.is_empty());
    if response.status == StatusCode::NOT_FOUND {
        reason = match &error {
            Some(error) if error.code == "NAME_UNKNOWN" => Reason::RepositoryNotFound,
            Some(_) => Reason::Rejected,
            None => Reason::Protocol,
        };
        if !is_registry_not_found(response) {
            detail =
                format!("{} does not answer as a registry; is its name right?", authority(&response.url));
        }
    }
    if error.as_ref().is_some_and(|error| error.code == "TOOMANYREQUESTS") {
        (reason, detail) = rate_limited(response);
    }
    if wants_tls(response, error.is_some()) {
        reason = Reason::Unreachable(Unreachable::WantsTls);
        detail = format!("{} does not take plain HTTP; is it a registry with TLS?", authority(&response.url));
    }
    if let Some(error) = error.as_ref().filter(|error| says_more(error)) {
        detail = format!("{detail}: {}", error.message);
    }
    let code = error.map(|error| error.code).filter(|code| !code.is_empty());
    Failure {
        code,
        is_repeated: response.is_repeated,
        ..Failure::new(reason, detail).with_status(response.status)
    }
}

/// Returns what may be shown to others than those who sent the request: none of the server's words.
pub(super) fn unquoted_error_of(response: &Response) -> Failure {
    let (reason, detail) = classify(response, true);
    Failure::new(reason, detail).with_status(response.status)
}

/// Whether a server refuses plain HTTP as such, and not this one request. Its wording differs, and is empty
/// after a HEAD; a registry sends its version header, or JSON.
fn wants_tls(response: &Response, has_error: bool) -> bool {
    let header = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
    let is_registry = header("docker-distribution-api-version").is_some()
        || header("content-type").is_some_and(|type_| type_.starts_with("application/json"));
    response.status == StatusCode::BAD_REQUEST
        && response.url.scheme() == "http"
        && !has_error
        && !is_registry
}

/// Whether the message adds something to the code, which the rest of the sentence repeats already:
/// `denied` beside `DENIED` and `manifest unknown` beside `MANIFEST_UNKNOWN` do not.
fn says_more(error: &ServerError) -> bool {
    let words = |text: &str| text.replace('_', " ").trim_end_matches('.').to_lowercase();
    !error.message.is_empty() && words(&error.message) != words(&error.code)
}

fn classify(response: &Response, anonymous: bool) -> (Reason, String) {
    let host = authority(&response.url);
    match response.status.as_u16() {
        401 if anonymous => {
            (Reason::Unauthorized, format!("{host} wants a credential, or there is no such repository"))
        }
        401 => (Reason::Unauthorized, format!("{host} does not accept the credential for this repository")),
        403 => (Reason::Forbidden, format!("{host} denies access")),
        429 => rate_limited(response),
        408 | 500..=599 => (Reason::Unavailable, format!("{host} is out of order")),
        404 => (Reason::Rejected, format!("{host} has no such repository or manifest")),
        400..=499 => (Reason::Rejected, format!("{host} refuses")),
        _ => (Reason::Protocol, format!("{host} does not answer as a registry")),
    }
}

/// Returns the wait in the reason alone: a text with a countdown would be written into a status each time it
/// changes.
fn rate_limited(response: &Response) -> (Reason, String) {
    let retry_after = retry_after(&response.headers);
    (Reason::RateLimited { retry_after }, format!("{} wants fewer requests", authority(&response.url)))
}

/// Whether a 404 is the page of a web server. A registry says so in JSON, or says nothing.
pub(crate) fn is_web_page(response: &Response) -> bool {
    let media_type = response.headers.get("content-type").and_then(|value| value.to_str().ok());
    response.status == StatusCode::NOT_FOUND
        && media_type.is_some_and(|media_type| media_type.starts_with("text/html"))
        && !is_registry_not_found(response)
}

/// Whether a 404 comes from a registry, and not from a web server that knows no registry.
pub(crate) fn is_registry_not_found(response: &Response) -> bool {
    response.status == StatusCode::NOT_FOUND
        && (server_error(&response.body, &[]).is_some()
            || response.headers.contains_key("docker-distribution-api-version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(scheme: &str, status: u16, body: &str) -> Failure {
        error_of(&response(scheme, status, body), &[])
    }

    fn response(scheme: &str, status: u16, body: &str) -> Response {
        let url = format!("{scheme}://registry.example.com/v2/a/manifests/1").parse().unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        Response::new(url, status, reqwest::header::HeaderMap::new(), body.to_string().into())
    }

    fn shown(status: u16, code: &str, message: &str) -> String {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        error("https", status, &body.to_string()).to_string()
    }

    #[test]
    fn a_server_that_refuses_plain_http_wants_tls() {
        for words in ["Client sent an HTTP request to an HTTPS server.\n", "<html>400</html>", ""] {
            let failure = error("http", 400, words);
            assert_eq!(failure.reason, Reason::Unreachable(Unreachable::WantsTls), "{words}");
            assert_eq!(error("https", 400, words).reason, Reason::Rejected, "{words}");
        }
        let own = r#"{"errors":[{"code":"NAME_INVALID"}]}"#;
        assert_eq!(error("http", 400, own).reason, Reason::Rejected);
        for (name, value) in
            [("docker-distribution-api-version", "registry/2.0"), ("content-type", "application/json")]
        {
            let mut asked_by_head = response("http", 400, "");
            asked_by_head.headers.insert(name, value.parse().unwrap());
            assert_eq!(error_of(&asked_by_head, &[]).reason, Reason::Rejected, "one manifest is broken");
        }
    }

    #[test]
    fn only_error_objects_of_registries_are_repeated() {
        let body =
            br#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#;
        let error = server_error(body, &[]).unwrap();
        assert_eq!(error.code, "NAME_UNKNOWN");
        assert_eq!(error.message, "repository name not known to registry");
        assert_eq!(server_error(b"<html>secret page</html>", &[]), None);
        assert_eq!(server_error(br#"{"errors":[]}"#, &[]), Some(ServerError::default()));
    }

    #[test]
    fn a_registrys_words_are_repeated_only_where_they_tell_more_than_its_code() {
        let lines = [
            shown(403, "DENIED", "denied"),
            shown(403, "DENIED", "requested access to the resource is denied"),
            shown(404, "MANIFEST_UNKNOWN", "Manifest unknown."),
            shown(404, "NAME_UNKNOWN", "repository name not known to registry"),
            shown(401, "UNAUTHORIZED", "authentication required"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @"
        registry.example.com denies access (HTTP 403)
        registry.example.com denies access: requested access to the resource is denied (HTTP 403)
        registry.example.com has no such repository or manifest (HTTP 404)
        registry.example.com has no such repository or manifest: repository name not known to registry (HTTP 404)
        registry.example.com wants a credential, or there is no such repository: authentication required (HTTP 401)
        ");
    }
}
