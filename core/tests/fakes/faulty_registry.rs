//! A fake that does not keep to HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_core::reference::Repository;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Sends the same bytes to everybody and closes the connection, or keeps it open in silence.
#[derive(Debug)]
pub struct FaultyRegistry {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FaultyRegistry {
    /// Sends `bytes` after the first bytes of a request and closes.
    pub async fn sending(bytes: &'static [u8]) -> Self {
        Self::start(bytes, false).await
    }

    /// Sends `bytes` and then nothing more.
    pub async fn hanging_after(bytes: &'static [u8]) -> Self {
        Self::start(bytes, true).await
    }

    /// An address where nobody listens.
    pub async fn absent() -> Repository {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("{}/a", listener.local_addr().unwrap()).parse().unwrap()
    }

    async fn start(bytes: &'static [u8], hang: bool) -> Self {
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
                    if hang {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, connections }
    }

    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
