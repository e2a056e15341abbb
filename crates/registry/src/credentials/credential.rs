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
