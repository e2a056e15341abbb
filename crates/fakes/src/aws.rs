//! AWS, as far as ECR needs it: STS `AssumeRoleWithWebIdentity` and `AssumeRole`, the agent of EKS Pod Identity,
//! `GetAuthorizationToken` of ECR and ECR Public, and the repositories of ECR. It checks signatures as AWS does.

mod repositories;
mod signature;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

pub use repositories::EcrRepository;
use repositories::Repositories;
use signature::signer;

use super::{ScriptedRegistry, Seen, json, reply};

/// The web identity that STS takes.
pub const WEB_TOKEN: &str = "the-web-identity-token";
/// The token that the pod identity agent wants.
pub const POD_TOKEN: &str = "the-pod-identity-token";

/// The role that may be assumed by whoever has a key.
pub const ROLE: &str = "arn:aws:iam::222222222222:role/ecr-admin";

/// AWS on a port of its own, under one address for all of its services.
pub struct FakeAws {
    /// The server of all of them.
    pub server: ScriptedRegistry,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Tokens of ECR that were given out.
    given: AtomicUsize,
    /// What ECR answers instead of a token.
    refusal: Mutex<Option<(u16, String)>>,
    /// Requests that STS has had: each has another id.
    asked_sts: AtomicUsize,
    /// When the next token ends.
    expires_at: Mutex<Timestamp>,
    repositories: Mutex<Repositories>,
}

impl FakeAws {
    /// Starts with tokens of ECR that end at this time.
    pub async fn start(expires_at: Timestamp) -> Self {
        let state = Arc::new(State { expires_at: Mutex::new(expires_at), ..State::default() });
        let shared = state.clone();
        let server = ScriptedRegistry::start(move |seen| answer(seen, &shared)).await;
        Self { server, state }
    }

    /// Returns its URL.
    pub fn address(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// From now on ECR answers with this.
    pub fn refuse(&self, status: u16, body: &str) {
        *self.state.refusal.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// From now on ECR gives tokens, which end at this time.
    pub fn give(&self, expires_at: Timestamp) {
        *self.state.refusal.lock().unwrap() = None;
        *self.state.expires_at.lock().unwrap() = expires_at;
    }

    /// How often a token was asked for.
    pub fn tokens_asked(&self) -> usize {
        self.operations().iter().filter(|operation| *operation == "GetAuthorizationToken").count()
    }

    /// Returns the operations that ECR was asked for, in order.
    pub fn operations(&self) -> Vec<String> {
        let seen = self.server.seen();
        let targets = seen.iter().filter_map(|seen| seen.header("x-amz-target"));
        targets.filter_map(|target| Some(target.split_once('.')?.1.to_owned())).collect()
    }

    /// There is this repository.
    pub fn hold(&self, name: &str, repository: EcrRepository) {
        self.state.repositories.lock().unwrap().hold(name, repository);
    }

    /// There is no such repository any more.
    pub fn forget(&self, name: &str) {
        self.state.repositories.lock().unwrap().forget(name);
    }

    /// Returns a repository.
    pub fn repository(&self, name: &str) -> Option<EcrRepository> {
        self.state.repositories.lock().unwrap().get(name)
    }

    /// From now on ECR answers this operation with this code; with none it does it.
    pub fn deny(&self, operation: &str, code: Option<&str>) {
        self.state.repositories.lock().unwrap().deny(operation, code);
    }
}

fn answer(seen: &Seen, state: &State) -> Response {
    if seen.target == "/v1/credentials" {
        return pod_identity(seen);
    }
    if seen.header("x-amz-target").is_some() { ecr(seen, state) } else { sts(seen, state) }
}

/// EKS User Guide, "How EKS Pod Identity works".
fn pod_identity(seen: &Seen) -> Response {
    if seen.header("authorization") != Some(POD_TOKEN) {
        return json(401, r#"{"message":"no"}"#);
    }
    json(
        200,
        r#"{"AccessKeyId":"ASIAPOD","SecretAccessKey":"pod-secret","Token":"pod-session","AccountId":"111111111111","Expiration":"2099-01-01T00:00:00Z"}"#,
    )
}

/// AWS STS API Reference, "AssumeRoleWithWebIdentity": not signed, the web identity is the proof.
fn sts(seen: &Seen, state: &State) -> Response {
    let form: Vec<(String, String)> = form_urlencoded::parse(&seen.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let id = format!("6f1d9a52-0000-4000-8000-{:012x}", state.asked_sts.fetch_add(1, Ordering::Relaxed));
    let xml = |status: u16, body: String| {
        reply(status, &[("content-type", "text/xml"), ("x-amzn-requestid", &id)], body)
    };
    assert_eq!(field("Version"), Some("2011-06-15"));
    assert!(field("RoleSessionName").is_some());
    if field("Action") == Some("AssumeRole") {
        return match (signer(seen, "sts"), field("RoleArn")) {
            (Some(_), Some(ROLE)) => xml(200, assumed("AssumeRole", "ASIAROLE", "role")),
            _ => xml(403, denied("AssumeRole", &id)),
        };
    }
    let wanted =
        (Some("AssumeRoleWithWebIdentity"), Some("arn:aws:iam::111111111111:role/imgop"), Some(WEB_TOKEN));
    if (field("Action"), field("RoleArn"), field("WebIdentityToken")) != wanted {
        return xml(403, denied("AssumeRoleWithWebIdentity", &id));
    }
    xml(200, assumed("AssumeRoleWithWebIdentity", "ASIAWEB", "web"))
}

fn denied(action: &str, id: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>AccessDenied</Code><Message>Not authorized to perform sts:{action}</Message>\
         </Error><RequestId>{id}</RequestId></ErrorResponse>"
    )
}

fn assumed(action: &str, key: &str, of: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{of}-secret</SecretAccessKey>\
         <SessionToken>{of}-session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId>\
         <Arn>arn:aws:sts::111111111111:assumed-role/imgop/x</Arn></AssumedRoleUser></{action}Result></{action}Response>"
    )
}

/// Amazon ECR API Reference, "`GetAuthorizationToken`". The password names the region of the signature,
/// the key, and how many tokens there were before.
fn ecr(seen: &Seen, state: &State) -> Response {
    assert_eq!(seen.line(), "POST /");
    assert_eq!(seen.header("content-type"), Some("application/x-amz-json-1.1"));
    let (target, service) = match seen.header("x-amz-target").unwrap().split_once('.') {
        Some(("AmazonEC2ContainerRegistry_V20150921", operation)) => (operation, "ecr"),
        Some(("SpencerFrontendService", "GetAuthorizationToken")) => ("GetAuthorizationToken", "ecr-public"),
        _ => return json(400, r#"{"__type":"UnknownOperationException"}"#),
    };
    let Some((key, region)) = signer(seen, service) else {
        return json(
            400,
            r#"{"__type":"InvalidSignatureException","message":"the signature does not match"}"#,
        );
    };
    if target != "GetAuthorizationToken" {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        return state.repositories.lock().unwrap().answer(target, &key, &region, &body);
    }
    assert_eq!(&seen.body[..], b"{}");
    if let Some((status, body)) = state.refusal.lock().unwrap().clone() {
        return json(status, body);
    }
    let number = state.given.fetch_add(1, Ordering::Relaxed);
    let token = STANDARD.encode(format!("AWS:{region}-{key}-{number}"));
    let end = state.expires_at.lock().unwrap().as_second();
    let data = format!(r#"{{"authorizationToken":"{token}","expiresAt":{end}.25}}"#);
    let data = if service == "ecr" { format!("[{data}]") } else { data };
    json(200, format!(r#"{{"authorizationData":{data}}}"#))
}
