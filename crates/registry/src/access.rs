//! With what right and over which transport a registry is spoken to.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// How one side of a copy is reached.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Who we are; nobody in particular when absent.
    pub credential: Option<Credential>,
    /// What protects the connection.
    pub tls: Tls,
}

/// What proves who we are. `Debug` never shows a secret.
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

/// What protects the connection to a registry.
///
/// Registries on this machine are spoken to in plain HTTP unless a CA or `SkipVerify` is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// HTTPS, checked against the system's roots and, if given, one more CA bundle.
    Verify {
        /// PEM certificates that are trusted besides the system's.
        extra_ca_pem: Option<Vec<u8>>,
    },
    /// HTTPS with any certificate.
    SkipVerify,
    /// Plain HTTP.
    PlainHttp,
}

impl Default for Tls {
    fn default() -> Self {
        Self::Verify { extra_ca_pem: None }
    }
}

impl Tls {
    pub(super) fn key(&self) -> TlsKey {
        match self {
            Self::Verify { extra_ca_pem } => {
                TlsKey::Verify(extra_ca_pem.as_ref().map(|pem| Fingerprint::of(&[pem])))
            }
            Self::SkipVerify => TlsKey::SkipVerify,
            Self::PlainHttp => TlsKey::PlainHttp,
        }
    }
}

impl Credential {
    /// What a docker credential helper returned: the user name `<token>` marks an identity token
    /// (docker-credential-helpers, README "Development").
    pub fn from_helper(username: String, secret: SecretString) -> Self {
        if username == "<token>" {
            Self::IdentityToken(secret)
        } else {
            Self::Basic { username, password: secret }
        }
    }

    /// Texts that must never be shown again, should a server send them back to us.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Basic { username, password } => {
                vec![password.expose_secret().to_owned(), basic(username, password)]
            }
            Self::IdentityToken(token) | Self::RegistryToken(token) => vec![token.expose_secret().to_owned()],
        }
    }

    /// Tells credentials apart without keeping them.
    pub(super) fn fingerprint(&self) -> Fingerprint {
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

/// A hash that stands for a credential or a CA bundle in the keys of caches. Not even the hash is
/// shown: weak passwords can be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The parts stay apart: `ab`, `c` differs from `a`, `bc`.
    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// [`Tls`] as the key of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TlsKey {
    Verify(Option<Fingerprint>),
    SkipVerify,
    PlainHttp,
}

/// The value of a Basic authorization (RFC 7617).
pub(super) fn basic(username: &str, password: &SecretString) -> String {
    STANDARD.encode(format!("{username}:{}", password.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let access = Access {
            credential: Some(Credential::Basic { username: "u".into(), password: "hunter2".into() }),
            tls: Tls::default(),
        };
        assert!(!format!("{access:?}").contains("hunter2"));
    }

    #[test]
    fn fingerprints_differ_where_a_plain_concatenation_would_not() {
        let of = |user: &str, password: &str| {
            Credential::Basic { username: user.into(), password: password.into() }.fingerprint()
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_eq!(of("a", "b"), of("a", "b"));
    }
}
