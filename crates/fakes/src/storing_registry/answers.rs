//! How a storing registry answers (OCI distribution-spec 1.1).

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::StreamExt as _;
use imgop_registry::reference::Digest;
use serde_json::{Value, json as value};

use super::Fault;
use super::state::State;
use crate::{json, reply};

/// A request with all that was sent.
pub(super) struct Request {
    pub(super) line: String,
    pub(super) range: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) body: Bytes,
}

/// What a request is answered with.
pub(super) enum Answer {
    /// A response without a body that could break off.
    Plain(Response),
    /// Status, headers and body.
    Body { status: u16, headers: Vec<(&'static str, String)>, bytes: Bytes, is_blob: bool },
}

impl Answer {
    pub(super) fn blob_bytes(&self) -> usize {
        match self {
            Self::Body { bytes, is_blob: true, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Returns the response, with what goes wrong.
    pub(super) fn into_response(self, fault: Option<Fault>) -> Response {
        let (status, mut headers, bytes) = match self {
            Self::Plain(response) => return response,
            Self::Body { status, headers, bytes, .. } => (status, headers, bytes),
        };
        let (body, length) = match fault {
            Some(Fault::Cut(after)) if after < bytes.len() => {
                let part = futures::stream::iter([Ok(bytes.slice(..after))]);
                // The server sends what it has before it learns that there is no more.
                let cut = futures::stream::once(async {
                    tokio::task::yield_now().await;
                    Err(std::io::Error::other("cut"))
                });
                (Body::from_stream(part.chain(cut)), bytes.len())
            }
            Some(Fault::Stall(after)) if after < bytes.len() => {
                let part = futures::stream::iter([Ok::<Bytes, std::io::Error>(bytes.slice(..after))]);
                (Body::from_stream(part.chain(futures::stream::pending())), bytes.len())
            }
            Some(Fault::Short(after)) => {
                let part = bytes.slice(..after.min(bytes.len()));
                let length = part.len();
                (Body::from(part), length)
            }
            Some(Fault::OtherBytes) => (Body::from(vec![b'!'; bytes.len()]), bytes.len()),
            _ => (Body::from(bytes.clone()), bytes.len()),
        };
        headers.push(("content-length", length.to_string()));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, text)| (*name, text.as_str())).collect();
        reply(status, &headers, body)
    }
}

fn error(status: u16, code: &str) -> Answer {
    Answer::Plain(json(status, format!(r#"{{"errors":[{{"code":"{code}","message":"{code}"}}]}}"#)))
}

pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
    let (method, target) = request.line.split_once(' ').unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path == "/v2/" {
        return Answer::Plain(json(200, "{}"));
    }
    let path = path.strip_prefix("/v2/").unwrap_or_default();
    let parameter = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.map(|text| text.replace("%3A", ":").replace("%2F", "/"))
    };
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return tags(state, repository);
    }
    if let Some((repository, number)) = path.split_once("/blobs/uploads/") {
        return match method {
            "POST" => begin(state, repository, parameter("mount").zip(parameter("from"))),
            _ => upload(state, method, (repository, number), parameter("digest").as_deref(), request),
        };
    }
    if let Some((repository, digest)) = path.split_once("/blobs/") {
        return blob(state, repository, digest, request);
    }
    match (method, path.split_once("/manifests/")) {
        ("PUT", Some((repository, reference))) => put(state, repository, reference, request),
        (_, Some((repository, reference))) => manifest(state, repository, reference),
        _ => error(404, "UNSUPPORTED"),
    }
}

fn tags(state: &State, repository: &str) -> Answer {
    let own = state.manifests.keys().filter(|(of, _)| of == repository);
    let tags: Vec<&String> = own.map(|(_, reference)| reference).filter(|tag| !tag.contains(':')).collect();
    let is_known = state.manifests.keys().chain(state.blobs.keys()).any(|(of, _)| of == repository);
    if !is_known {
        return error(404, "NAME_UNKNOWN");
    }
    Answer::Plain(json(200, value!({"name": repository, "tags": tags}).to_string()))
}

fn begin(state: &mut State, repository: &str, mount: Option<(String, String)>) -> Answer {
    if let Some((digest, from)) = mount.filter(|_| state.mounts)
        && let Some(bytes) = state.blobs.get(&(from, digest.clone())).cloned()
    {
        state.blobs.insert((repository.to_owned(), digest), bytes);
        return Answer::Plain(reply(201, &[], ""));
    }
    state.begun += 1;
    let number = state.begun.to_string();
    state.uploads.insert(number.clone(), Vec::new());
    Answer::Plain(place(202, repository, &number, 0))
}

fn place(status: u16, repository: &str, number: &str, length: usize) -> Response {
    let location = format!("/v2/{repository}/blobs/uploads/{number}?state=s");
    reply(status, &[("location", &location), ("range", &format!("0-{}", length.saturating_sub(1)))], "")
}

fn upload(
    state: &mut State,
    method: &str,
    (repository, number): (&str, &str),
    digest: Option<&str>,
    request: &Request,
) -> Answer {
    if method == "PATCH" && !state.chunks {
        return error(405, "UNSUPPORTED");
    }
    let Some(held) = state.uploads.get_mut(number) else { return error(404, "BLOB_UPLOAD_UNKNOWN") };
    match method {
        "GET" => Answer::Plain(place(204, repository, number, held.len())),
        "DELETE" => {
            state.uploads.remove(number);
            Answer::Plain(reply(204, &[], ""))
        }
        "PATCH" => {
            let first = request.range.as_deref().and_then(|range| range.split_once('-')?.0.parse().ok());
            if first.is_some_and(|first: usize| first != held.len()) {
                return error(416, "BLOB_UPLOAD_INVALID");
            }
            held.extend_from_slice(&request.body);
            Answer::Plain(place(202, repository, number, held.len()))
        }
        _ => {
            let mut bytes = state.uploads.remove(number).unwrap_or_default();
            bytes.extend_from_slice(&request.body);
            let found = Digest::of(&bytes).to_string();
            let claimed = digest.unwrap_or_default();
            if state.checks_digests && claimed != found {
                return error(400, "DIGEST_INVALID");
            }
            state.blobs.insert((repository.to_owned(), claimed.to_owned()), bytes.into());
            Answer::Plain(reply(201, &[], ""))
        }
    }
}

fn blob(state: &mut State, repository: &str, digest: &str, request: &Request) -> Answer {
    let key = (repository.to_owned(), digest.to_owned());
    let Some(bytes) = state.blobs.get(&key).cloned() else {
        return error(404, "BLOB_UNKNOWN");
    };
    if request.line.starts_with("HEAD ") {
        if state.lost_after_head.take_if(|lost| *lost == key).is_some() {
            state.blobs.remove(&key);
        }
        return Answer::Plain(reply(200, &[], ""));
    }
    let whole = || Answer::Body { status: 200, headers: Vec::new(), bytes: bytes.clone(), is_blob: true };
    let Some(range) = request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")) else {
        return whole();
    };
    let Some((first, last)) = range.split_once('-') else { return whole() };
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    if first >= bytes.len() {
        return error(416, "RANGE_INVALID");
    }
    let part = bytes.slice(first..(last + 1).min(bytes.len()));
    let range = format!("bytes {first}-{}/{}", first + part.len() - 1, bytes.len());
    Answer::Body { status: 206, headers: vec![("content-range", range)], bytes: part, is_blob: true }
}

fn manifest(state: &State, repository: &str, reference: &str) -> Answer {
    let Some((media_type, bytes)) = state.manifests.get(&(repository.to_owned(), reference.to_owned()))
    else {
        return error(404, "MANIFEST_UNKNOWN");
    };
    let digest = Digest::of(bytes).to_string();
    let headers = vec![("content-type", media_type.clone()), ("docker-content-digest", digest)];
    Answer::Body { status: 200, headers, bytes: bytes.clone(), is_blob: false }
}

fn put(state: &mut State, repository: &str, reference: &str, request: &Request) -> Answer {
    let Ok(document) = serde_json::from_slice::<Value>(&request.body) else {
        return error(400, "MANIFEST_INVALID");
    };
    let digest = Digest::of(&request.body).to_string();
    if reference.contains(':') && reference != digest {
        return error(400, "DIGEST_INVALID");
    }
    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    let named =
        |entry: &Value| (repository.to_owned(), entry["digest"].as_str().unwrap_or_default().to_owned());
    let is_held = |key: &(String, String)| state.manifests.contains_key(key) || state.blobs.contains_key(key);
    let has_children = list("manifests").iter().all(|child| is_held(&named(child)));
    let blobs: Vec<Value> = list("layers").into_iter().chain(document.get("config").cloned()).collect();
    let is_here = |blob: &Value| blob["urls"].is_array() || state.blobs.contains_key(&named(blob));
    if !has_children || !blobs.iter().all(is_here) {
        return error(400, "MANIFEST_BLOB_UNKNOWN");
    }
    let media_type = request.media_type.clone().unwrap_or_default();
    for reference in [reference, digest.as_str()] {
        let key = (repository.to_owned(), reference.to_owned());
        state.manifests.insert(key, (media_type.clone(), request.body.clone()));
    }
    Answer::Plain(reply(201, &[("docker-content-digest", &digest)], ""))
}
