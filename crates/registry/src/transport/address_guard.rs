//! Addresses that are not connected to.
//!
//! Whoever may create an Image names registries, and from inside a cloud machine some addresses hand
//! out the machine's own credentials. A registry names further hosts, and could lead this process to
//! services that only it can reach. The check applies to the addresses that a name resolves to, and the
//! connection goes to exactly those: a second lookup could differ (DNS rebinding). Behind a proxy the
//! proxy resolves names, and only literal addresses can be checked here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::reach::Reach;
use crate::credentials::Allowances;
use crate::error::Failure;
use crate::settings::{
    LOOPBACK_VARIABLE, LoopbackAddresses, PRIVATE_ADDRESSES_VARIABLE, PrivateAddresses, Settings,
    TOKEN_SERVERS_VARIABLE,
};

/// A refused address; found again in the chain of causes of a failed request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForbiddenAddress {
    #[error("{0} is a link-local or metadata address; no registry is there")]
    Metadata(IpAddr),
    #[error(
        "{0} is an address of this machine; a registry is reached there only where it is written as localhost or \
         with that address"
    )]
    Loopback(IpAddr),
    #[error(
        "{0} is an address of this process alone; no registry is there, unless its administrator allows that by \
         {LOOPBACK_VARIABLE}, or by the addresses of this registry"
    )]
    OwnLoopback(IpAddr),
    #[error(
        "{0} is an address of this process or its node; a registry may be there, and what it leads to only if \
         {TOKEN_SERVERS_VARIABLE} lists it"
    )]
    ThisMachine(IpAddr),
    #[error("{0} is a private address; {PRIVATE_ADDRESSES_VARIABLE} says which hosts may have one")]
    Private(IpAddr),
}

/// Which addresses may be connected to.
#[derive(Debug, Clone)]
pub(super) struct AddressRules {
    reach: Reach,
    private: PrivateAddresses,
    own: Vec<IpAddr>,
    pod: Vec<IpAddr>,
    loopback: LoopbackAddresses,
    allowances: Allowances,
}

impl AddressRules {
    pub(super) fn new(reach: Reach, allowances: &Allowances, settings: &Settings) -> Self {
        Self {
            reach,
            private: settings.private_addresses,
            own: settings.own_addresses.clone(),
            pod: settings.pod_addresses.clone(),
            loopback: settings.loopback,
            allowances: allowances.clone(),
        }
    }

    /// Refuses literal addresses, which no resolver sees. The URL parser has already turned spellings such
    /// as `0xa9.254.43518` into the address.
    pub(super) fn check_literal(&self, url: &Url) -> Result<(), Failure> {
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        // Who writes a loopback address for a registry wants it.
        let may_be_loopback = self.reach != Reach::Foreign;
        self.check(address, may_be_loopback).map_err(|forbidden| Failure::refused(forbidden.to_string()))
    }

    fn check_resolved(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let may_be_loopback = self.reach == Reach::Loopback
            || self.reach == Reach::Own && self.loopback == LoopbackAddresses::Named;
        self.check(address, may_be_loopback)
    }

    fn check(&self, address: IpAddr, may_be_loopback: bool) -> Result<(), ForbiddenAddress> {
        if is_forbidden(address) {
            return Err(ForbiddenAddress::Metadata(address));
        }
        let plain = plain(address);
        // For what a registry names and no administrator, ranges allow nothing.
        if self.reach != Reach::Foreign && self.allowances.include(plain) {
            return Ok(());
        }
        // What listens in the pod is at its address as well as at loopback.
        if self.loopback == LoopbackAddresses::Nowhere && (plain.is_loopback() || self.pod.contains(&plain)) {
            return Err(ForbiddenAddress::OwnLoopback(address));
        }
        if plain.is_loopback() {
            return if may_be_loopback { Ok(()) } else { Err(ForbiddenAddress::Loopback(address)) };
        }
        // A registry that a spec names may be on the node, as in a cluster of one node, or behind it.
        if self.reach == Reach::Foreign && self.own.contains(&plain) {
            return Err(ForbiddenAddress::ThisMachine(address));
        }
        let may_be_private = match self.private {
            PrivateAddresses::Everywhere => true,
            PrivateAddresses::Registries => self.reach != Reach::Foreign,
            PrivateAddresses::Nowhere => false,
        };
        let is_refused = is_private(plain) && !may_be_private;
        if is_refused { Err(ForbiddenAddress::Private(address)) } else { Ok(()) }
    }
}

/// Returns the IPv4 address that an IPv6 one stands for, if it does.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        // `::1` is no IPv4 address.
        IpAddr::V6(v6) if !v6.is_loopback() => embedded_v4(v6).map_or(address, IpAddr::V4),
        _ => address,
    }
}

/// Whether it is in a range that only some network knows: RFC 1918, RFC 6598 (shared by carriers and cloud
/// networks), unique local (RFC 4193), site-local.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64,
        IpAddr::V6(v6) => v6.is_unique_local() || v6.segments()[0] & 0xffc0 == 0xfec0,
    }
}

/// Whether this is an address of metadata services, which no registry has.
///
/// Sources: AWS, GCP, Azure, Oracle and Alibaba documentation of instance metadata. IPv4 addresses
/// inside IPv6 ones (mapped, 6to4, NAT64) count as what they contain.
fn is_forbidden(address: IpAddr) -> bool {
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

/// The system's resolver, without names that have a forbidden address.
#[derive(Debug)]
pub(super) struct CheckedResolver {
    pub(super) rules: AddressRules,
    /// Addresses of names that are not resolved, as in `/etc/hosts`. Who writes them means them, be they here
    /// or private.
    pub(super) fixed: HashMap<String, SocketAddr>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (fixed, rules) = (self.fixed.get(name.as_str()).copied(), self.rules.clone());
        Box::pin(async move {
            if let Some(address) = fixed {
                if is_forbidden(address.ip()) {
                    return Err(ForbiddenAddress::Metadata(address.ip()).into());
                }
                return Ok(Box::new(std::iter::once(address)) as Addrs);
            }
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One bad address is enough: an honest name has none, whatever else it has.
            for address in &addresses {
                rules.check_resolved(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
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
            for reach in [Reach::Own, Reach::Foreign, Reach::Loopback] {
                assert!(rules(reach, PrivateAddresses::Everywhere).check_literal(&url).is_err(), "{host}");
            }
        }
    }

    fn rules(reach: Reach, private_addresses: PrivateAddresses) -> AddressRules {
        let own_addresses = vec!["10.1.2.3".parse().unwrap()];
        let settings = Settings { private_addresses, own_addresses, ..Settings::default() };
        AddressRules::new(reach, &Allowances::default(), &settings)
    }

    #[test]
    fn private_addresses_and_this_machine_are_where_registries_of_clusters_live() {
        for (host, reach) in [
            ("10.0.0.5", Reach::Own),
            ("192.168.1.1:5000", Reach::Own),
            ("172.16.0.1", Reach::Own),
            ("[fd12::1]", Reach::Own),
            ("127.0.0.1:5000", Reach::Loopback),
            ("[::1]:5000", Reach::Loopback),
        ] {
            let url: Url = format!("https://{host}/v2/").parse().unwrap();
            assert!(rules(reach, PrivateAddresses::Registries).check_literal(&url).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_a_registry_names_elsewhere_is_neither_private_nor_this_machine() {
        let foreign =
            |private, address: &str| rules(Reach::Foreign, private).check_resolved(address.parse().unwrap());
        for address in ["10.0.0.5", "100.64.0.1", "fd12::1", "::ffff:10.0.0.5", "64:ff9b::a00:5"] {
            assert!(foreign(PrivateAddresses::Registries, address).is_err(), "{address}");
            assert!(foreign(PrivateAddresses::Everywhere, address).is_ok(), "{address}");
        }
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"] {
            assert!(foreign(PrivateAddresses::Everywhere, address).is_err(), "{address}");
        }
        assert!(foreign(PrivateAddresses::Registries, "192.0.2.1").is_ok());
    }

    #[test]
    fn a_name_that_is_not_written_as_this_machine_does_not_lead_to_loopback() {
        let loopback = "127.0.0.1".parse().unwrap();
        let error = rules(Reach::Own, PrivateAddresses::Registries).check_resolved(loopback).unwrap_err();
        insta::assert_snapshot!(error, @"127.0.0.1 is an address of this machine; a registry is reached there only where it is written as localhost or with that address");
        let settings = Settings { loopback: LoopbackAddresses::Named, ..Settings::default() };
        assert!(
            AddressRules::new(Reach::Own, &Allowances::default(), &settings).check_resolved(loopback).is_ok()
        );
        assert!(
            rules(Reach::Own, PrivateAddresses::Nowhere).check_resolved("10.0.0.5".parse().unwrap()).is_err()
        );
    }

    #[tokio::test]
    async fn what_a_name_resolves_to_is_checked_before_anything_is_connected() {
        let is_resolved = async |reach| {
            let rules = rules(reach, PrivateAddresses::Everywhere);
            let resolver = CheckedResolver { rules, fixed: HashMap::new() };
            resolver.resolve("localhost".parse().unwrap()).await.is_ok()
        };
        assert!(is_resolved(Reach::Loopback).await, "this machine has the name");
        assert!(!is_resolved(Reach::Own).await && !is_resolved(Reach::Foreign).await);
    }

    #[test]
    fn where_registries_are_named_by_others_none_is_at_loopback_unless_its_addresses_are_allowed() {
        let settings = Settings {
            loopback: LoopbackAddresses::Nowhere,
            own_addresses: ["10.1.2.3", "10.0.0.9"].map(|own| own.parse().unwrap()).into(),
            pod_addresses: vec!["10.1.2.3".parse().unwrap()],
            ..Settings::default()
        };
        let allowances = Allowances::new(Vec::new(), vec!["127.0.0.2/32".parse().unwrap()]);
        for reach in [Reach::Own, Reach::Loopback, Reach::Foreign] {
            let rules = AddressRules::new(reach, &allowances, &settings);
            for host in ["127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3"] {
                let url: Url = format!("http://{host}:8080/metrics").parse().unwrap();
                let said = rules.check_literal(&url).unwrap_err().to_string();
                assert!(said.contains("no registry is there, unless"), "{host}: {said}");
            }
            let at = |address: &str| rules.check_resolved(address.parse().unwrap());
            assert!(at("127.0.0.1").is_err() && at("::1").is_err(), "localhost and names of it: {reach:?}");
            assert_eq!(at("127.0.0.2").is_ok(), reach != Reach::Foreign, "{reach:?}");
            assert!(at("10.1.2.3").is_err(), "the pod: {reach:?}");
            assert_eq!(at("10.0.0.9").is_ok(), reach != Reach::Foreign, "the node: {reach:?}");
        }
    }

    #[test]
    fn a_range_that_is_allowed_for_a_registry_lets_it_and_its_own_hosts_be_there_and_no_metadata_service() {
        let ranges = ["10.0.0.0/8", "127.0.0.2/32", "fd12::/16", "169.254.0.0/16"];
        let ranges = ranges.map(|range| range.parse().unwrap()).to_vec();
        let settings = Settings { private_addresses: PrivateAddresses::Nowhere, ..Settings::default() };
        let is_reached = |reach, address: &str| {
            let allowances = Allowances::new(Vec::new(), ranges.clone());
            let rules = AddressRules::new(reach, &allowances, &settings);
            rules.check_resolved(address.parse().unwrap()).is_ok()
        };
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.2", "fd12::1"] {
            assert!(is_reached(Reach::Own, address), "{address}");
            assert!(!is_reached(Reach::Foreign, address), "{address}");
        }
        for address in ["192.168.0.1", "127.0.0.1", "fd13::1", "169.254.169.254"] {
            assert!(!is_reached(Reach::Own, address), "{address}");
        }
    }

    #[test]
    fn a_registry_that_a_spec_names_may_be_on_the_node_and_what_it_leads_to_may_not() {
        let own = "10.1.2.3".parse().unwrap();
        assert!(rules(Reach::Own, PrivateAddresses::Registries).check_resolved(own).is_ok());
        let error = rules(Reach::Foreign, PrivateAddresses::Everywhere).check_resolved(own).unwrap_err();
        insta::assert_snapshot!(error, @"10.1.2.3 is an address of this process or its node; a registry may be there, and what it leads to only if REGISTRY_TOKEN_SERVERS lists it");
    }
}
