//! Stand-ins for secrets in the keys of caches.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A hash that stands for a credential or a CA bundle in the keys of caches. Not even the hash is
/// shown: weak passwords can be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the hash of the parts, which stay apart: `ab`, `c` differs from `a`, `bc`.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
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

#[cfg(test)]
mod tests {
    use super::super::Credential;

    #[test]
    fn fingerprints_differ_where_a_plain_concatenation_would_not() {
        let of = |user: &str, password: &str| {
            Credential::Basic { username: user.into(), password: password.into() }.fingerprint()
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_eq!(of("a", "b"), of("a", "b"));
    }
}
