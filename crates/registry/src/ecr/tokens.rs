//! Tokens are fetched once and kept until shortly before their end.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::ConfigLoader;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::Mutex as AsyncMutex;

use super::authorization;
use super::aws_api::AwsApi;
use super::error::{EcrError, EcrProblem};
use crate::credentials::Credential;
use crate::reference::{EcrHost, RegistryHost};

/// How long before its end a token is no longer used; tokens last 12 hours.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_mins(30);
/// How long a failure is returned to all callers, so that AWS does not receive the same request again
/// and again.
const FAILURE_TTL: SignedDuration = SignedDuration::from_mins(1);
/// Above this many of ECR's APIs, those whose tokens have expired are forgotten.
const SWEEP_FROM: usize = 64;

/// What the programs set and tests replace.
#[derive(Clone)]
pub struct EcrSettings {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Whether the proxies of the environment are used.
    pub system_proxy: bool,
    /// The URL of ECR's API, instead of the one that AWS documents for the region: the meaning of
    /// `AWS_ENDPOINT_URL_ECR` and `AWS_ENDPOINT_URL` (AWS SDKs and Tools Reference Guide,
    /// "Service-specific endpoints"). Plain HTTP is taken for this machine only.
    pub endpoint: Option<String>,
    /// The last change to the setup of AWS's credential chain.
    pub chain: Arc<dyn Fn(ConfigLoader) -> ConfigLoader + Send + Sync>,
    /// The clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl EcrSettings {
    /// Returns the settings of a program; `env` returns the values of environment variables.
    pub fn of_environment(user_agent: &str, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        Self {
            user_agent: user_agent.to_owned(),
            system_proxy: true,
            endpoint: set("AWS_ENDPOINT_URL_ECR").or_else(|| set("AWS_ENDPOINT_URL")),
            chain: Arc::new(|loader| loader),
            now: Arc::new(Timestamp::now),
        }
    }
}

impl fmt::Debug for EcrSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcrSettings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Tokens for registries of ECR, one for each region: a token serves for every registry there that the
/// identity may use.
///
/// No [`Bounded`](crate::cache::Bounded) map: tokens expire by the clock that is handed in, as their end is
/// a time of day.
#[derive(Debug)]
pub struct EcrTokens {
    api: AwsApi,
    slots: Mutex<HashMap<String, Arc<AsyncMutex<Slot>>>>,
}

/// The token, or the failure, of one of ECR's APIs.
#[derive(Debug, Default)]
struct Slot {
    token: Option<Token>,
    failure: Option<(Timestamp, EcrProblem)>,
}

#[derive(Debug)]
struct Token {
    password: SecretString,
    fetched_at: Timestamp,
    renew_at: Timestamp,
}

/// A token as the credential that a registry takes.
#[derive(Debug, Clone)]
pub struct EcrCredential {
    /// The user `AWS` and the token as its password.
    pub credential: Credential,
    /// When it was fetched.
    pub fetched_at: Timestamp,
}

impl EcrTokens {
    /// Returns a set without tokens. Installs ring for TLS if the process has chosen no provider.
    pub fn new(settings: EcrSettings) -> Self {
        Self { api: AwsApi::new(settings), slots: Mutex::default() }
    }

    /// Returns a credential for a registry; `None` if it is none of ECR's. One that is older than
    /// `max_age` is fetched again, and so is one that expires soon.
    pub async fn credential(
        &self,
        host: &RegistryHost,
        max_age: Duration,
    ) -> Result<Option<EcrCredential>, EcrError> {
        let Some(ecr) = EcrHost::of(host) else { return Ok(None) };
        match self.token(&ecr, max_age).await {
            Ok(credential) => Ok(Some(credential)),
            Err(problem) => Err(EcrError { host: host.clone(), ecr, problem }),
        }
    }

    async fn token(&self, ecr: &EcrHost, max_age: Duration) -> Result<EcrCredential, EcrProblem> {
        let slot = self.slot(ecr.api_host());
        // Those who wait here find the outcome of the first.
        let mut slot = slot.lock().await;
        let now = self.api.now();
        if let Some(token) = slot.token.as_ref().filter(|token| token.is_good(now, max_age)) {
            return Ok(token.credential());
        }
        let problem = match slot.failure.as_ref().filter(|(at, _)| is_recent(*at, now)) {
            Some((_, problem)) => problem.clone(),
            None => match self.fetch(ecr).await {
                Ok(token) => {
                    let credential = token.credential();
                    *slot = Slot { token: Some(token), failure: None };
                    return Ok(credential);
                }
                Err(problem) => {
                    slot.failure = Some((self.api.now(), problem.clone()));
                    problem
                }
            },
        };
        // An old token serves until it expires; only the caller asked for a newer one.
        let old = slot.token.as_ref().filter(|token| token.is_good(now, Duration::MAX));
        old.map(Token::credential).ok_or(problem)
    }

    async fn fetch(&self, ecr: &EcrHost) -> Result<Token, EcrProblem> {
        let session = self.api.session(ecr, None).await?;
        let body = session.call(authorization::GET).await?;
        let given = authorization::read(&body).ok_or_else(|| session.protocol_error())?;
        let now = self.api.now();
        let lifetime = given.expires_at.duration_since(now);
        let margin = if lifetime > EXPIRY_MARGIN * 2 { EXPIRY_MARGIN } else { lifetime / 2 };
        let renew_at = given.expires_at.checked_sub(margin).unwrap_or(now);
        Ok(Token { password: given.password, fetched_at: now, renew_at })
    }

    fn slot(&self, api_host: &str) -> Arc<AsyncMutex<Slot>> {
        let mut slots = self.slots.lock();
        if slots.len() >= SWEEP_FROM && !slots.contains_key(api_host) {
            let now = self.api.now();
            slots.retain(|_, slot| slot.try_lock().map_or(true, |slot| slot.is_useful(now)));
        }
        slots.entry(api_host.to_owned()).or_default().clone()
    }
}

impl Slot {
    fn is_useful(&self, now: Timestamp) -> bool {
        let good = |token: &Token| token.is_good(now, Duration::MAX);
        self.token.as_ref().is_some_and(good)
            || self.failure.as_ref().is_some_and(|(at, _)| is_recent(*at, now))
    }
}

impl Token {
    fn is_good(&self, now: Timestamp, max_age: Duration) -> bool {
        // A clock that was set back makes no token younger.
        let age = Duration::try_from(now.duration_since(self.fetched_at)).unwrap_or(Duration::MAX);
        now < self.renew_at && age <= max_age
    }

    fn credential(&self) -> EcrCredential {
        EcrCredential {
            credential: Credential::Basic { username: "AWS".to_owned(), password: self.password.clone() },
            fetched_at: self.fetched_at,
        }
    }
}

fn is_recent(failed_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(failed_at).abs() < FAILURE_TTL
}
