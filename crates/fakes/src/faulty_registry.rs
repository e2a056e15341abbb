//! A server that breaks HTTP: it sends bytes that a test chooses, and then closes, falls silent or drips.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use imgop_registry::reference::Repository;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What comes after the bytes.
#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Silence,
    /// The same byte again and again, with this pause.
    Drip(u8, Duration),
}

/// Sends the same bytes to everybody and closes the connection, or keeps it open.
#[derive(Debug)]
pub struct FaultyRegistry {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FaultyRegistry {
    /// Sends `bytes` after the first bytes of a request and closes.
    pub async fn sending(bytes: &'static [u8]) -> Self {
        Self::start(bytes, Then::Close).await
    }

    /// Sends `bytes` and then nothing more.
    pub async fn hanging_after(bytes: &'static [u8]) -> Self {
        Self::start(bytes, Then::Silence).await
    }

    /// Sends `bytes` and then `drop` after each pause, without an end.
    pub async fn dripping(bytes: &'static [u8], drop: u8, pause: Duration) -> Self {
        Self::start(bytes, Then::Drip(drop, pause)).await
    }

    /// An address where nothing listens.
    pub async fn absent() -> Repository {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("{}/a", listener.local_addr().unwrap()).parse().unwrap()
    }

    async fn start(bytes: &'static [u8], then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(bytes).await;
                    match then {
                        Then::Close => {}
                        Then::Silence => std::future::pending().await,
                        Then::Drip(drop, pause) => {
                            while stream.write_all(&[drop]).await.is_ok() {
                                tokio::time::sleep(pause).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a repository of this address.
    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
