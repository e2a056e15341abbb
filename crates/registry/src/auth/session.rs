//! One registry: its URL, the authentication that it asks for, and the tokens that it gave.
//!
//! The challenge is remembered, so no `GET /v2/` precedes other requests, and after the first 401 of a
//! process no request is sent without its authorization.

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::challenge::challenges;
use super::token::{self, authorization};
use super::token_cache::TokenCache;
use super::token_server;
use crate::credentials::{Credential, Tls, basic};
use crate::error::{Failure, Reason};
use crate::reference::RegistryHost;
use crate::settings::Settings;
use crate::transport::{Http, Request, Response};

/// Requests that one call may take: without authorization, with an old token, with a new one.
const MAX_ROUNDS: usize = 3;

/// One registry, reached in one way.
#[derive(Debug)]
pub(crate) struct Session {
    host: RegistryHost,
    base: Url,
    pool: Client,
    scheme: Mutex<Option<Scheme>>,
    tokens: TokenCache,
}

/// The authentication that the registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// What a request authenticates with.
#[derive(Debug)]
enum Authorization {
    Anonymous,
    /// The credential itself; there is no second try with it.
    Credential(HeaderValue),
    Token {
        header: HeaderValue,
        token: SecretString,
        is_new: bool,
    },
}

impl Session {
    /// Returns a session without requests. Fails where the settings give no connection pool.
    pub(crate) fn new(host: &RegistryHost, tls: &Tls, http: &Http) -> Result<Self, Failure> {
        let loopback = host.is_loopback();
        let is_plain = match tls {
            Tls::PlainHttp => true,
            Tls::Verify { extra_ca_pem: None } => loopback,
            Tls::Verify { extra_ca_pem: Some(_) } | Tls::SkipVerify => false,
        };
        let scheme = if is_plain { "http" } else { "https" };
        let base = format!("{scheme}://{}/", host.api_host())
            .parse()
            .map_err(|_| Failure::new(Reason::Settings, format!("{host} is no address")))?;
        Ok(Self {
            host: host.clone(),
            base,
            pool: http.pool(tls, loopback)?,
            scheme: Mutex::default(),
            tokens: TokenCache::default(),
        })
    }

    /// Returns the URL of something below `/v2/`.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Failure> {
        self.base.join(&format!("v2/{path}")).map_err(|_| Failure::protocol("no address"))
    }

    /// Sends a request with the authorization that the registry asks for. `scope` may be several, with a
    /// blank between them. A 401 that is returned is final: the credential was sent and not accepted, or
    /// there is none.
    pub(crate) async fn send(
        &self,
        http: &Http,
        credential: Option<&Credential>,
        scope: &str,
        mut request: Request,
    ) -> Result<Response, Failure> {
        request.identity = credential.map(Credential::fingerprint);
        if request.url.origin() != self.base.origin() {
            return http.send(&self.pool, &request).await;
        }
        let mut refused = None;
        let mut rounds = 1..MAX_ROUNDS;
        loop {
            let sent = self.authorize(http, credential, scope, refused.as_ref()).await?;
            request.authorization = sent.header();
            let response = http.send(&self.pool, &request).await?;
            let is_registry = response.url.origin() == self.base.origin();
            if response.status != StatusCode::UNAUTHORIZED || !is_registry {
                return Ok(response);
            }
            let is_news = self.learn_scheme(&response, &sent, http.settings())?;
            let is_worth_another = match sent {
                Authorization::Anonymous => self.can_authorize(credential),
                Authorization::Credential(_) => is_news,
                Authorization::Token { is_new, token, .. } => {
                    refused = Some(token);
                    !is_new
                }
            };
            if !is_worth_another || rounds.next().is_none() {
                return Ok(response);
            }
        }
    }

    /// Returns what to send, as far as the registry has made a challenge.
    async fn authorize(
        &self,
        http: &Http,
        credential: Option<&Credential>,
        scope: &str,
        refused: Option<&SecretString>,
    ) -> Result<Authorization, Failure> {
        let (realm, service) = match (self.scheme.lock().clone(), credential) {
            (Some(Scheme::Basic), Some(Credential::Basic { username, password })) => {
                return Ok(Authorization::Credential(authorization("Basic", &basic(username, password))?));
            }
            (Some(Scheme::Bearer { .. }), Some(Credential::RegistryToken(token))) => {
                return Ok(Authorization::Credential(authorization("Bearer", token.expose_secret())?));
            }
            (None | Some(Scheme::Basic), _) => return Ok(Authorization::Anonymous),
            (Some(Scheme::Bearer { realm, service }), _) => (realm, service),
        };
        let key = (scope.to_owned(), credential.map(Credential::fingerprint));
        let fetch = || async {
            let request = token::request(&realm, service.as_deref(), scope, credential)?;
            let asked_at = Instant::now();
            let response = http.send(&self.pool, &request).await?;
            token::read(&response, asked_at, credential.is_some())
        };
        let fetched = self.tokens.get(&key, refused, fetch).await?;
        let header = authorization("Bearer", fetched.token.expose_secret())?;
        Ok(Authorization::Token { header, token: fetched.token, is_new: fetched.is_new })
    }

    fn can_authorize(&self, credential: Option<&Credential>) -> bool {
        match *self.scheme.lock() {
            None => false,
            Some(Scheme::Basic) => matches!(credential, Some(Credential::Basic { .. })),
            Some(Scheme::Bearer { .. }) => true,
        }
    }

    /// Remembers the authentication that the registry asks for. Returns whether that is news.
    fn learn_scheme(
        &self,
        response: &Response,
        sent: &Authorization,
        settings: &Settings,
    ) -> Result<bool, Failure> {
        let offered = challenges(&response.headers);
        let bearer = offered.iter().find(|c| c.scheme == "bearer" && c.parameter("realm").is_some());
        let scheme = if let Some(bearer) = bearer {
            let realm = bearer.parameter("realm").unwrap_or_default();
            let realm = token_server::check(realm, &self.host, &self.base, settings)?;
            Some(Scheme::Bearer { realm, service: bearer.parameter("service").map(str::to_owned) })
        } else if matches!(sent, Authorization::Token { .. }) {
            // Harbor answers an old token with a Basic challenge and still wants a token.
            None
        } else {
            offered.iter().any(|c| c.scheme == "basic").then_some(Scheme::Basic)
        };
        let mut known = self.scheme.lock();
        let is_news = scheme.is_some() && *known != scheme;
        if is_news {
            *known = scheme;
        }
        Ok(is_news)
    }
}

impl Authorization {
    fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Anonymous => None,
            Self::Credential(header) | Self::Token { header, .. } => Some(header.clone()),
        }
    }
}
