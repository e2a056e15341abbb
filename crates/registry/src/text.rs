//! Makes a server's words safe to repeat.
//!
//! Many may read a status or an event, and a server's words may hold anything: control characters, a
//! token that was sent to it, a page of a service that only the agent can reach.

use url::Url;

/// The most characters of a server's words that are repeated.
const MAX_CHARS: usize = 200;
/// Secrets shorter than this may be a part of any word, and are hidden only where they stand alone.
const MIN_UNMISTAKABLE_SECRET: usize = 8;

/// Returns the host of an address for messages, with its port, without userinfo, path and query.
pub(crate) fn authority(url: &Url) -> String {
    let name = url.host_str().unwrap_or("nowhere");
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Returns at most 200 printable characters, without secrets, userinfo and query strings.
pub(crate) fn clean(text: &str, secrets: &[String]) -> String {
    words(text, secrets).chars().take(MAX_CHARS).collect()
}

/// Returns one line of printable text, without the userinfo and query strings of addresses: what may
/// be shown of a text that a program or a server has written.
pub fn printable(text: &str) -> String {
    words(text, &[])
}

fn words(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    let (short, long): (Vec<&String>, Vec<&String>) =
        secrets.iter().partition(|secret| secret.len() < MIN_UNMISTAKABLE_SECRET);
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

/// Whether a terminal shows a character as what it is: neither a control character nor one that turns the
/// direction of text, or hides it or in it (Unicode's general category Cf, and line separators).
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_userinfo_queries_and_control_characters_are_gone() {
        let secrets = ["hunter2".to_owned()];
        let token = "eyJhbGciOi".repeat(9);
        let text = format!("bad\u{1b}[31m hunter2 at https://u:p@h.io/x?token=1\n{token}\u{202e} end");
        assert_eq!(clean(&text, &secrets), "bad [31m *** at https://h.io/x *** end");
        assert_eq!(clean("no pass, \"pass\" or password", &["pass".to_owned()]), "no *** *** or password");
        assert_eq!(clean(&"é ".repeat(900), &[]).chars().count(), 200);
    }

    #[test]
    fn what_turns_or_hides_text_is_not_printable() {
        let hidden = "\u{1b}\u{9b}\u{202e}\u{200b}\u{feff}\n\u{61c}\u{ad}\u{180e}\u{fff9}\u{e0041}";
        assert!(!hidden.chars().any(is_printable));
        assert!("é ✔a한".chars().all(is_printable));
        assert_eq!(clean("a\u{61c}b\u{e0041}", &[]), "ab");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cleaned_without_a_panic(text in ".{0,400}") {
            proptest::prop_assert!(clean(&text, &[]).chars().count() <= MAX_CHARS);
        }
    }
}
