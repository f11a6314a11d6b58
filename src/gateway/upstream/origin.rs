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
use std::time::Duration;
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
    /// of an answer came, it is sent once more over another, if `again` allows that.
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
        let sending = async {
            while let Some(mut link) = self.kept() {
                if !link.is_ready().await {
                    continue;
                }
                match link.send(request).await {
                    Ok(begun) => return Ok(self.answered(begun, link)),
                    // The other side closed what it, too, held for idle.
                    Err(Fault::Gone(_)) if again => {}
                    Err(Fault::Gone(why) | Fault::Broken(why)) => return Err(SendError::Broken(why)),
                }
            }
            let opening = Stream::connect(&self.egress, &self.host, self.port, self.tls.as_ref());
            let stream = match tokio::time::timeout(connect, opening).await {
                Err(_) => return Err(SendError::ConnectTimedOut),
                Ok(Err(error)) => {
                    let distrust = trust::distrust(&error).map(SendError::Untrusted);
                    return Err(distrust.unwrap_or_else(|| SendError::NotConnected(error.to_string())));
                }
                Ok(Ok(stream)) => stream,
            };
            let mut link = Link::new(stream);
            match link.send(request).await {
                Ok(begun) => Ok(self.answered(begun, link)),
                Err(Fault::Gone(why) | Fault::Broken(why)) => Err(SendError::Broken(why)),
            }
        };
        tokio::time::timeout(first_byte.saturating_add(connect), sending)
            .await
            .unwrap_or(Err(SendError::FirstByteTimedOut))
    }

    fn answered(self: &Arc<Self>, begun: Begun, link: Link) -> Answered {
        let (head, body) = AnswerBody::of(begun, link, self.clone());
        Answered { head, body }
    }

    /// The connection that was used last: it is the least likely to be closed.
    fn kept(&self) -> Option<Link> {
        let mut idle = self.idle();
        let link = idle.pop()?;
        if link.idle_since.is_some_and(|since| since.elapsed() < IDLE) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
