//! AWS, as far as a token of ECR needs it: STS `AssumeRoleWithWebIdentity`, the agent of EKS Pod Identity,
//! and `GetAuthorizationToken` of ECR and ECR Public. It checks signatures as AWS does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::{ScriptedRegistry, Seen, json, reply};

/// Access keys and their secrets; temporary ones have a session token.
const KEYS: [(&str, &str, Option<&str>); 3] = [
    ("AKIASTATIC", "static-secret", None),
    ("ASIAWEB", "web-secret", Some("web-session")),
    ("ASIAPOD", "pod-secret", Some("pod-session")),
];

/// The web identity that STS takes.
pub const WEB_TOKEN: &str = "the-web-identity-token";
/// The token that the pod identity agent wants.
pub const POD_TOKEN: &str = "the-pod-identity-token";

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
        self.server.seen().iter().filter(|seen| seen.header("x-amz-target").is_some()).count()
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
    let wanted =
        (Some("AssumeRoleWithWebIdentity"), Some("arn:aws:iam::111111111111:role/imgop"), Some(WEB_TOKEN));
    if (field("Action"), field("RoleArn"), field("WebIdentityToken")) != wanted {
        let error = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>\
             </Error><RequestId>{id}</RequestId></ErrorResponse>"
        );
        return xml(403, error);
    }
    xml(
        200,
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAWEB</AccessKeyId>\
         <SecretAccessKey>web-secret</SecretAccessKey><SessionToken>web-session</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/imgop/x</Arn>\
         </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            .to_owned(),
    )
}

/// Amazon ECR API Reference, "`GetAuthorizationToken`". The password names the region of the signature,
/// the key, and how many tokens there were before.
fn ecr(seen: &Seen, state: &State) -> Response {
    assert_eq!(seen.line(), "POST /");
    let (target, service) = match seen.header("x-amz-target").unwrap() {
        "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" => ("list", "ecr"),
        "SpencerFrontendService.GetAuthorizationToken" => ("object", "ecr-public"),
        _ => return json(400, r#"{"__type":"UnknownOperationException"}"#),
    };
    assert_eq!(seen.header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(&seen.body[..], b"{}");
    let Some((key, region)) = signer(seen, service) else {
        return json(
            400,
            r#"{"__type":"InvalidSignatureException","message":"the signature does not match"}"#,
        );
    };
    if let Some((status, body)) = state.refusal.lock().unwrap().clone() {
        return json(status, body);
    }
    let number = state.given.fetch_add(1, Ordering::Relaxed);
    let token = STANDARD.encode(format!("AWS:{region}-{key}-{number}"));
    let end = state.expires_at.lock().unwrap().as_second();
    let data = format!(r#"{{"authorizationToken":"{token}","expiresAt":{end}.25}}"#);
    let data = if target == "list" { format!("[{data}]") } else { data };
    json(200, format!(r#"{{"authorizationData":{data}}}"#))
}

/// The access key and the region of a good signature (IAM User Guide, "Create a signed AWS API
/// request").
fn signer(seen: &Seen, service: &str) -> Option<(String, String)> {
    let parts = seen.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| parts.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let credential: Vec<&str> = part("Credential")?.split('/').collect();
    let &[key, day, region, of, "aws4_request"] = credential.as_slice() else { return None };
    let (_, secret, session) = KEYS.iter().find(|(known, _, _)| *known == key)?;
    let date = seen.header("x-amz-date")?;
    if of != service || seen.header("x-amz-security-token") != *session || !date.starts_with(day) {
        return None;
    }
    let names = part("SignedHeaders")?;
    let signed: Vec<&str> = names.split(';').collect();
    let needed = ["host", "x-amz-date", "x-amz-target"];
    let session_is_signed = session.is_none() || signed.contains(&"x-amz-security-token");
    if !needed.iter().all(|name| signed.contains(name)) || !session_is_signed {
        return None;
    }
    let header = |name: &&str| {
        [
            name,
            ":",
            seen.header(name).unwrap_or_default(),
            "
",
        ]
        .concat()
    };
    let headers: String = signed.iter().map(header).collect();
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hash(&seen.body));
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/aws4_request\n{}",
        hash(canonical.as_bytes())
    );
    let time: Timestamp = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..8],
        &date[9..11],
        &date[11..13],
        &date[13..15]
    )
    .parse()
    .ok()?;
    let signing_key = generate_signing_key(secret, SystemTime::from(time), region, service);
    let expected = calculate_signature(signing_key, to_sign.as_bytes());
    (part("Signature") == Some(expected.as_str())).then(|| (key.to_owned(), region.to_owned()))
}
