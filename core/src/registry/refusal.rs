//! What an answer means that is not the one hoped for.

use reqwest::StatusCode;

use super::address::host;
use super::error::{Failure, Reason};
use super::exchange::Answer;
use super::retry::retry_after;
use super::server_text::server_error;

/// The failure that an answer stands for. `secrets` never appear in it.
pub(super) fn refusal(answer: &Answer, secrets: &[String]) -> Failure {
    let error = server_error(&answer.body, secrets);
    let (mut reason, mut detail) = classify(answer, secrets.is_empty());
    if answer.status == StatusCode::NOT_FOUND {
        reason = match &error {
            Some(error) if error.code == "NAME_UNKNOWN" => Reason::RepositoryNotFound,
            Some(_) => Reason::Rejected,
            None => Reason::Protocol,
        };
    }
    if let Some(error) = error.as_ref().filter(|error| !error.message.is_empty()) {
        detail = format!("{detail}: {}", error.message);
    }
    let code = error.map(|error| error.code).filter(|code| !code.is_empty());
    Failure { reason, status: Some(answer.status), code, detail }
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
