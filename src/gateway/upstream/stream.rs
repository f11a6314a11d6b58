//! A connection's bytes, in the clear or over TLS.

use crate::base::{Egress, trust};
use rustls::pki_types::ServerName;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How a backend proves who it is.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) name: ServerName<'static>,
    /// Of all origins; made when the first one is called.
    pub(super) connector: Arc<OnceLock<TlsConnector>>,
}

impl Stream {
    /// Connects to an address that was judged: a name that resolves otherwise the second time changes nothing.
    pub(super) async fn connect(egress: &Egress, host: &str, port: u16, tls: Option<&Tls>) -> io::Result<Self> {
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "its address may not be reached");
        let tcp = match host.parse::<IpAddr>() {
            Ok(address) if egress.reaches(address) => TcpStream::connect((address, port)).await?,
            Ok(_) => return Err(refused()),
            Err(_) => {
                let found = egress.resolve(host, port).await.map_err(|error| io::Error::other(error.to_string()))?;
                TcpStream::connect(&found[..]).await?
            }
        };
        tcp.set_nodelay(true)?;
        match tls {
            None => Ok(Self::Plain(tcp)),
            Some(tls) => Ok(Self::Tls(Box::new(tls.connector(egress)?.connect(tls.name.clone(), tcp).await?))),
        }
    }
}

impl Tls {
    /// Certificates are judged as the operating system's own programs judge them, and by the house's own authorities.
    fn connector(&self, egress: &Egress) -> io::Result<TlsConnector> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let config = trust::client_config(egress.authorities(), &[b"http/1.1"])?;
        Ok(self.connector.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
