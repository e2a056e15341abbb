//! A token server of our own, for registries that are real.
//!
//! It signs what distribution checks ("Token Authentication Specification", "Token Authentication
//! Implementation"): a JWT in ES256 whose header holds the certificate of the key.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::every_registry::USER;

/// Repositories that everybody may read are below this.
pub const PUBLIC: &str = "public/";

/// The registries' configuration has the same for issuer and service.
const NAME: &str = "imgop-test";
const LIFE_SECONDS: u64 = 300;

/// A running token server. It lets [`USER`] do everything, and everybody read what is [`PUBLIC`].
#[derive(Debug, Clone)]
pub struct TokenServer {
    /// Host and port.
    pub address: String,
    signer: Arc<Signer>,
}

#[derive(Debug)]
struct Signer {
    key: EcdsaKeyPair,
    /// DER in base64.
    certificate: String,
    authorization: String,
}

impl TokenServer {
    /// Answers on a thread of its own: the runtime of a test ends with that test.
    pub fn start(
        listener: TcpListener,
        key: &str,
        certificate: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let der = STANDARD.decode(pem(key))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
            .map_err(|refused| anyhow!("no key to sign tokens with: {refused}"))?;
        let authorization = format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")));
        let signer = Arc::new(Signer { key, certificate: pem(certificate), authorization });
        let address = listener.local_addr()?.to_string();
        listener.set_nonblocking(true)?;
        let router = Router::new().fallback(answer).with_state(signer.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime
                .block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await })
        });
        Ok(Self { address, signer })
    }

    /// A token that allows to read and write a repository.
    pub fn push_token(&self, repository: &str) -> anyhow::Result<String> {
        self.signer.token(repository, &["pull", "push"])
    }
}

async fn answer(State(signer): State<Arc<Signer>>, request: Request) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_user = shown == Some(signer.authorization.as_str());
    if shown.is_some() && !is_user {
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#;
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    match grant(&signer, &request, is_user) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}")).into_response(),
    }
}

/// Whoever may nothing gets a token that allows nothing, as Docker Hub does it.
fn grant(signer: &Signer, request: &Request, is_user: bool) -> anyhow::Result<String> {
    let url = Url::parse("http://localhost")?.join(&request.uri().to_string())?;
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    anyhow::ensure!(of("service").as_deref() == Some(NAME), "another service");
    let scope = of("scope").context("no scope")?;
    let (repository, actions) =
        scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':')).context("an odd scope")?;
    let actions: Vec<&str> = match (is_user, repository.starts_with(PUBLIC)) {
        (true, _) => actions.split(',').collect(),
        (false, true) => actions.split(',').filter(|action| *action == "pull").collect(),
        (false, false) => Vec::new(),
    };
    let token = signer.token(repository, &actions)?;
    Ok(json!({ "token": token, "expires_in": LIFE_SECONDS }).to_string())
}

impl Signer {
    fn token(&self, repository: &str, actions: &[&str]) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let access = json!({ "type": "repository", "name": repository, "actions": actions });
        let access = if actions.is_empty() { json!([]) } else { json!([access]) };
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.certificate] });
        let claims = json!({
            "iss": NAME, "aud": NAME, "sub": USER, "jti": "1", "access": access,
            "iat": now, "nbf": now.saturating_sub(10), "exp": now + LIFE_SECONDS,
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| anyhow!("the token cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// What stands between the lines of a PEM file that holds one thing.
fn pem(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("-----")).collect()
}
