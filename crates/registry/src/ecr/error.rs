//! Why there is no token.

use std::error::Error;

use aws_smithy_types::error::ErrorMetadata;

use crate::reference::{EcrHost, RegistryHost};
use crate::text::printable;

/// The most characters of AWS's words that are repeated. Its refusals name the user, the action and the
/// resource, and are longer than those of registries.
const MAX_CHARS: usize = 400;

/// Why there is no token for a registry of ECR. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token for {host} ({ecr}): {problem}")]
pub struct EcrError {
    /// The registry.
    pub host: RegistryHost,
    /// Its account and region.
    pub ecr: EcrHost,
    /// What went wrong.
    pub problem: EcrProblem,
}

/// What went wrong on the way to a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EcrProblem {
    /// AWS's chain found none, and none of its sources is broken.
    #[error(
        "there are no AWS credentials: none in the environment, a profile, a web identity (IRSA), a pod identity \
         or the machine's metadata"
    )]
    NoCredentials,
    /// A source of credentials is there and does not work.
    #[error("the AWS credentials cannot be used: {0}")]
    Credentials(String),
    /// The role cannot be assumed.
    #[error("the role {role} cannot be assumed: {message}")]
    Role {
        /// Its ARN.
        role: String,
        /// Why.
        message: String,
    },
    /// AWS refuses.
    #[error("AWS gives no token (HTTP {status}): {message}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// AWS's code and words.
        message: String,
    },
    /// There is no response.
    #[error("{api} does not answer: {message}")]
    Unreachable {
        /// The host of ECR's API.
        api: String,
        /// Why.
        message: String,
    },
    /// The response is no token.
    #[error("{api} does not answer as ECR's API")]
    Protocol {
        /// The host of ECR's API.
        api: String,
    },
    /// The settings are wrong.
    #[error("AWS cannot be asked: {0}")]
    Settings(String),
}

impl EcrError {
    /// Whether the same request may succeed soon, without a change of credentials or settings.
    pub fn is_transient(&self) -> bool {
        self.problem.is_transient()
    }
}

impl EcrProblem {
    /// Whether the same request may succeed soon.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, message } => *status >= 500 || *status == 429 || is_throttled(message),
            _ => false,
        }
    }
}

/// Whether AWS asks for fewer requests: by a code, and often with HTTP 400.
fn is_throttled(message: &str) -> bool {
    message.starts_with("Throttling") || message.starts_with("TooManyRequests")
}

/// Returns what may be shown of AWS's words: without times and ids of requests, which differ each time, so
/// that the same refusal is the same text and is written into a status once.
pub(super) fn words(text: &str) -> String {
    redact_variable_parts(&printable(text)).chars().take(MAX_CHARS).collect()
}

/// Returns the messages of an error and its causes, each once. Causes often repeat one another.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let all = std::iter::successors(Some(error), |&error| error.source());
    for text in all.map(message) {
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
    }
    words(&texts.join(": "))
}

/// Returns the code and the message of a response of AWS: its text has the id of the request as well.
fn message(error: &(dyn Error + 'static)) -> String {
    let Some(answer) = error.downcast_ref::<ErrorMetadata>() else { return error.to_string() };
    let parts: Vec<&str> = [answer.code(), answer.message()].into_iter().flatten().collect();
    if parts.is_empty() { "no reason is given".to_owned() } else { parts.join(": ") }
}

/// Times and ids of requests, as AWS writes them: `d` is a digit, `x` a hexadecimal one. Session names
/// and messages hold seconds and milliseconds of the epoch; the number of an account is longer than the
/// one and shorter than the other.
const VARIABLE_PARTS: [&str; 7] = [
    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    "dddd-dd-ddTdd:dd:dd",
    "dddd-dd-dd dd:dd:dd",
    "ddddddddTddddddZ",
    "dd:dd:dd",
    "ddddddddddddd",
    "dddddddddd",
];

/// Replaces what differs each time by dots.
fn redact_variable_parts(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, ' ');
    while let Some(next) = rest.chars().next() {
        let found = VARIABLE_PARTS.iter().find(|form| !before.is_ascii_alphanumeric() && begins(rest, form));
        if let Some(form) = found {
            redacted.push('…');
            let after = &rest[form.len()..];
            // The fraction of a second, and the zone.
            let fraction = |text: &str| {
                text.strip_prefix('.')
                    .map_or(0, |digits| 1 + digits.bytes().take_while(u8::is_ascii_digit).count())
            };
            let after = if form.contains(':') { &after[fraction(after)..] } else { after };
            let after = if form.contains(':') { after.strip_prefix('Z').unwrap_or(after) } else { after };
            (rest, before) = (after, '…');
        } else {
            redacted.push(next);
            (rest, before) = (&rest[next.len_utf8()..], next);
        }
    }
    redacted
}

/// Whether a text begins with this form, and with no longer word.
fn begins(text: &str, form: &str) -> bool {
    let bytes = text.as_bytes();
    let is = |(byte, form): (&u8, u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        other => *byte == other,
    };
    let ends = bytes
        .get(form.len())
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() || form.contains(':') && *byte == b'Z');
    bytes.len() >= form.len() && bytes.iter().zip(form.bytes()).all(is) && ends
}

/// Returns the last of the causes.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let last = std::iter::successors(Some(error), |&error| error.source()).last();
    words(&last.map(ToString::to_string).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ids_of_requests_are_not_repeated_and_all_else_is() {
        for (sent, shown) in [
            (
                "Signature expired: 20261121T152401Z is now earlier than 20261121T153000Z (20261121T153500Z - 5 min.)",
                "Signature expired: … is now earlier than … (… - 5 min.)",
            ),
            (
                "Token expired: current date/time 1795274641 must be before the expiration date/time 1795270000",
                "Token expired: current date/time … must be before the expiration date/time …",
            ),
            (
                "User: arn:aws:sts::111111111111:assumed-role/x/web-identity-token-1795274641123 may not",
                "User: arn:aws:sts::111111111111:assumed-role/x/web-identity-token-… may not",
            ),
            (
                "ended at 2026-11-21T15:24:01.123Z, id 6F1D9A52-0000-4000-8000-00000000000a",
                "ended at …, id …",
            ),
            ("Sat, 21 Nov 2026 15:24:01 GMT", "Sat, 21 Nov 2026 … GMT"),
            (
                "repository v2.13.0 of 111111111111, port 8443",
                "repository v2.13.0 of 111111111111, port 8443",
            ),
        ] {
            assert_eq!(words(sent), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_redacted_without_a_panic(text in "([0-9a-f]{1,13}|[-:T Z.]|ü|[ -~]){0,40}") {
            let once = redact_variable_parts(&text);
            proptest::prop_assert!(once.len() <= text.len());
        }
    }
}
