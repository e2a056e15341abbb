//! Whom a registry serves.

use crate::credentials::{ConnectionKey, Fingerprint};
use crate::reference::RegistryHost;

/// A registry, how it is reached, and the credential. What one account may read says nothing of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    pub(super) host: RegistryHost,
    pub(super) connection: ConnectionKey,
    pub(super) who: Option<Fingerprint>,
}
