//! What of a server's words may be repeated to people.
//!
//! Status and events are readable by many, and a server's words may hold anything: control
//! characters, a token that it was sent, or a page of a service that only the agent can reach. So
//! only the error object of the distribution API is repeated, shortened and cleaned.

use serde::Deserialize;

const LONGEST: usize = 200;

/// The error object of a registry (distribution-spec, "Error Codes").
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    pub(super) code: String,
    pub(super) message: String,
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

/// The first error of the body, if the body is one of a registry.
pub(super) fn server_error(body: &[u8], secrets: &[String]) -> Option<ServerError> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let Some(first) = body.errors.first() else { return Some(ServerError::default()) };
    let text = |value: &serde_json::Value| clean(value.as_str().unwrap_or_default(), secrets);
    Some(ServerError { code: text(&first.code), message: text(&first.message) })
}

/// At most 200 printable characters, without secrets, userinfo and query strings.
pub(super) fn clean(text: &str, secrets: &[String]) -> String {
    words(text, secrets).chars().take(LONGEST).collect()
}

/// One line of printable text, without the userinfo and query strings of addresses: what may be
/// shown of a text that a program or a server has written.
pub fn printable(text: &str) -> String {
    words(text, &[])
}

fn words(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    // A short one may be a part of any word; it counts only where it stands alone.
    let (short, long): (Vec<&String>, Vec<&String>) = secrets.iter().partition(|secret| secret.len() < 8);
    for secret in long {
        text = text.replace(secret.as_str(), "***");
    }
    let hidden = |word: &str| {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        short.iter().any(|secret| !secret.is_empty() && (word == *secret || bare == *secret))
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<String> =
        words.map(|text| if hidden(text) { "***".to_owned() } else { word(text) }).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn word(text: &str) -> String {
    let text: String = text.chars().filter(|c| is_printable(*c)).collect();
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let host_start = rest[..authority_end].rfind('@').map_or(0, |at| at + 1);
        return format!("{scheme}://{}", &rest[host_start..]);
    }
    if looks_like_a_token(&text) { "***".to_owned() } else { text }
}

/// Long words without the colon of a digest or the slash of a name are tokens more often than words.
fn looks_like_a_token(word: &str) -> bool {
    word.len() > 60 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+=~\"'".contains(&b))
}

/// Neither control characters nor the marks that turn the direction of text or hide in it.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn secrets_userinfo_queries_and_control_characters_are_gone() {
        let secrets = ["hunter2".to_owned()];
        let token = "eyJhbGciOi".repeat(9);
        let text = format!("bad\u{1b}[31m hunter2 at https://u:p@h.io/x?token=1\n{token}\u{202e} end");
        assert_eq!(clean(&text, &secrets), "bad [31m *** at https://h.io/x *** end");
        assert_eq!(clean("no pass, \"pass\" or password", &["pass".to_owned()]), "no *** *** or password");
        assert_eq!(clean(&"é ".repeat(900), &[]).chars().count(), 200);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cleaned_without_a_panic(text in ".{0,400}") {
            proptest::prop_assert!(clean(&text, &[]).chars().count() <= LONGEST);
        }
    }
}
