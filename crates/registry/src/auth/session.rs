//! One registry: its URL, the authentication that it asks for, and the tokens that it gave.
//!
//! The challenge is remembered, so no `GET /v2/` precedes other requests, and after the first 401 of a
//! process no request is sent without its authorization.

use std::time::Duration;

use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use super::call::{Call, Caller, Role};
use super::challenge::challenges;
use super::scope::Scopes;
use super::token::{self, authorization};
use super::token_cache::{TokenCache, TokenKey};
use super::token_server;
use crate::cache::Bounded;
use crate::credentials::{Access, Credential, Tls, basic};
use crate::error::{Failure, Reason};
use crate::reference::RegistryHost;
use crate::transport::{Channel, Http, Request, Response, error_of, is_alias_of};

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
    channel: Channel,
    schemes: Mutex<Schemes>,
    /// The scopes that the registry wanted instead of those of the specification, and from whom: one for
    /// pushes is never asked for without a credential, nor where nothing is pushed.
    scopes: Mutex<Bounded<(TokenKey, Role), Scopes>>,
    tokens: TokenCache,
    /// Set once the base of the API has answered, which is asked where no challenge was made elsewhere.
    ping: OnceCell<()>,
}

/// The authentication that the registry asks for: a proxy may have another for some of its repositories.
#[derive(Debug)]
struct Schemes {
    usual: Option<Scheme>,
    by_scope: Bounded<Scopes, Scheme>,
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
    pub(crate) fn new(host: &RegistryHost, access: &Access, http: &Http) -> Result<Self, Failure> {
        let loopback = host.is_loopback();
        let is_plain = match &access.tls {
            Tls::PlainHttp => true,
            Tls::Verify { extra_ca_pem: None } => loopback,
            Tls::Verify { extra_ca_pem: Some(_) } | Tls::VerifyEverywhere | Tls::SkipVerify => false,
        };
        let scheme = if is_plain { "http" } else { "https" };
        let base: Url = format!("{scheme}://{}/", host.api_host())
            .parse()
            .map_err(|_| Failure::new(Reason::Settings, format!("{host} is no address")))?;
        Ok(Self {
            host: host.clone(),
            channel: http.channel(base.clone(), access, Some(host))?,
            base,
            schemes: Mutex::new(Schemes { usual: None, by_scope: Bounded::new(MAX_EXCEPTIONS) }),
            scopes: Mutex::new(Bounded::new(MAX_EXCEPTIONS)),
            tokens: TokenCache::default(),
            ping: OnceCell::new(),
        })
    }

    /// Returns the URL of something below `/v2/`.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Failure> {
        self.base.join(&format!("v2/{path}")).map_err(|_| Failure::protocol("no address"))
    }

    /// Sends a request that needs these scopes with the authorization that the registry asks for. A 401 that
    /// is returned is final: the credential was sent and not accepted, or there is none.
    pub(crate) async fn send(
        &self,
        http: &Http,
        caller: Caller<'_>,
        scopes: &Scopes,
        mut request: Request,
    ) -> Result<Response, Failure> {
        request.identity = caller.identity();
        let is_alias = is_alias_of(&self.base, &request.url);
        if request.url.origin() != self.base.origin() && !is_alias {
            return http.send(&self.channel, &request).await;
        }
        let key = ((scopes.clone(), request.identity), caller.role);
        let token_scopes = self.scopes.lock().get(&key).cloned();
        let mut call = Call::new(caller, scopes, token_scopes, request.body.is_none());
        loop {
            let sent = match self.authorize(http, &call).await {
                Err(failure) => call.probe(failure).map(|()| Authorization::Anonymous)?,
                Ok(sent) => sent,
            };
            request.is_authorized_by_token = matches!(sent, Authorization::Token { .. });
            // A later page may be at the registry behind an alias, which takes its tokens alone.
            request.authorization = sent.header().filter(|_| !is_alias || request.is_authorized_by_token);
            let response = http.send(&self.channel, &request).await?;
            call.rounds_left -= 1;
            let is_worth_another = self.is_worth_another(http, &mut call, &response, &sent).await?;
            if is_worth_another && call.rounds_left > 0 {
                call.token_failure = None;
                continue;
            }
            // What a registry serves to all needs no token.
            if let Some(failure) = call.token_failure.take().filter(|_| !response.status.is_success()) {
                return Err(failure);
            }
            if response.status != StatusCode::UNAUTHORIZED && call.token_scopes() != scopes {
                self.scopes.lock().insert(key, call.token_scopes().clone(), EXCEPTION_TTL);
            }
            return Ok(response);
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
            return self.ping_for_challenge(http, call, response, sent).await;
        }
        let is_news = self.learn_scheme(call.scopes, response, sent)?;
        call.has_learned |= is_news;
        if call.token_failure.is_some() {
            return Ok(is_news);
        }
        match sent {
            Authorization::Anonymous => {
                let can_authorize = self.can_authorize(call);
                Ok(can_authorize || self.ping_for_challenge(http, call, response, sent).await?)
            }
            Authorization::Credential(_) => Ok(is_news),
            Authorization::Token { is_new, token, .. } => {
                call.refused = Some(token.clone());
                Ok(is_news || !is_new || call.take_other_scopes(response))
            }
        }
    }

    /// Whether a registry that made no challenge makes one at the base of its API, or has made one since the
    /// request was sent. Some answer an anonymous request with 404, 403 or a bare 401 and say only there how
    /// to authenticate; each is asked until it has answered.
    async fn ping_for_challenge(
        &self,
        http: &Http,
        call: &mut Call<'_>,
        response: &Response,
        sent: &Authorization,
    ) -> Result<bool, Failure> {
        let is_anonymous = matches!(sent, Authorization::Anonymous) && call.token_failure.is_none();
        let may_hide = is_anonymous && call.is_read && call.caller.credential.is_some();
        if !may_hide || !matches!(response.status.as_u16(), 401 | 403 | 404) {
            return Ok(false);
        }
        if self.scheme(call.scopes).is_none()
            && let Err(failure) = self.ping.get_or_try_init(|| self.ping(http, call)).await
        {
            // Nothing is absent because a challenge could not be read; a refusal stays one.
            let is_absence = response.status == StatusCode::NOT_FOUND;
            return if is_absence { Err(failure) } else { Ok(false) };
        }
        let is_known = self.can_authorize(call);
        call.has_learned |= is_known;
        Ok(is_known)
    }

    /// Asks the base of the API for its challenge. Fails where it gives no answer that lasts.
    async fn ping(&self, http: &Http, call: &Call<'_>) -> Result<(), Failure> {
        let identity = call.caller.identity();
        let ping = Request { identity, ..Request::get(self.url("")?, MAX_PING_BYTES) };
        let response = match http.send(&self.channel, &ping).await {
            Ok(response) => response,
            // A redirect that is not followed, or more than a ping says, is an answer.
            Err(failure) if failure.status.is_some() => return Ok(()),
            Err(failure) => return Err(failure),
        };
        if response.status.is_server_error() || response.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(error_of(&response, &[]));
        }
        if response.status == StatusCode::UNAUTHORIZED && response.url.origin() == self.base.origin() {
            self.learn_scheme(call.scopes, &response, &Authorization::Anonymous)?;
        }
        Ok(())
    }

    /// Returns what to send, as far as the registry has made a challenge.
    async fn authorize(&self, http: &Http, call: &Call<'_>) -> Result<Authorization, Failure> {
        let credential = call.caller.credential;
        let (realm, service) = match (self.scheme(call.scopes), credential) {
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
        token_server::check(&realm, &self.host, &self.channel, credential.is_some())?;
        let scopes = call.token_scopes();
        let key = (scopes.clone(), call.caller.identity());
        let fetch = || async {
            let request = token::request(&realm, service.as_deref(), scopes, credential)?;
            let asked_at = Instant::now();
            let response = http.send(&self.channel, &request).await?;
            token::read(&response, asked_at, credential.is_some())
        };
        let fetched = self.tokens.get(&key, call.refused.as_ref(), fetch).await?;
        let header = authorization("Bearer", fetched.token.expose_secret())?;
        Ok(Authorization::Token { header, token: fetched.token, is_new: fetched.is_new })
    }

    fn can_authorize(&self, call: &Call<'_>) -> bool {
        match self.scheme(call.scopes) {
            None => false,
            Some(Scheme::Basic) => matches!(call.caller.credential, Some(Credential::Basic { .. })),
            Some(Scheme::Bearer { .. }) => true,
        }
    }

    fn scheme(&self, scopes: &Scopes) -> Option<Scheme> {
        let schemes = self.schemes.lock();
        schemes.by_scope.get(scopes).or(schemes.usual.as_ref()).cloned()
    }

    /// Remembers the authentication that the registry asks for. Returns whether that is news.
    fn learn_scheme(
        &self,
        scopes: &Scopes,
        response: &Response,
        sent: &Authorization,
    ) -> Result<bool, Failure> {
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
        let Some(scheme) = scheme.filter(|scheme| self.scheme(scopes).as_ref() != Some(scheme)) else {
            return Ok(false);
        };
        let mut schemes = self.schemes.lock();
        if schemes.usual.is_none() {
            schemes.usual = Some(scheme);
        } else {
            schemes.by_scope.insert(scopes.clone(), scheme, EXCEPTION_TTL);
        }
        Ok(true)
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
