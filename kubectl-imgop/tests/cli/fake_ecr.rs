//! A fake of ECR's API: one answer for everybody, over plain HTTP on this machine.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};

/// A fake API that runs for as long as this value lives. It checks no signature; the tests of core do.
pub struct FakeEcr {
    /// `127.0.0.1:PORT`.
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl FakeEcr {
    pub fn start(body: &'static str, status: u16) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        let app = Router::new().fallback(move |request: Request| async move {
            let header = request.headers().get(header::AUTHORIZATION);
            let authorization = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
            log.lock().unwrap().push(authorization.to_owned());
            (StatusCode::from_u16(status).unwrap(), body)
        });
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, asked, _runtime: runtime }
    }

    /// The authorization of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
