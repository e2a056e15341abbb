//! What is allowed at one registry beside what the settings of the process allow, or less than that.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Fingerprint, TlsKey};

/// What is allowed at one registry beside what the settings of the process allow, or less than that. Cloning shares it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Allowances(Option<Arc<Allowed>>);

#[derive(Debug, PartialEq, Eq)]
struct Allowed {
    token_servers: Vec<String>,
    addresses: Vec<IpNet>,
    is_foreign: bool,
}

/// [`Allowances`] as they are handed to another process.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    token_servers: Vec<String>,
    addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_foreign: bool,
}

impl From<Allowances> for Written {
    fn from(allowances: Allowances) -> Self {
        let addresses = allowances.0.as_deref().map_or(&[][..], |allowed| &allowed.addresses);
        Self {
            token_servers: allowances.token_servers().to_vec(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            is_foreign: allowances.is_foreign(),
        }
    }
}

impl TryFrom<Written> for Allowances {
    type Error = ipnet::AddrParseError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let addresses = written.addresses.iter().map(|range| range.parse()).collect::<Result<_, _>>()?;
        if written.is_foreign {
            return Ok(Self::foreign());
        }
        Ok(Self::new(written.token_servers, addresses))
    }
}

impl Allowances {
    /// Returns whether nothing differs from the settings.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Allows these hosts to be sent the registry's credentials for tokens, and the registry and them to be at
    /// these addresses. Hosts are in lower case, with a port, or without one for all ports with TLS.
    pub fn new(token_servers: Vec<String>, addresses: Vec<IpNet>) -> Self {
        let is_empty = token_servers.is_empty() && addresses.is_empty();
        Self((!is_empty).then(|| Arc::new(Allowed { token_servers, addresses, is_foreign: false })))
    }

    /// Returns those of a registry that no spec names, but a document of a host: it has no private address, as what a
    /// registry leads to.
    pub fn foreign() -> Self {
        let (token_servers, addresses) = (Vec::new(), Vec::new());
        Self(Some(Arc::new(Allowed { token_servers, addresses, is_foreign: true })))
    }

    /// Returns whether no spec names the registry.
    pub(crate) fn is_foreign(&self) -> bool {
        self.0.as_deref().is_some_and(|allowed| allowed.is_foreign)
    }

    /// Returns the token servers.
    pub(crate) fn token_servers(&self) -> &[String] {
        self.0.as_deref().map_or(&[], |allowed| &allowed.token_servers)
    }

    /// Returns whether an address is in one of the ranges.
    pub(crate) fn include(&self, address: IpAddr) -> bool {
        self.0
            .as_deref()
            .is_some_and(|allowed| allowed.addresses.iter().any(|range| range.contains(&address)))
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        let Allowed { token_servers, addresses, is_foreign } = self.0.as_deref()?;
        let texts = [
            token_servers.join(","),
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            is_foreign.to_string(),
        ];
        Some(Fingerprint::of(&texts.each_ref().map(String::as_bytes)))
    }
}

/// How a registry is reached, as the key of a cache: what is known by one way is not for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionKey {
    tls: TlsKey,
    allowances: Option<Fingerprint>,
}

impl ConnectionKey {
    pub(super) fn new(tls: TlsKey, allowances: &Allowances) -> Self {
        Self { tls, allowances: allowances.fingerprint() }
    }
}
