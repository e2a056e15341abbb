//! Where the agent listens, as its setting `LISTEN` says.

use std::net::SocketAddr;

/// Returns the address of a listener with which every pod of the agent starts, and at which the kubelet reaches it: all addresses
/// of the pod, and a port. Which address a pod gets is not known before it runs, and its loopback is reached from within it alone.
pub fn listener(text: &str) -> Option<SocketAddr> {
    let is_usable =
        |address: &SocketAddr| address.port() != 0 && address.ip().to_canonical().is_unspecified();
    text.parse::<SocketAddr>().ok().filter(is_usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_addresses_with_a_port_are_there_in_every_pod() {
        for address in ["0.0.0.0:9090", "[::]:9090", "[::ffff:0.0.0.0]:9090"] {
            assert_eq!(listener(address).map(|listener| listener.to_string()).as_deref(), Some(address));
        }
        let of_one_pod = ["10.0.0.1:9090", "[fd00::1]:9090", "127.0.0.1:9090", "[::1]:9090"];
        let unreadable = [":9090", "localhost:9090", "0.0.0.0", "0.0.0.0:0", "9090", ""];
        for address in of_one_pod.into_iter().chain(unreadable) {
            assert_eq!(listener(address), None, "{address}");
        }
    }
}
