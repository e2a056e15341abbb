//! `WWW-Authenticate`: the authentication that a registry asks for (RFC 9110, 11.6.1).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::transport::header_value;

/// One challenge: the scheme in lower case and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Returns the first parameter of this name; names are case-insensitive.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Bytes of one header line. What a challenge says is remembered for each registry.
const MAX_LINE_BYTES: usize = 4 << 10;

/// Returns all challenges of a response, from every header line that has a sensible length.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    lines.filter(|line| line.len() <= MAX_LINE_BYTES).flat_map(parse).collect()
}

/// Parses one header line. A comma separates both parameters and challenges, so a word is a parameter
/// exactly when `=` follows it.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_token_char) {
        rest = &rest[start..];
        let word = token(rest);
        rest = rest[word.len()..].trim_start_matches([' ', '\t']);
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = header_value(after.trim_start_matches([' ', '\t']));
            rest = after;
            if let Some(challenge) = found.last_mut() {
                challenge.parameters.push((word.to_ascii_lowercase(), value));
            }
        } else {
            found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
        }
    }
    found
}

fn token(text: &str) -> &str {
    &text[..text.find(|c| !is_token_char(c)).unwrap_or(text.len())]
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_docker_hub_is_read() {
        let text = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#;
        let [challenge] = &parse(text)[..] else { panic!("one challenge") };
        assert_eq!(challenge.scheme, "bearer");
        assert_eq!(challenge.parameter("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(challenge.parameter("service"), Some("registry.docker.io"));
    }

    #[test]
    fn the_query_of_a_realm_is_kept_and_a_line_without_a_bound_is_not_read() {
        let of = |realm: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, format!(r#"Bearer realm="{realm}""#).parse().unwrap());
            challenges(&headers)
        };
        let [challenge] = &of("https://x/t?account=a,b&x=%22")[..] else { panic!("one challenge") };
        assert_eq!(challenge.parameter("realm"), Some("https://x/t?account=a,b&x=%22"));
        assert!(of(&format!("https://x/{}", "a".repeat(5_000))).is_empty());
    }

    #[test]
    fn several_challenges_in_one_line_are_kept_apart() {
        let found = parse(r#"Negotiate, BASIC realm="a, b=\"c\"", Bearer REALM = https://x/t , service=y"#);
        let schemes: Vec<_> = found.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(found[1].parameter("realm"), Some("a, b=\"c\""));
        assert_eq!(found[2].parameter("realm"), Some("https://x/t"));
        assert_eq!(found[2].parameter("service"), Some("y"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_likely_text_is_read_without_a_panic(text in r#"(Bearer|Basic|[a-z]|=|"|\\|,| |é){0,40}"#) {
            let _ = parse(&text);
        }
    }
}
