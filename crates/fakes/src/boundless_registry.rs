//! A registry of blobs that are too large to be held: what it sends is made while it is sent, and what it is sent is
//! counted and forgotten.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::StreamExt as _;
use imgop_registry::Manifest;
use imgop_registry::reference::{Digest, Repository};
use tokio::net::TcpListener;

use super::reply;

/// What is made at a time.
const PIECE_BYTES: u64 = 64 << 10;

/// A blob of one byte, repeated.
#[derive(Debug, Clone)]
pub struct RepeatedByte {
    /// Its digest.
    pub digest: Digest,
    /// The byte.
    pub byte: u8,
    /// How often: a multiple of 64 KiB.
    pub size: u64,
}

/// A registry that has blobs, and one manifest.
pub struct BoundlessRegistry {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

struct Held {
    blobs: Vec<RepeatedByte>,
    manifest: Manifest,
    received: Arc<AtomicU64>,
}

impl BoundlessRegistry {
    /// Starts one with these.
    pub async fn start(blobs: Vec<RepeatedByte>, manifest: Manifest) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::<AtomicU64>::default());
        let held = Arc::new(Held { blobs, manifest, received: received.clone() });
        let router = Router::new().fallback(move |request: Request| answer(held.clone(), request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, received }
    }

    /// Returns a repository of it.
    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    /// Returns how many bytes of blobs it was sent.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

async fn answer(held: Arc<Held>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (path, place) = (parts.uri.path(), [("location", "/v2/app/blobs/uploads/1")]);
    let (mut pieces, is_upload) = (body.into_data_stream(), path.contains("/uploads/"));
    while let Some(Ok(piece)) = pieces.next().await {
        let counted = if is_upload { piece.len() as u64 } else { 0 };
        held.received.fetch_add(counted, Ordering::Relaxed);
    }
    match parts.method.as_str() {
        "POST" | "PATCH" => reply(202, &place, ""),
        "PUT" => reply(201, &[], ""),
        _ if path.contains("/manifests/") => {
            reply(200, &[("content-type", &held.manifest.media_type)], held.manifest.bytes.clone())
        }
        _ => match held.blobs.iter().find(|blob| path.ends_with(blob.digest.as_str())) {
            Some(blob) => reply(200, &[("content-length", &blob.size.to_string())], blob.body()),
            None => reply(404, &[], ""),
        },
    }
}

impl RepeatedByte {
    fn body(&self) -> Body {
        let piece = Bytes::from(vec![self.byte; usize::try_from(PIECE_BYTES).unwrap()]);
        let pieces = (0..self.size / PIECE_BYTES).map(move |_| Ok::<Bytes, std::io::Error>(piece.clone()));
        Body::from_stream(futures::stream::iter(pieces))
    }
}
