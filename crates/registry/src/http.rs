//! One connection pool for each way to secure a connection.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use rustls::CertificateError;

use super::access::TlsKey;
use super::address::{CheckedResolver, ForbiddenAddress};
use super::budget::MOST_REQUESTS;
use super::error::{Failure, Reason, Unreachable};
use super::server_text::clean;
use super::{Settings, Tls};

/// Clusters have few CA bundles; should somebody try to make many, the pools start anew.
const MOST_POOLS: usize = 64;

/// Bytes of one answer that an HTTP/2 server may send before they are read. A connection holds as much for
/// each request that may be under way, or answers that wait for room would keep the others back.
const WINDOW: u32 = 128 << 10;

/// Two registries share a pool if their TLS is the same and both or neither are on this machine.
#[derive(Debug, Default)]
pub(super) struct Pools(Mutex<HashMap<(TlsKey, bool), Client>>);

impl Pools {
    /// Registries on this machine are never reached through a proxy.
    pub(super) fn client(&self, tls: &Tls, loopback: bool, settings: &Settings) -> Result<Client, Failure> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tls.key(), loopback);
        if let Some(client) = pools.get(&key) {
            return Ok(client.clone());
        }
        let client = build(tls, loopback, settings)?;
        if pools.len() >= MOST_POOLS {
            pools.clear();
        }
        pools.insert(key, client.clone());
        Ok(client)
    }
}

fn build(tls: &Tls, loopback: bool, settings: &Settings) -> Result<Client, Failure> {
    let builder = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .timeout(settings.request_timeout)
        // Each redirect and each repetition is our own decision: credentials are at stake.
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW * MOST_REQUESTS)
        .dns_resolver(Arc::new(CheckedResolver { fixed: settings.addresses.clone() }));
    let builder = if loopback || !settings.system_proxy { builder.no_proxy() } else { builder };
    let client = secured(builder, tls, loopback)?.build();
    client.map_err(|error| settings_failure(&format!("cannot set up TLS: {}", root_cause(&error))))
}

fn secured(builder: ClientBuilder, tls: &Tls, loopback: bool) -> Result<ClientBuilder, Failure> {
    match tls {
        // Spoken to in plain HTTP, so the system needs no roots for it.
        Tls::Verify { extra_ca_pem: None } if loopback => Ok(builder.tls_certs_only([])),
        Tls::SkipVerify => Ok(builder.tls_danger_accept_invalid_certs(true)),
        Tls::Verify { extra_ca_pem: Some(pem) } => {
            let certificates = Certificate::from_pem_bundle(pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(settings_failure("the CA bundle holds no PEM certificate"));
            }
            Ok(builder.tls_certs_merge(certificates))
        }
        // Plain HTTP as well: its token server may be an HTTPS one.
        Tls::Verify { extra_ca_pem: None } | Tls::PlainHttp => Ok(builder),
    }
}

fn settings_failure(detail: &str) -> Failure {
    Failure::new(Reason::Settings, clean(detail, &[]))
}

/// Why there was no answer. The address of the request is not repeated: it may hold a query.
pub(super) fn unreachable(error: &reqwest::Error) -> Failure {
    if let Some(forbidden) = causes(error).find_map(|cause| cause.downcast_ref::<ForbiddenAddress>()) {
        return Failure::refused(forbidden.to_string());
    }
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    let because = |what: &str| format!("{what}: {}", clean(&root_cause(error), &[]));
    // Where the cause says the same again it is left out.
    let (class, detail) = if let Some(rustls::Error::InvalidMessage(_)) = tls {
        (Unreachable::NoTls, "the server does not speak TLS; is it a plain HTTP registry?".to_owned())
    } else if let Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) = tls {
        let detail = "no CA that is trusted here has signed the registry's certificate";
        (Unreachable::Tls, detail.to_owned())
    } else if error.is_timeout() {
        (Unreachable::Timeout, "no answer in time".to_owned())
    } else if error.is_dns() {
        let detail = because("the name of the registry cannot be resolved");
        (Unreachable::Dns, detail.replace(": failed to lookup address information: ", ": "))
    } else if tls.is_some() {
        (Unreachable::Tls, because("no trusted TLS connection"))
    } else if error.is_connect() {
        (Unreachable::Connect, because("no connection to the registry"))
    } else {
        (Unreachable::Interrupted, because("the connection broke"))
    };
    Failure::new(Reason::Unreachable(class), detail)
}

/// The chain of causes, including those that `io::Error` hides from `source()`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn root_cause(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
