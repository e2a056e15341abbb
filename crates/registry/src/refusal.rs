//! What an answer means that is not the one hoped for.

use reqwest::StatusCode;

use super::address::host;
use super::error::{Failure, Reason, Unreachable};
use super::exchange::Answer;
use super::retry::retry_after;
use super::server_text::{ServerError, server_error};

/// The failure that an answer stands for. `secrets` never appear in it, nor does what proved to the server
/// who we are.
pub(super) fn refusal(answer: &Answer, secrets: &[String]) -> Failure {
    let shown = answer.shown.as_ref().and_then(|header| header.to_str().ok()?.split_once(' '));
    let hidden: Vec<String> =
        secrets.iter().cloned().chain(shown.map(|(_, proof)| proof.to_owned())).collect();
    let error = server_error(&answer.body, &hidden);
    let (mut reason, mut detail) = classify(answer, secrets.is_empty());
    if answer.status == StatusCode::NOT_FOUND {
        reason = match &error {
            Some(error) if error.code == "NAME_UNKNOWN" => Reason::RepositoryNotFound,
            Some(_) => Reason::Rejected,
            None => Reason::Protocol,
        };
    }
    if answer.status == StatusCode::NOT_FOUND && !is_registrys_not_found(answer) {
        detail = format!("{} does not answer as a registry; is its name right?", host(&answer.url));
    }
    if wants_tls(answer, error.is_some()) {
        reason = Reason::Unreachable(Unreachable::WantsTls);
        detail = format!("{} does not take plain HTTP; is it a registry with TLS?", host(&answer.url));
    }
    if let Some(error) = error.as_ref().filter(|error| says_more(error)) {
        detail = format!("{detail}: {}", error.message);
    }
    let code = error.map(|error| error.code).filter(|code| !code.is_empty());
    Failure { code, ..Failure::new(reason, detail).with_status(answer.status) }
}

/// What of a failure may be told to others than those who caused it: nothing that the server said.
pub(super) fn class(answer: &Answer) -> Failure {
    let (reason, detail) = classify(answer, true);
    Failure::new(reason, detail).with_status(answer.status)
}

/// Whether a server refuses plain HTTP as such, and not this one question. It says so in words of its own,
/// and says nothing where it is asked by HEAD; a registry says at least that it is one, or speaks JSON.
fn wants_tls(answer: &Answer, has_error: bool) -> bool {
    let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let is_registry = header("docker-distribution-api-version").is_some()
        || header("content-type").is_some_and(|type_| type_.starts_with("application/json"));
    answer.status == StatusCode::BAD_REQUEST && answer.url.scheme() == "http" && !has_error && !is_registry
}

/// Whether the registry's words tell more than its code, which the rest of the sentence says
/// already: `denied` beside `DENIED`, `manifest unknown` beside `MANIFEST_UNKNOWN`.
fn says_more(error: &ServerError) -> bool {
    let words = |text: &str| text.replace('_', " ").trim_end_matches('.').to_lowercase();
    !error.message.is_empty() && words(&error.message) != words(&error.code)
}

fn classify(answer: &Answer, anonymous: bool) -> (Reason, String) {
    let host = host(&answer.url);
    match answer.status.as_u16() {
        401 if anonymous => {
            (Reason::Unauthorized, format!("{host} wants a credential, or there is no such repository"))
        }
        401 => (Reason::Unauthorized, format!("{host} does not accept the credential for this repository")),
        403 => (Reason::Forbidden, format!("{host} denies access")),
        429 => {
            let retry_after = retry_after(&answer.headers);
            // How long stands in the reason alone: a text with a countdown would be another one each
            // time, and each time be written into a status.
            (Reason::RateLimited { retry_after }, format!("{host} wants fewer requests"))
        }
        408 | 500..=599 => (Reason::Unavailable, format!("{host} is out of order")),
        404 => (Reason::Rejected, format!("{host} has no such repository or manifest")),
        400..=499 => (Reason::Rejected, format!("{host} refuses")),
        _ => (Reason::Protocol, format!("{host} does not answer as a registry")),
    }
}

/// Whether a registry says "no such thing", and not a web server that knows no registry.
pub(super) fn is_registrys_not_found(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        && (server_error(&answer.body, &[]).is_some()
            || answer.headers.contains_key("docker-distribution-api-version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(scheme: &str, status: u16, body: &str) -> Failure {
        refusal(&answer(scheme, status, body), &[])
    }

    fn answer(scheme: &str, status: u16, body: &str) -> Answer {
        Answer {
            url: format!("{scheme}://registry.example.com/v2/a/manifests/1").parse().unwrap(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: body.to_string().into(),
            shown: None,
        }
    }

    fn said(status: u16, code: &str, message: &str) -> String {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        answered("https", status, &body.to_string()).to_string()
    }

    #[test]
    fn a_server_that_takes_no_plain_http_is_asked_for_tls() {
        for words in ["Client sent an HTTP request to an HTTPS server.\n", "<html>400</html>", ""] {
            let failure = answered("http", 400, words);
            assert_eq!(failure.reason, Reason::Unreachable(Unreachable::WantsTls), "{words}");
            assert_eq!(answered("https", 400, words).reason, Reason::Rejected, "{words}");
        }
        let own = r#"{"errors":[{"code":"NAME_INVALID"}]}"#;
        assert_eq!(answered("http", 400, own).reason, Reason::Rejected);
        for (name, value) in
            [("docker-distribution-api-version", "registry/2.0"), ("content-type", "application/json")]
        {
            let mut asked_by_head = answer("http", 400, "");
            asked_by_head.headers.insert(name, value.parse().unwrap());
            assert_eq!(refusal(&asked_by_head, &[]).reason, Reason::Rejected, "one manifest is broken");
        }
    }

    #[test]
    fn a_registrys_words_are_repeated_only_where_they_tell_more_than_its_code() {
        let lines = [
            said(403, "DENIED", "denied"),
            said(403, "DENIED", "requested access to the resource is denied"),
            said(404, "MANIFEST_UNKNOWN", "Manifest unknown."),
            said(404, "NAME_UNKNOWN", "repository name not known to registry"),
            said(401, "UNAUTHORIZED", "authentication required"),
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
