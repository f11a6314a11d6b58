//! Texts that a domain says of itself in the DNS (TXT records).

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::SocketAddr;
use std::time::Duration;

/// How long one question to a server may take; it is asked twice.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the DNS; cheap to clone.
#[derive(Clone)]
pub struct Dns(Option<TokioResolver>);

/// The DNS gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the DNS gives no texts of this domain")]
pub struct NoTexts;

impl Dns {
    /// Asks `server`, or those of the system. Where the system names none, nothing is ever found, and the log says so.
    #[must_use]
    pub fn new(server: Option<SocketAddr>) -> Self {
        let made = match server {
            Some(server) => Ok(at(server)),
            None => TokioResolver::builder_tokio(),
        };
        let made = made.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = PATIENCE;
            options.attempts = 2;
            // A key that was taken back or added counts at once.
            options.cache_size = 0;
            builder.build()
        });
        Self(made.inspect_err(|error| tracing::warn!(error = %error, "The DNS cannot be asked")).ok())
    }

    /// The texts of `domain` itself, each joined of its pieces; what is no UTF-8 is left out.
    ///
    /// # Errors
    /// [`NoTexts`] when there are none, or nobody answers within some seconds.
    pub async fn texts(&self, domain: &str) -> Result<Vec<String>, NoTexts> {
        let resolver = self.0.as_ref().ok_or(NoTexts)?;
        // The dot at the end: exactly this name, and none of the domains the system searches.
        let found = resolver.txt_lookup(format!("{}.", domain.trim_end_matches('.'))).await.map_err(|error| {
            tracing::debug!(error = %error, "The DNS did not answer");
            NoTexts
        })?;
        let texts = found.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => String::from_utf8(text.txt_data.concat()).ok(),
            _ => None,
        });
        Ok(texts.collect())
    }
}

fn at(server: SocketAddr) -> ResolverBuilder<TokioRuntimeProvider> {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port();
        connection
    };
    let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
    let server = NameServerConfig::new(server.ip(), true, connections);
    let config = ResolverConfig::from_name_servers(vec![server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}
