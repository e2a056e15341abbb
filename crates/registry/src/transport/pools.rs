//! One connection pool for each way to secure a connection.

use std::error::Error;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::CertificateError;

use super::address_guard::{AddressRules, CheckedResolver, ForbiddenAddress};
use super::concurrency_limit::MAX_CONCURRENT_REQUESTS;
use super::content_stream::BrokenOff;
use super::given_certificates;
use super::message::{Content, Request};
use super::reach::{Channel, Reach};
use crate::cache::{Bounded, NO_EXPIRY};
use crate::credentials::{ConnectionKey, Tls};
use crate::error::{Failure, Reason, Unreachable};
use crate::settings::{PRIVATE_ADDRESSES_VARIABLE, Settings};
use crate::text::clean;

/// Pools that are kept; clusters have few CA bundles.
const MAX_POOLS: usize = 64;

/// Bytes of one response that an HTTP/2 server may send before they are read. A connection holds as much
/// for each concurrent request, or responses that wait for memory would hold back the others.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;

/// Two registries share a pool if their TLS is the same. Where a registry leads elsewhere, a pool of its own
/// keeps to other addresses.
#[derive(Debug)]
pub(super) struct Pools(Mutex<Bounded<(ConnectionKey, Reach, Use), Client>>);

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Use {
    /// Requests that a server answers at once.
    Requests,
    /// Uploads, which a server answers when it has everything: that takes as long as they are large.
    Uploads,
}

impl Use {
    /// Returns what a request is.
    pub(super) fn of(request: &Request) -> Self {
        match &request.body {
            _ if request.work.is_some() => Self::Uploads,
            Some((_, Content::File { .. } | Content::Stream(_))) => Self::Uploads,
            Some((_, Content::Bytes(_))) | None => Self::Requests,
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MAX_POOLS)))
    }
}

impl Pools {
    /// Returns the pool for hosts of this reach. Registries on this machine are never reached through a proxy.
    pub(super) fn client(
        &self,
        channel: &Channel,
        reach: Reach,
        usage: Use,
        settings: &Settings,
    ) -> Result<Client, Failure> {
        let mut pools = self.0.lock();
        let key = (channel.key, reach, usage);
        if let Some(client) = pools.get(&key) {
            return Ok(client.clone());
        }
        let client = build(channel, reach, usage, settings)?;
        pools.insert(key, client.clone(), NO_EXPIRY);
        Ok(client)
    }
}

fn build(channel: &Channel, reach: Reach, usage: Use, settings: &Settings) -> Result<Client, Failure> {
    let rules = AddressRules::new(reach, &channel.allowances, settings);
    let resolver = CheckedResolver { rules, fixed: settings.addresses.clone() };
    let loopback = reach == Reach::Loopback;
    let builder = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout)
        // Each redirect and each retry is decided by this client: credentials are at stake.
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(STREAM_WINDOW_BYTES * MAX_CONCURRENT_REQUESTS)
        .dns_resolver(Arc::new(resolver));
    // It counts from the first byte that is sent; each upload has a time of its own.
    let builder = match usage {
        Use::Requests => builder.read_timeout(settings.read_timeout),
        Use::Uploads => builder,
    };
    let builder = if loopback || !settings.system_proxy { builder.no_proxy() } else { builder };
    let client = secured(builder, &channel.tls, loopback)?.build();
    client.map_err(|error| settings_failure(&format!("cannot set up TLS: {}", root_cause(&error))))
}

fn secured(builder: ClientBuilder, tls: &Tls, loopback: bool) -> Result<ClientBuilder, Failure> {
    match tls {
        // Reached over plain HTTP, so the system needs no roots for it.
        Tls::Verify { extra_ca_pem: None } if loopback => Ok(builder.tls_certs_only([])),
        Tls::SkipVerify => Ok(builder.tls_danger_accept_invalid_certs(true)),
        Tls::Verify { extra_ca_pem: Some(pem) } => {
            let given = given_certificates::parse(pem);
            if given.is_empty() {
                return Err(settings_failure("the CA bundle holds no PEM certificate"));
            }
            let config = given_certificates::client_config(given);
            let config = config.map_err(|error| settings_failure(&format!("cannot set up TLS: {error}")))?;
            Ok(builder.tls_backend_preconfigured(config))
        }
        // Plain HTTP as well: its token server may speak HTTPS.
        Tls::Verify { extra_ca_pem: None } | Tls::VerifyEverywhere | Tls::PlainHttp => Ok(builder),
    }
}

fn settings_failure(detail: &str) -> Failure {
    Failure::new(Reason::Settings, clean(detail, &[]))
}

/// Returns that a host which a registry names did not respond. Whoever runs that registry must not learn
/// which names and addresses there are in this network, so it is one text for all causes.
///
/// Where the address is refused, nothing was sent: another attempt would end so too, and neither it nor the
/// registry has failed.
pub(super) fn unreachable_foreign(host: &str, error: &reqwest::Error) -> Failure {
    let detail = format!(
        "{host}, which the registry names, gives no answer or has an address that is not allowed for it \
         ({PRIVATE_ADDRESSES_VARIABLE} says which hosts may have private ones)"
    );
    let is_local = forbidden_address(error).is_some();
    Failure { is_local, ..Failure::new(Reason::Unreachable(Unreachable::Connect), detail) }
}

fn forbidden_address(error: &reqwest::Error) -> Option<&ForbiddenAddress> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Returns why a body broke off. The host may be one that a registry names.
pub(crate) fn interrupted(host: &str, error: &reqwest::Error) -> Failure {
    let Failure { reason, detail, .. } = unreachable(error);
    let is_timeout = reason == Reason::Unreachable(Unreachable::Timeout);
    let what = if is_timeout { "sends nothing more".to_owned() } else { detail };
    Failure::new(reason, format!("{host}: {what}"))
}

/// Returns that what was being sent did not come, if that is why there was no response.
pub(super) fn broken_off(error: &reqwest::Error) -> Option<Failure> {
    let broken: &BrokenOff = causes(error).find_map(|cause| cause.downcast_ref())?;
    let reason = Reason::Unreachable(Unreachable::Interrupted);
    Some(Failure { is_local: true, ..Failure::new(reason, broken.to_string()) })
}

/// Returns why there was no response. The URL of the request is not repeated: it may hold a query.
pub(super) fn unreachable(error: &reqwest::Error) -> Failure {
    if let Some(forbidden) = forbidden_address(error) {
        return Failure::refused(forbidden.to_string());
    }
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    let with_cause = |what: &str| format!("{what}: {}", clean(&root_cause(error), &[]));
    // A cause that repeats the message is left out.
    let (class, detail) = if let Some(rustls::Error::InvalidMessage(_)) = tls {
        (Unreachable::NoTls, "the server does not speak TLS; does it speak plain HTTP?".to_owned())
    } else if let Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) = tls {
        let detail = "no CA that is trusted here has signed the host's certificate";
        (Unreachable::Tls, detail.to_owned())
    } else if error.is_timeout() {
        (Unreachable::Timeout, "no answer in time".to_owned())
    } else if error.is_dns() {
        let detail = with_cause("the name of the host cannot be resolved");
        (Unreachable::Dns, detail.replace(": failed to lookup address information: ", ": "))
    } else if tls.is_some() {
        (Unreachable::Tls, with_cause("no trusted TLS connection"))
    } else if error.is_connect() {
        (Unreachable::Connect, with_cause("no connection to the host"))
    } else {
        (Unreachable::Interrupted, with_cause("the connection broke"))
    };
    Failure::new(Reason::Unreachable(class), detail)
}

/// Returns the chain of causes, including those that `io::Error` hides from `source()`.
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
