//! The vendor behind TLS, with a certificate of an authority that a story makes.

use super::vendor::{Seen, Vendor, service};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio_rustls::TlsAcceptor;

/// An authority of a house of its own, with its certificate as a PEM file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// A vendor that speaks HTTP/1.1 and HTTP/2 over TLS, as the client chooses.
pub struct TlsVendor {
    pub vendor: Vendor,
    /// What was chosen, once a connection.
    pub chosen: Arc<Mutex<Vec<String>>>,
}

impl TlsVendor {
    /// Starts on a free port, with a certificate for this name or address, and these protocols to choose from.
    pub async fn start(authority: &Authority, name: &str, protocols: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen { keep: true, ..Seen::default() });
        let (router, chosen) = (service(&seen), Arc::<Mutex<Vec<String>>>::default());
        let told = chosen.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, router, told) = (acceptor.clone(), router.clone(), told.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let protocol = stream.get_ref().1.alpn_protocol().unwrap_or(b"none").to_vec();
                    told.lock().unwrap().push(String::from_utf8(protocol.clone()).unwrap());
                    let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(router));
                    // A client that leaves is no news.
                    if protocol == b"h2" {
                        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                    } else {
                        let _ = http1::Builder::new().serve_connection(io, service).await;
                    }
                });
            }
        });
        Self { vendor: Vendor { port, seen }, chosen }
    }

    /// The base of a backend's URL, in this mood.
    pub fn url(&self, mood: &str) -> String {
        format!("https://127.0.0.1:{}/{mood}/v1", self.vendor.port)
    }
}
