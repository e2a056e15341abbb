//! What protects a connection.

use super::Fingerprint;

/// What protects the connection to a registry.
///
/// Registries on this machine are reached over plain HTTP unless a CA, `VerifyEverywhere` or `SkipVerify` is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// HTTPS, checked against the system's roots and, if given, one more CA bundle.
    Verify {
        /// PEM certificates that are trusted besides the system's.
        extra_ca_pem: Option<Vec<u8>>,
    },
    /// HTTPS, checked against the system's roots, for registries on this machine too.
    VerifyEverywhere,
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
    pub(crate) fn key(&self) -> TlsKey {
        match self {
            Self::Verify { extra_ca_pem } => {
                TlsKey::Verify(extra_ca_pem.as_ref().map(|pem| Fingerprint::of(&[pem])))
            }
            Self::VerifyEverywhere => TlsKey::VerifyEverywhere,
            Self::SkipVerify => TlsKey::SkipVerify,
            Self::PlainHttp => TlsKey::PlainHttp,
        }
    }
}

/// [`Tls`] as the key of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TlsKey {
    Verify(Option<Fingerprint>),
    VerifyEverywhere,
    SkipVerify,
    PlainHttp,
}
