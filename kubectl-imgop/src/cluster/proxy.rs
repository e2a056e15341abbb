//! Decides whether the API server is reached through the proxy of the environment.
//!
//! kube 5.0 compares `NO_PROXY` with the address of the proxy instead of that of the API server, so
//! the decision is made here, by the rules of kubectl (golang.org/x/net/http/httpproxy). `hyper-util` has a
//! matcher, but by the rules of curl: without ports, without `*.` domains, without loopback addresses, and
//! with a `*` that matches no IP address.

use std::net::IpAddr;

use kube::Config;

/// Removes the proxy of the environment where `NO_PROXY` or the address excludes the API server. A
/// `proxy-url` of the kubeconfig is never changed.
pub fn respect_no_proxy(config: &mut Config, variable: impl Fn(&str) -> Option<String>) {
    let either = |upper: &str, lower: &str| variable(upper).or_else(|| variable(lower)).unwrap_or_default();
    let of_environment = either("HTTPS_PROXY", "https_proxy");
    let is_of_environment = config.proxy_url == of_environment.parse().ok();
    let (host, port) = (config.cluster_url.host().unwrap_or_default(), config.cluster_url.port_u16());
    let is_direct = is_this_machine(host) || is_excluded(host, port, &either("NO_PROXY", "no_proxy"));
    if is_of_environment && is_direct {
        config.proxy_url = None;
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|ip| ip.is_loopback())
}

/// Returns whether `NO_PROXY` names the host: itself, a domain that it is in, its address, or its network.
fn is_excluded(host: &str, port: Option<u16>, no_proxy: &str) -> bool {
    no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(ip) = address(host) {
            return is_in_network(ip, entry) || address(entry) == Some(ip);
        }
        let (name, only_port) = match entry.rsplit_once(':') {
            Some((name, digits)) => (name, digits.parse().ok()),
            None => (entry, None),
        };
        let name = name.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        let is_named = host.strip_suffix(&name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        is_named && (only_port.is_none() || only_port == port)
    })
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_in_network(ip: IpAddr, network: &str) -> bool {
    let Some((base, length)) = network.split_once('/') else { return false };
    let (Some(base), Ok(length)) = (address(base), length.parse::<u32>()) else { return false };
    let differ = match (ip, base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => u128::from(ip.to_bits() ^ base.to_bits()) << 96,
        (IpAddr::V6(ip), IpAddr::V6(base)) => ip.to_bits() ^ base.to_bits(),
        _ => return false,
    };
    differ.leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_for(server: &str, no_proxy: &str, proxy_of_kubeconfig: Option<&str>) -> Option<String> {
        let mut config = Config::new(server.parse().unwrap());
        config.proxy_url = Some(proxy_of_kubeconfig.unwrap_or("http://proxy.corp:3128").parse().unwrap());
        let variable = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://proxy.corp:3128".to_owned()),
            "no_proxy" => Some(no_proxy.to_owned()),
            _ => None,
        };
        respect_no_proxy(&mut config, variable);
        config.proxy_url.map(|url| url.to_string())
    }

    #[test]
    fn no_proxy_is_compared_with_the_api_server() {
        for (server, no_proxy) in [
            ("https://10.1.2.3:6443", "10.0.0.0/8"),
            ("https://10.1.2.3:6443", "a.com, 10.1.2.3"),
            ("https://[fd00::1]:6443", "fd00::/16"),
            ("https://api.corp.example", "corp.example"),
            ("https://api.corp.example", ".corp.example"),
            ("https://api.corp.example:6443", "api.corp.example:6443"),
            ("https://anything", "*"),
            ("https://127.0.0.1:6443", ""),
            ("https://localhost:6443", ""),
        ] {
            assert_eq!(proxy_for(server, no_proxy, None), None, "{server} {no_proxy}");
        }
        for (server, no_proxy) in [
            ("https://11.1.2.3:6443", "10.0.0.0/8"),
            ("https://api.notcorp.example", "corp.example"),
            ("https://api.corp.example:6443", "api.corp.example:443"),
            ("https://10.1.2.3", "10.0.0.0/x,/8,proxy.corp"),
        ] {
            assert!(proxy_for(server, no_proxy, None).is_some(), "{server} {no_proxy}");
        }
    }

    #[test]
    fn a_proxy_of_the_kubeconfig_stays() {
        let own = proxy_for("https://127.0.0.1:6443", "*", Some("socks5://localhost:1080"));
        assert_eq!(own.as_deref(), Some("socks5://localhost:1080/"));
    }
}
