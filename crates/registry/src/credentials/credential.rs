//! What authenticates a client.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use super::Fingerprint;

/// What authenticates a client. `Debug` never shows a secret.
#[derive(Clone)]
pub enum Credential {
    /// A name and a password, sent to the registry or exchanged at its token server.
    Basic {
        /// The account.
        username: String,
        /// Its password or access token.
        password: SecretString,
    },
    /// A refresh token that a token server exchanges (docker's `identitytoken`).
    IdentityToken(SecretString),
    /// A token that the registry takes as it is (docker's `registrytoken`).
    RegistryToken(SecretString),
}

impl Credential {
    /// Returns the credential of a docker credential helper: the user name `<token>` marks an identity token
    /// (docker-credential-helpers, README "Development").
    pub fn from_helper(username: String, secret: SecretString) -> Self {
        if username == "<token>" {
            Self::IdentityToken(secret)
        } else {
            Self::Basic { username, password: secret }
        }
    }

    /// Returns the credential of a Secret of type `kubernetes.io/basic-auth`. The one line end that a file leaves in each of its
    /// values is no part of it.
    pub fn of_basic_auth(username: &str, password: &str) -> Self {
        Self::Basic {
            username: without_line_end(username).to_owned(),
            password: without_line_end(password).into(),
        }
    }

    /// Returns the texts to hide, should a server send them back.
    pub(crate) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Basic { username, password } => {
                vec![password.expose_secret().to_owned(), basic(username, password)]
            }
            Self::IdentityToken(token) | Self::RegistryToken(token) => vec![token.expose_secret().to_owned()],
        }
    }

    /// Returns a key that distinguishes credentials without keeping them.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let (kind, name, secret) = match self {
            Self::Basic { username, password } => ("basic", username.as_str(), password),
            Self::IdentityToken(token) => ("identity", "", token),
            Self::RegistryToken(token) => ("registry", "", token),
        };
        Fingerprint::of(&[kind.as_bytes(), name.as_bytes(), secret.expose_secret().as_bytes()])
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// Returns the value of a Basic authorization (RFC 7617).
pub(crate) fn basic(username: &str, password: &SecretString) -> String {
    STANDARD.encode(format!("{username}:{}", password.expose_secret()))
}

fn without_line_end(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_of_a_file_is_no_part_of_a_user_name_or_a_password_and_only_one_is_taken_off() {
        let of = |username: &str, password: &str| match Credential::of_basic_auth(username, password) {
            Credential::Basic { username, password } => (username, password.expose_secret().to_owned()),
            other => panic!("{other:?}"),
        };
        let pair = |username: &str, password: &str| (username.to_owned(), password.to_owned());
        for end in ["", "\n", "\r\n"] {
            assert_eq!(of(&format!("robot{end}"), &format!("p w{end}")), pair("robot", "p w"), "{end:?}");
        }
        assert_eq!(of("\n", "p\n\n"), pair("", "p\n"));
        assert_eq!(of("a\r", " p "), pair("a\r", " p "));
    }
}
