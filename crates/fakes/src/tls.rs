//! The TLS side of a fake: a listener with a self-signed certificate of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What kind of certificate a fake shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Signed by itself, and no CA.
    SelfSigned,
    /// Signed by itself, and a CA.
    Ca,
    /// Signed by a CA that no client is given.
    Issued,
    /// A CA whose time is over.
    Expired,
}

/// A port that speaks TLS.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    accepted: Arc<AtomicUsize>,
}

impl TlsListener {
    /// Listens with a certificate for these names and offers these protocols by ALPN; counts the
    /// connections. Also gives the certificate in PEM.
    pub fn new(
        tcp: TcpListener,
        certificate: Certificate,
        names: &[&str],
        protocols: &[&str],
        accepted: Arc<AtomicUsize>,
    ) -> (Self, Vec<u8>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (cert, key) = certificate.made_for(names);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self { tcp, acceptor, accepted }, cert.pem().into_bytes())
    }
}

impl Certificate {
    fn made_for(self, names: Vec<String>) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(names).unwrap();
        if matches!(self, Self::Ca | Self::Expired) {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        if self == Self::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match self {
            Self::Issued => {
                let mut ca = CertificateParams::new(Vec::new()).unwrap();
                ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                ca.distinguished_name.push(rcgen::DnType::CommonName, "somewhere");
                params.signed_by(&key, &Issuer::new(ca, KeyPair::generate().unwrap())).unwrap()
            }
            _ => params.self_signed(&key).unwrap(),
        };
        (certificate, key)
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A client that does not trust us hangs up; the next one may.
            if let Ok((stream, address)) = self.tcp.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
