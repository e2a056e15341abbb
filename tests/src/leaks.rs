//! Looking for credentials where none may be (invariant I4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::environment::Environment;

/// A password, in every form in which it may get into a text.
#[derive(Debug)]
pub struct Canary {
    forms: Vec<String>,
}

impl Canary {
    /// The password of the target registry.
    pub fn of_target(environment: &Environment) -> anyhow::Result<Self> {
        let password = std::fs::read_to_string(&environment.target_password_file)?;
        Ok(Self::new(&environment.target_username, password.trim_end()))
    }

    /// A user's password.
    pub fn new(user: &str, password: &str) -> Self {
        let json = serde_json::Value::from(password).to_string();
        let url: String = password
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect();
        let mut forms = vec![
            password.to_owned(),
            STANDARD.encode(password).trim_end_matches('=').to_owned(),
            STANDARD.encode(format!("{user}:{password}")).trim_end_matches('=').to_owned(),
            url,
            json.trim_matches('"').to_owned(),
        ];
        // In a log of JSON lines, what was JSON already is written as JSON once more.
        for form in forms.clone() {
            forms.push(serde_json::Value::from(form).to_string().trim_matches('"').to_owned());
        }
        forms.sort();
        forms.dedup();
        Self { forms }
    }

    /// The surroundings of each place where the password stands, without the password.
    pub fn places(&self, text: &str) -> Vec<String> {
        self.forms
            .iter()
            .flat_map(|form| text.match_indices(form.as_str()).map(|(at, _)| before(text, at)))
            .collect()
    }
}

fn before(text: &str, at: usize) -> String {
    let mut start = at.saturating_sub(200);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}<the password>", &text[start..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_each_form() {
        let canary = Canary::new("me", r#"p"ss w/ö"#);
        for text in [
            r#"password=p"ss w/ö;"#,
            r#"{"password":"p\"ss w/ö"}"#,
            r#"{"log":"{\"password\":\"p\\\"ss w/ö\"}"}"#,
            "https://me:p%22ss%20w%2F%C3%B6@host",
            &format!("Authorization: Basic {}", STANDARD.encode(r#"me:p"ss w/ö"#)),
        ] {
            assert!(!canary.places(text).is_empty(), "{text}");
        }
        assert!(canary.places("password=another; user=me").is_empty());
    }
}
