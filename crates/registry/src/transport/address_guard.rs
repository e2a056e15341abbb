//! Addresses that are never connected to.
//!
//! Whoever may create an Image names registries, and from inside a cloud machine some addresses hand
//! out the machine's own credentials. The check applies to the addresses that a name resolves to, and
//! the connection goes to exactly those: a second lookup could differ (DNS rebinding). Behind a proxy
//! the proxy resolves names, and only literal addresses can be checked here.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::error::Failure;

/// A refused address; found again in the chain of causes of a failed request.
#[derive(Debug)]
pub(crate) struct ForbiddenAddress {
    address: IpAddr,
}

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a link-local or metadata address; no registry is there", self.address)
    }
}

impl std::error::Error for ForbiddenAddress {}

/// Whether this is an address of metadata services, which no registry has.
///
/// Sources: AWS, GCP, Azure, Oracle and Alibaba documentation of instance metadata. IPv4 addresses
/// inside IPv6 ones (mapped, 6to4, NAT64) count as what they contain.
pub(crate) fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_forbidden_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6 == METADATA_V6
                || is_aws_link_local(v6)
                || embedded_v4(v6).is_some_and(is_forbidden_v4)
        }
    }
}

const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure WireServer
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
];

/// GCP's metadata server.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);

/// Whether it is in `fd00:ec2::/32`, where AWS has the metadata, DNS, time and EKS pod identity of a machine.
fn is_aws_link_local(v6: Ipv6Addr) -> bool {
    v6.segments()[..2] == [0xfd00, 0xec2]
}

fn is_forbidden_v4(v4: Ipv4Addr) -> bool {
    v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_multicast()
        || v4.is_broadcast()
        || METADATA_V4.contains(&v4)
}

fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(from(high, low))
        }
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

/// Refuses literal addresses, which no resolver sees. The URL parser has already turned spellings such
/// as `0xa9.254.43518` into the address.
pub(crate) fn check(url: &Url) -> Result<(), Failure> {
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_forbidden(address) {
        return Err(Failure::refused(ForbiddenAddress { address }.to_string()));
    }
    Ok(())
}

/// The system's resolver, without names that have a forbidden address.
#[derive(Debug)]
pub(crate) struct CheckedResolver {
    /// Addresses of names that are not resolved, as in `/etc/hosts`.
    pub(crate) fixed: HashMap<String, SocketAddr>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let fixed = self.fixed.get(name.as_str()).copied();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = match fixed {
                Some(address) => vec![address],
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            // One bad address is enough: an honest name has none, whatever else it has.
            match addresses.iter().map(SocketAddr::ip).find(|ip| is_forbidden(*ip)) {
                Some(address) => Err(ForbiddenAddress { address }.into()),
                None => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_forbidden_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "0xa9.254.43518",
            "2852039166",
            "0251.0376.0251.0376",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "[fd00:ec2:1:2:3:4:5:6]",
            "[fd20:ce::254]",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[2002:a9fe:a9fe::1]",
            "[64:ff9b::a9fe:a9fe]",
            "100.100.100.200",
            "0.0.0.0",
            "[::]",
            "224.0.0.1",
        ] {
            let url: Url = format!("https://{host}/v2/").parse().unwrap();
            assert!(check(&url).is_err(), "{host}");
        }
    }

    #[test]
    fn private_and_loopback_addresses_are_where_registries_of_clusters_live() {
        for host in
            ["10.0.0.5", "192.168.1.1:5000", "172.16.0.1", "127.0.0.1:5000", "[fd12::1]", "[::1]:5000"]
        {
            let url: Url = format!("https://{host}/v2/").parse().unwrap();
            assert!(check(&url).is_ok(), "{host}");
        }
    }
}
