//! What a storing registry has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::answers::Request;
use super::{Asked, Fault, Faults};
use crate::{json, reply};

#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub(super) struct State {
    address: SocketAddr,
    /// Bytes by repository and digest.
    pub(super) blobs: BTreeMap<(String, String), Bytes>,
    /// Media type and bytes by repository and tag or digest.
    pub(super) manifests: BTreeMap<(String, String), (String, Bytes)>,
    /// What has arrived of uploads, by their numbers.
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
    pub(super) begun: usize,
    pub(super) lost_after_head: Option<(String, String)>,
    pub(super) faults: Option<Arc<Faults>>,
    /// Lets requests that are held go on.
    pub(super) held: Arc<Semaphore>,
    pub(super) asked: Vec<Asked>,
    pub(super) mounts: bool,
    pub(super) chunks: bool,
    /// Whether it looks whether what it was sent has the digest that is claimed.
    pub(super) checks_digests: bool,
    /// Whether an upload is of no use any more once a chunk of it has broken off.
    pub(super) drops_broken: bool,
    /// Bytes that a request may have.
    pub(super) max_body: usize,
    /// Whether it wants tokens, and the number of the one that is good.
    wants_tokens: bool,
    token: usize,
    is_token_used: bool,
}

impl State {
    pub(super) fn new(address: SocketAddr, wants_tokens: bool) -> Self {
        Self {
            address,
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            uploads: BTreeMap::new(),
            begun: 0,
            lost_after_head: None,
            faults: None,
            held: Arc::new(Semaphore::new(0)),
            asked: Vec::new(),
            mounts: true,
            chunks: true,
            checks_digests: true,
            drops_broken: false,
            max_body: usize::MAX,
            wants_tokens,
            token: 0,
            is_token_used: false,
        }
    }

    /// Records a request that has come in. Returns its number, and what goes wrong with it.
    pub(super) fn ask(&mut self, line: &str, range: Option<String>) -> (usize, Option<Fault>) {
        let number = self.asked.len();
        self.asked.push(Asked { line: line.to_owned(), range, sent: 0, answered: 0 });
        let fault = self.faults.clone().and_then(|faults| faults(number, line));
        (number, fault)
    }

    /// Records the bytes of blobs that moved.
    pub(super) fn record(&mut self, number: usize, request: &Request, answered: usize) {
        let is_upload = request.line.contains("/blobs/uploads/");
        if let Some(asked) = self.asked.get_mut(number) {
            asked.sent = if is_upload { request.body.len() } else { 0 };
            asked.answered = answered;
        }
    }

    /// Keeps what came of an upload before its connection broke.
    pub(super) fn keep_broken(&mut self, line: &str, sent: &[u8]) {
        let Some((_, number)) = line.split_once("/blobs/uploads/") else { return };
        let number = number.split('?').next().unwrap_or_default();
        if let Some(upload) = self.uploads.get_mut(number).filter(|_| line.starts_with("PATCH ")) {
            upload.extend_from_slice(sent);
        }
        if self.drops_broken {
            self.uploads.remove(number);
        }
        if let Some(asked) = self.asked.iter_mut().rev().find(|asked| asked.line == line) {
            asked.sent = sent.len();
        }
    }

    /// Lets the next request with the token be refused. One that was never used is as good as a wrong password.
    pub(super) fn expire_token(&mut self) {
        if std::mem::take(&mut self.is_token_used) {
            self.token += 1;
        }
    }

    /// Refuses whoever has no good token; gives one to whoever asks.
    pub(super) fn check_token(&mut self, line: &str, authorization: Option<&str>) -> Option<Response> {
        if !self.wants_tokens {
            return None;
        }
        let good = format!("token-{}", self.token);
        if line.starts_with("GET /token") {
            return Some(json(200, format!(r#"{{"token":"{good}","expires_in":3600}}"#)));
        }
        let is_good = authorization == Some(format!("Bearer {good}").as_str());
        self.is_token_used |= is_good;
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"r\"", self.address);
        (!is_good).then(|| reply(401, &[("www-authenticate", &realm)], ""))
    }
}
