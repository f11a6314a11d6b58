//! `Origin`: a host and port, its idle connections, and how a request gets there.

use super::answer::AnswerBody;
use super::head::Request;
use super::link::{Begun, Fault, Link};
use super::stream::{Stream, Tls};
use crate::base::{Egress, lane, trust};
use http::{HeaderValue, response::Parts};
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// How long an idle connection is kept: vendors and balancers close theirs after a minute or more.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept for one origin and lane.
const MOST_IDLE: usize = 1024;
/// Further lanes share with the first ones.
const LANES: usize = 64;

/// All origins that backends have named.
pub struct Origins {
    known: Mutex<HashMap<String, Arc<Origin>>>,
    egress: Egress,
    connector: Arc<OnceLock<TlsConnector>>,
}

/// One host and port.
pub struct Origin {
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// The value of the `Host` header.
    pub authority: HeaderValue,
    /// By lane.
    idle: [Mutex<Vec<Link>>; LANES],
    egress: Egress,
}

/// An answer whose head is there.
pub struct Answered {
    pub head: Parts,
    pub body: AnswerBody,
}

/// Why there is no answer. The texts are for logs; they hold nothing of a request.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("no connection: {0}")]
    NotConnected(String),
    /// What is wrong with its certificate.
    #[error("not trusted: {0}")]
    Untrusted(&'static str),
    #[error("the connection took longer than it may")]
    ConnectTimedOut,
    #[error("no answer within the time for its first byte")]
    FirstByteTimedOut,
    #[error("it broke off before its answer: {0}")]
    Broken(String),
}

impl Origins {
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self { known: Mutex::default(), egress, connector: Arc::default() }
    }

    /// The origin of an address.
    ///
    /// # Errors
    /// A sentence when the address has no host or is neither http nor https.
    pub fn of(&self, url: &Url) -> Result<Arc<Origin>, String> {
        let host = url.host_str().ok_or("it names no host")?;
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("it is neither http nor https but {other}")),
        };
        let port = url.port_or_known_default().ok_or("it names no port")?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let key = format!("{}://{host}:{port}", url.scheme());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = known.get(&key) {
            return Ok(origin.clone());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match is_tls {
            false => None,
            true => {
                let name = ServerName::try_from(bare.clone());
                let name = name.map_err(|error| format!("its host is no name: {error}"))?;
                Some(Tls { name, connector: self.connector.clone() })
            }
        };
        let authority = HeaderValue::from_str(&authority).map_err(|_| "its host is no name")?;
        let origin = Arc::new(Origin {
            host: bare,
            port,
            tls,
            authority,
            idle: [const { Mutex::new(Vec::new()) }; LANES],
            egress: self.egress.clone(),
        });
        known.insert(key, origin.clone());
        Ok(origin)
    }

    /// Closes connections that have been idle too long; for a timer.
    pub fn sweep(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for origin in known.values() {
            for idle in &origin.idle {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|link| link.idle_since.is_none_or(|since| since.elapsed() < IDLE));
            }
        }
    }
}

impl Origin {
    /// Sends a request and waits for the head of its answer. Where a kept connection turns out to be closed before anything
    /// of an answer came, it is sent once more over a new one, if `again` allows that.
    ///
    /// `connect` bounds the making of a new connection, and `first_byte` the wait for an answer over all that is tried.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        self: &Arc<Self>,
        request: Request<'_>,
        again: bool,
        connect: Duration,
        first_byte: Duration,
    ) -> Result<Answered, SendError> {
        let mut patience = first_byte;
        let begun = Instant::now();
        if let Some(link) = self.ready(begun).await {
            match self.ask(link, request, patience).await? {
                Ok(answered) => return Ok(answered),
                // The other side closed what it, too, held for idle. A new connection is none of those: over kept ones a
                // request that makes a backend hang up would be sent as often as there are any.
                Err(Fault::Gone(_)) if again => patience = patience.saturating_sub(begun.elapsed()),
                Err(fault) => return Err(fault.into()),
            }
        }
        let link = Link::new(self.connected(connect).await?);
        self.ask(link, request, patience).await?.map_err(SendError::from)
    }

    /// A kept connection over which another request can go, as far as is known here.
    async fn ready(&self, now: Instant) -> Option<Link> {
        loop {
            let mut link = self.kept(now)?;
            if link.is_ready().await {
                return Some(link);
            }
        }
    }

    async fn connected(&self, patience: Duration) -> Result<Stream, SendError> {
        let opening = Stream::connect(&self.egress, &self.host, self.port, self.tls.as_ref());
        let opened = timeout(patience, opening).await.map_err(|_| SendError::ConnectTimedOut)?;
        opened.map_err(|error| {
            let distrust = trust::distrust(&error).map(SendError::Untrusted);
            distrust.unwrap_or_else(|| SendError::NotConnected(error.to_string()))
        })
    }

    /// Sends a request over this connection; no answer may be the connection's fault.
    async fn ask(
        self: &Arc<Self>,
        mut link: Link,
        request: Request<'_>,
        patience: Duration,
    ) -> Result<Result<Answered, Fault>, SendError> {
        let begun = timeout(patience, link.send(request)).await.map_err(|_| SendError::FirstByteTimedOut)?;
        Ok(begun.map(|begun| self.answered(begun, link)))
    }

    fn answered(self: &Arc<Self>, begun: Begun, link: Link) -> Answered {
        let (head, body) = AnswerBody::of(begun, link, self.clone());
        Answered { head, body }
    }

    /// The connection that was used last: it is the least likely to be closed.
    fn kept(&self, now: Instant) -> Option<Link> {
        let mut idle = self.idle();
        let link = idle.pop()?;
        if link.idle_since.is_some_and(|since| now.saturating_duration_since(since) < IDLE) {
            return Some(link);
        }
        idle.clear();
        None
    }

    pub(super) fn keep(&self, link: Link) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(link);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.idle[lane::here() % LANES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Fault> for SendError {
    fn from(fault: Fault) -> Self {
        let (Fault::Gone(why) | Fault::Broken(why)) = fault;
        Self::Broken(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn an_address_leads_to_one_origin() {
        let origins = Origins::new(Egress::default());
        let of = |url: &str| origins.of(&url.parse().unwrap());

        let plain = of("http://localhost:11434/v1").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls.is_none()), ("localhost", 11434, true));
        assert!(Arc::ptr_eq(&plain, &of("http://localhost:11434/other").unwrap()));
        let secure = of("https://api.example.com/v1").unwrap();
        assert_eq!((secure.port, secure.authority.to_str().unwrap()), (443, "api.example.com"));
        assert_eq!(of("http://[::1]:80/").unwrap().host, "::1");
        assert!(of("ftp://example.com/").is_err());
    }

    /// An origin whose connections are served by `serve`, each with its number.
    async fn served<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Arc<Origin>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            for number in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(number, tcp));
            }
        });
        Origins::new(Egress::to_hosts(&["127.0.0.1".to_owned()])).of(&url).unwrap()
    }

    async fn send(origin: &Arc<Origin>, connect: Duration, first_byte: Duration) -> Result<Answered, SendError> {
        let (uri, headers, body) = ("/x".parse().unwrap(), HeaderMap::new(), bytes::Bytes::new());
        let request = Request { method: &Method::GET, uri: &uri, headers: &headers, body: &body };
        origin.send(request, true, connect, first_byte).await
    }

    /// Reads a request, which has no body; whether there was one.
    async fn asked(tcp: &mut TcpStream) -> bool {
        let mut seen = Vec::new();
        while memchr::memmem::find(&seen, b"\r\n\r\n").is_none() {
            if tcp.read_buf(&mut seen).await.unwrap() == 0 {
                return false;
            }
        }
        true
    }

    async fn answer(tcp: &mut TcpStream) {
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_makes_a_backend_hang_up_is_sent_twice_and_no_more() {
        const KEPT: usize = 4;
        let hung_up = Arc::new(AtomicUsize::new(0));
        let all_here = Arc::new(tokio::sync::Barrier::new(KEPT));
        let counter = hung_up.clone();
        let origin = served(move |number, mut tcp| {
            let (counter, all_here) = (counter.clone(), all_here.clone());
            async move {
                // The first ones serve one request, all at a time so that each has a connection.
                if number < KEPT {
                    assert!(asked(&mut tcp).await);
                    all_here.wait().await;
                    answer(&mut tcp).await;
                }
                if asked(&mut tcp).await {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
        .await;
        let patience = Duration::from_secs(20);
        let first = futures::future::join_all((0..KEPT).map(|_| send(&origin, patience, patience))).await;
        assert!(first.iter().all(Result::is_ok));
        assert_eq!(origin.idle().len(), KEPT);

        let outcome = send(&origin, patience, patience).await;

        assert!(matches!(outcome, Err(SendError::Broken(_))));
        assert_eq!(hung_up.load(Ordering::SeqCst), 2);
        assert_eq!(origin.idle().len(), KEPT - 1, "the others are kept");
    }

    #[tokio::test]
    async fn the_time_to_connect_is_no_time_to_answer() {
        let origin = served(|_, mut tcp| async move {
            assert!(asked(&mut tcp).await);
            answer(&mut tcp).await;
            // Now it hangs.
            asked(&mut tcp).await;
            std::future::pending().await
        })
        .await;
        let (connect, first_byte) = (Duration::from_secs(20), Duration::from_millis(300));
        send(&origin, connect, Duration::from_secs(20)).await.map(drop).unwrap();
        let begun = Instant::now();

        let outcome = send(&origin, connect, first_byte).await;

        assert!(matches!(outcome, Err(SendError::FirstByteTimedOut)));
        assert!((first_byte..connect / 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
