//! One registry: its URL, the authentication that it asks for, and the tokens that it gave.
//!
//! The challenge is remembered, so no `GET /v2/` precedes other requests, and after the first 401 of a
//! process no request is sent without its authorization.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::call::Call;
use super::challenge::challenges;
use super::token::{self, authorization};
use super::token_cache::{TokenCache, TokenKey};
use super::token_server;
use crate::cache::Bounded;
use crate::credentials::{Credential, Tls, basic};
use crate::error::{Failure, Reason};
use crate::reference::RegistryHost;
use crate::transport::{Http, Request, Response, is_alias_of};

/// Bytes of the base of the API, which says nothing.
const MAX_PING_BYTES: usize = 64 << 10;
/// Repositories of a registry whose scheme or scope differs from the usual.
const MAX_EXCEPTIONS: usize = 1024;
/// How long an exception is remembered.
const EXCEPTION_TTL: Duration = Duration::from_hours(24);

/// One registry, reached in one way.
#[derive(Debug)]
pub(crate) struct Session {
    host: RegistryHost,
    base: Url,
    pool: Client,
    schemes: Mutex<Schemes>,
    /// The scopes that the registry wanted instead of those of the specification, and from whom: one for
    /// pushes is never asked for without a credential.
    scopes: Mutex<Bounded<TokenKey, String>>,
    tokens: TokenCache,
    /// Whether `GET /v2/` was sent to a registry that made no challenge elsewhere.
    has_pinged: AtomicBool,
}

/// The authentication that the registry asks for: a proxy may have another for some of its repositories.
#[derive(Debug)]
struct Schemes {
    usual: Option<Scheme>,
    by_scope: Bounded<String, Scheme>,
}

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
            schemes: Mutex::new(Schemes { usual: None, by_scope: Bounded::new(MAX_EXCEPTIONS) }),
            scopes: Mutex::new(Bounded::new(MAX_EXCEPTIONS)),
            tokens: TokenCache::default(),
            has_pinged: AtomicBool::new(false),
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
        let is_alias = is_alias_of(&self.base, &request.url);
        if request.url.origin() != self.base.origin() && !is_alias {
            return http.send(&self.pool, &request).await;
        }
        let token_scope = self.scopes.lock().get(&(scope.to_owned(), request.identity)).cloned();
        let mut call = Call::new(credential, scope, token_scope, request.body.is_none());
        loop {
            let sent = match self.authorize(http, &call).await {
                Err(failure) => call.probe(failure).map(|()| Authorization::Anonymous)?,
                Ok(sent) => sent,
            };
            // A later page may be at the registry behind an alias, which takes its tokens alone.
            let may_see = !is_alias || matches!(sent, Authorization::Token { .. });
            request.authorization = sent.header().filter(|_| may_see);
            let response = http.send(&self.pool, &request).await?;
            call.rounds_left -= 1;
            let is_worth_another = self.is_worth_another(http, &mut call, &response, &sent).await?;
            if let Some(failure) = call.token_failure.take().filter(|_| !is_worth_another) {
                return Err(failure);
            }
            if !is_worth_another || call.rounds_left == 0 {
                if response.status != StatusCode::UNAUTHORIZED {
                    self.remember_scope(&call);
                }
                return Ok(response);
            }
        }
    }

    /// Whether the same request may have another response with another authorization.
    async fn is_worth_another(
        &self,
        http: &Http,
        call: &mut Call<'_>,
        response: &Response,
        sent: &Authorization,
    ) -> Result<bool, Failure> {
        let is_registry =
            response.url.origin() == self.base.origin() || is_alias_of(&self.base, &response.url);
        if !is_registry {
            return Ok(false);
        }
        if response.status != StatusCode::UNAUTHORIZED {
            return self.hides_its_challenge(http, call, response).await;
        }
        let is_news = self.learn_scheme(call.scope, response, sent)?;
        call.has_learned |= is_news;
        if call.token_failure.is_some() {
            return Ok(is_news);
        }
        match sent {
            Authorization::Anonymous => {
                let can_authorize = self.can_authorize(call);
                Ok(can_authorize || self.hides_its_challenge(http, call, response).await?)
            }
            Authorization::Credential(_) => Ok(is_news),
            Authorization::Token { is_new, token, .. } => {
                call.refused = Some(token.clone());
                Ok(is_news || !is_new || call.take_other_scope(response))
            }
        }
    }

    /// Whether a registry that made no challenge makes one at the base of its API. Some answer an
    /// anonymous request with 404, 403 or a bare 401 and say only there how to authenticate; each is asked
    /// once.
    async fn hides_its_challenge(
        &self,
        http: &Http,
        call: &mut Call<'_>,
        response: &Response,
    ) -> Result<bool, Failure> {
        let may_hide = call.is_read && call.credential.is_some();
        let may_hide = may_hide && matches!(response.status.as_u16(), 401 | 403 | 404);
        if !may_hide || self.scheme(call.scope).is_some() || self.has_pinged.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let ping = Request { identity: call.identity(), ..Request::get(self.url("")?, MAX_PING_BYTES) };
        // Where it fails, the first response stands.
        let Ok(response) = http.send(&self.pool, &ping).await else { return Ok(false) };
        let is_challenge = response.status == StatusCode::UNAUTHORIZED
            && response.url.origin() == self.base.origin()
            && self.learn_scheme(call.scope, &response, &Authorization::Anonymous)?;
        call.has_learned |= is_challenge;
        Ok(is_challenge && self.can_authorize(call))
    }

    /// Returns what to send, as far as the registry has made a challenge.
    async fn authorize(&self, http: &Http, call: &Call<'_>) -> Result<Authorization, Failure> {
        let credential = call.credential;
        let (realm, service) = match (self.scheme(call.scope), credential) {
            (Some(Scheme::Basic), Some(Credential::Basic { username, password })) => {
                return Ok(Authorization::Credential(authorization("Basic", &basic(username, password))?));
            }
            (Some(Scheme::Bearer { .. }), Some(Credential::RegistryToken(token))) => {
                return Ok(Authorization::Credential(authorization("Bearer", token.expose_secret())?));
            }
            (None | Some(Scheme::Basic), _) => return Ok(Authorization::Anonymous),
            (Some(Scheme::Bearer { realm, service }), _) => (realm, service),
        };
        // Checked with each use: the challenge may have come to a client without a credential.
        token_server::check(&realm, &self.host, &self.base, http.settings(), credential.is_some())?;
        let scope = call.token_scope();
        let key = (scope.to_owned(), call.identity());
        let fetch = || async {
            let request = token::request(&realm, service.as_deref(), scope, credential)?;
            let asked_at = Instant::now();
            let response = http.send(&self.pool, &request).await?;
            token::read(&response, asked_at, credential.is_some())
        };
        let fetched = self.tokens.get(&key, call.refused.as_ref(), fetch).await?;
        let header = authorization("Bearer", fetched.token.expose_secret())?;
        Ok(Authorization::Token { header, token: fetched.token, is_new: fetched.is_new })
    }

    fn can_authorize(&self, call: &Call<'_>) -> bool {
        match self.scheme(call.scope) {
            None => false,
            Some(Scheme::Basic) => matches!(call.credential, Some(Credential::Basic { .. })),
            Some(Scheme::Bearer { .. }) => true,
        }
    }

    fn scheme(&self, scope: &str) -> Option<Scheme> {
        let schemes = self.schemes.lock();
        schemes.by_scope.get(&scope.to_owned()).or(schemes.usual.as_ref()).cloned()
    }

    /// Remembers the authentication that the registry asks for. Returns whether that is news.
    fn learn_scheme(&self, scope: &str, response: &Response, sent: &Authorization) -> Result<bool, Failure> {
        let offered = challenges(&response.headers);
        let bearer = offered.iter().find(|c| c.scheme == "bearer" && c.parameter("realm").is_some());
        let scheme = if let Some(bearer) = bearer {
            let realm = token_server::parse(bearer.parameter("realm").unwrap_or_default(), &self.base)?;
            Some(Scheme::Bearer { realm, service: bearer.parameter("service").map(str::to_owned) })
        } else if matches!(sent, Authorization::Token { .. }) {
            // Harbor answers an old token with a Basic challenge and still wants a token.
            None
        } else {
            offered.iter().any(|c| c.scheme == "basic").then_some(Scheme::Basic)
        };
        let Some(scheme) = scheme.filter(|scheme| self.scheme(scope).as_ref() != Some(scheme)) else {
            return Ok(false);
        };
        let mut schemes = self.schemes.lock();
        if schemes.usual.is_none() {
            schemes.usual = Some(scheme);
        } else {
            schemes.by_scope.insert(scope.to_owned(), scheme, EXCEPTION_TTL);
        }
        Ok(true)
    }

    /// Remembers the scope that was accepted, if it is another than that of the specification.
    fn remember_scope(&self, call: &Call<'_>) {
        if call.token_scope() != call.scope {
            let mut scopes = self.scopes.lock();
            let key = (call.scope.to_owned(), call.identity());
            scopes.insert(key, call.token_scope().to_owned(), EXCEPTION_TTL);
        }
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
