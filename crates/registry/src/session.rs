//! What is known of one registry: its address, how it wants to be convinced, and the tokens it gave.
//!
//! The challenge is remembered, so a registry is not asked `GET /v2/` first, and after the first
//! 401 of a process no request is sent without what it needs.

use std::sync::{Mutex, PoisonError};

use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::access::basic;
use super::challenge::challenges;
use super::error::{Failure, Reason};
use super::exchange::{Answer, Call};
use super::mount::Mounts;
use super::referrers::Apis;
use super::shared_lists::SharedLists;
use super::token::{self, authorization};
use super::token_cache::TokenCache;
use super::transport::Transport;
use super::{Credential, Tls, realm};
use crate::reference::RegistryHost;

/// Requests that one question may cost: without proof, with an old token, with a new one.
const MOST_ROUNDS: usize = 3;

/// One registry, spoken to in one way.
#[derive(Debug)]
pub(super) struct Session {
    host: RegistryHost,
    base: Url,
    client: Client,
    scheme: Mutex<Option<Scheme>>,
    tokens: TokenCache,
    pub(super) lists: SharedLists,
    pub(super) mounts: Mounts,
    pub(super) referrers_apis: Apis,
}

/// How the registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// What went with a request.
#[derive(Debug)]
enum Proof {
    Nothing,
    /// The credential itself; there is no second try with it.
    Credential(HeaderValue),
    Token {
        header: HeaderValue,
        token: SecretString,
        is_new: bool,
    },
}

impl Session {
    pub(super) fn new(host: &RegistryHost, tls: &Tls, transport: &Transport) -> Result<Self, Failure> {
        let loopback = host.is_loopback();
        let plain = match tls {
            Tls::PlainHttp => true,
            Tls::Verify { extra_ca_pem: None } => loopback,
            Tls::Verify { extra_ca_pem: Some(_) } | Tls::SkipVerify => false,
        };
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{}/", host.api_host())
            .parse()
            .map_err(|_| Failure::new(Reason::Settings, format!("{host} is no address")))?;
        let client = transport.pools.client(tls, loopback, &transport.settings)?;
        Ok(Self {
            host: host.clone(),
            base,
            client,
            scheme: Mutex::default(),
            tokens: TokenCache::default(),
            lists: SharedLists::new(transport.lists.clone()),
            mounts: Mounts::default(),
            referrers_apis: Apis::default(),
        })
    }

    /// The address of something below `/v2/`.
    pub(super) fn url(&self, path: &str) -> Result<Url, Failure> {
        self.base.join(&format!("v2/{path}")).map_err(|_| Failure::protocol("no address"))
    }

    /// Sends a request with what the registry wants to see; `scope` may be several, with a blank between
    /// them. An answer of 401 that comes back from
    /// here is final: the credential was shown and not accepted, or there is none.
    pub(super) async fn send(
        &self,
        transport: &Transport,
        credential: Option<&Credential>,
        scope: &str,
        mut call: Call,
    ) -> Result<Answer, Failure> {
        call.identity = credential.map(Credential::fingerprint);
        if call.url.origin() != self.base.origin() {
            return transport.send(&self.client, &call).await;
        }
        let mut refused = None;
        let mut rounds = 1..MOST_ROUNDS;
        loop {
            let proof = self.prove(transport, credential, scope, refused.as_ref()).await?;
            call.authorization = proof.header();
            let answer = transport.send(&self.client, &call).await?;
            let is_ours = answer.url.origin() == self.base.origin();
            if answer.status != StatusCode::UNAUTHORIZED || !is_ours {
                return Ok(answer);
            }
            let changed = self.learn(&answer, &proof, transport)?;
            let again = match proof {
                Proof::Nothing => self.can_prove(credential),
                Proof::Credential(_) => changed,
                Proof::Token { is_new, token, .. } => {
                    refused = Some(token);
                    !is_new
                }
            };
            if !again || rounds.next().is_none() {
                return Ok(answer);
            }
        }
    }

    /// What to send along, as far as the registry has said what it wants.
    async fn prove(
        &self,
        transport: &Transport,
        credential: Option<&Credential>,
        scope: &str,
        refused: Option<&SecretString>,
    ) -> Result<Proof, Failure> {
        let (realm, service) = match (self.scheme(), credential) {
            (Some(Scheme::Basic), Some(Credential::Basic { username, password })) => {
                return Ok(Proof::Credential(authorization("Basic", &basic(username, password))?));
            }
            (Some(Scheme::Bearer { .. }), Some(Credential::RegistryToken(token))) => {
                return Ok(Proof::Credential(authorization("Bearer", token.expose_secret())?));
            }
            (None | Some(Scheme::Basic), _) => return Ok(Proof::Nothing),
            (Some(Scheme::Bearer { realm, service }), _) => (realm, service),
        };
        let key = (scope.to_owned(), credential.map(Credential::fingerprint));
        let fetch = || async {
            let call = token::request(&realm, service.as_deref(), scope, credential)?;
            let asked_at = Instant::now();
            let answer = transport.send(&self.client, &call).await?;
            token::read(&answer, asked_at, credential.is_some())
        };
        let fetched = self.tokens.get(&key, refused, fetch).await?;
        let header = authorization("Bearer", fetched.token.expose_secret())?;
        Ok(Proof::Token { header, token: fetched.token, is_new: fetched.is_new })
    }

    fn can_prove(&self, credential: Option<&Credential>) -> bool {
        match self.scheme() {
            None => false,
            Some(Scheme::Basic) => matches!(credential, Some(Credential::Basic { .. })),
            Some(Scheme::Bearer { .. }) => true,
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        self.scheme.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers how the registry wants to be convinced. Says whether that is news.
    fn learn(&self, answer: &Answer, shown: &Proof, transport: &Transport) -> Result<bool, Failure> {
        let offered = challenges(&answer.headers);
        let bearer = offered.iter().find(|c| c.scheme == "bearer" && c.parameter("realm").is_some());
        let scheme = if let Some(bearer) = bearer {
            let realm = bearer.parameter("realm").unwrap_or_default();
            let realm = realm::check(realm, &self.host, &self.base, &transport.settings)?;
            Some(Scheme::Bearer { realm, service: bearer.parameter("service").map(str::to_owned) })
        } else if matches!(shown, Proof::Token { .. }) {
            // Harbor answers an old token with a Basic challenge and still wants a token.
            None
        } else {
            offered.iter().any(|c| c.scheme == "basic").then_some(Scheme::Basic)
        };
        let mut known = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = scheme.is_some() && *known != scheme;
        if changed {
            *known = scheme;
        }
        Ok(changed)
    }
}

impl Proof {
    fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Credential(header) | Self::Token { header, .. } => Some(header.clone()),
        }
    }
}
