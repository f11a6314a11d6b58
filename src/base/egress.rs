//! `Egress`: which hosts an outgoing client may reach, judged by URL and again by every address a name resolves to.

use super::{Network, is_public};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// The public internet, and what the operator allowed beside it; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    allowed: Arc<Allowed>,
    /// Who is believed beside the system's authorities.
    authorities: Arc<[CertificateDer<'static>]>,
}

#[derive(Debug, Default)]
struct Allowed {
    networks: Vec<Network>,
    /// In lower case; a name that stands here may resolve to anything.
    names: Vec<String>,
}

/// A name has an address that may not be reached.
#[derive(Debug, thiserror::Error)]
#[error("an address of this name may not be reached")]
pub struct NotPublic;

/// Why a URL is not called; to follow the URL in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    #[error("is neither http nor https")]
    Scheme,
    #[error("carries a user or a password")]
    Credentials,
    #[error("names no host")]
    NoHost,
    #[error("does not lie on the public internet")]
    Private,
    #[error("is plain http; outside of allowed hosts https is needed")]
    Plain,
}

impl Egress {
    /// The public internet and these networks.
    #[must_use]
    pub fn to_networks(networks: &[Network]) -> Self {
        Self { allowed: Arc::new(Allowed { networks: networks.to_vec(), names: Vec::new() }), ..Self::default() }
    }

    /// The public internet and these hosts, each a name, an address or a network.
    #[must_use]
    pub fn to_hosts(hosts: &[String]) -> Self {
        let mut allowed = Allowed::default();
        for host in hosts {
            match host.parse() {
                Ok(network) => allowed.networks.push(network),
                Err(_) => allowed.names.push(host.trim_end_matches('.').to_ascii_lowercase()),
            }
        }
        Self { allowed: Arc::new(allowed), ..Self::default() }
    }

    /// The same, that believes these authorities beside the system's.
    #[must_use]
    pub fn trusting(self, authorities: Vec<CertificateDer<'static>>) -> Self {
        Self { authorities: authorities.into(), ..self }
    }

    /// Who is believed beside the system's authorities.
    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// A client that reaches what may be reached, believes who is believed, and follows no redirect: where one leads would
    /// have to be judged.
    pub fn client(&self) -> reqwest::ClientBuilder {
        super::use_tls();
        // They were read as certificates when the settings were; one that is none would only not be believed.
        let read = |one: &CertificateDer<'static>| reqwest::Certificate::from_der(one).ok();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, behind our back.
            .no_proxy()
            .dns_resolver(Arc::new(self.clone()));
        match self.authorities.is_empty() {
            true => client,
            false => client.tls_certs_merge(self.authorities.iter().filter_map(read)),
        }
    }

    /// What a URL itself shows; a name that is not allowed by itself is judged when it is resolved.
    ///
    /// # Errors
    /// [`Unreachable`] says why it may not be called.
    pub fn judge(&self, url: &Url) -> Result<(), Unreachable> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Unreachable::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unreachable::Credentials);
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Unreachable::NoHost),
        };
        if self.reaches(address) { Ok(()) } else { Err(Unreachable::Private) }
    }

    /// As [`Egress::judge`], and refuses plain http but to hosts the operator allowed: a credential goes there.
    ///
    /// # Errors
    /// [`Unreachable`] says why it may not be called.
    pub fn judge_strictly(&self, url: &Url) -> Result<(), Unreachable> {
        self.judge(url)?;
        if url.scheme() == "https" || self.names_host(url) { Ok(()) } else { Err(Unreachable::Plain) }
    }

    /// Whether the operator allowed this URL's host by name or address.
    fn names_host(&self, url: &Url) -> bool {
        let listed = |address: IpAddr| self.allowed.networks.iter().any(|network| network.contains(address));
        match url.host() {
            Some(Host::Ipv4(address)) => listed(address.into()),
            Some(Host::Ipv6(address)) => listed(address.into()),
            Some(Host::Domain(name)) => self.names(name),
            None => false,
        }
    }

    fn names(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.allowed.names.contains(&name)
    }

    /// Whether this address may be reached.
    #[must_use]
    pub fn reaches(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.networks.iter().any(|network| network.contains(address))
    }

    /// The addresses of a name, when all of them may be reached. Whoever connects uses these and asks no second time.
    ///
    /// # Errors
    /// [`NotPublic`], or that of the lookup.
    pub async fn resolve(
        &self,
        name: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
        if !self.names(name) && found.iter().any(|address| !self.reaches(address.ip())) {
            return Err(NotPublic.into());
        }
        Ok(found)
    }
}

/// For [`reqwest`]: the connection goes to an address that was judged.
impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let found = Self::resolve(&egress, name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_and_plain_http_need_the_operators_word() {
        let nobody = Egress::default();
        let local = Egress::to_hosts(&["127.0.0.1".into(), "10.4.0.0/16".into(), "Ollama.internal".into()]);
        let judge = |egress: &Egress, url: &str| egress.judge_strictly(&url.parse().unwrap());

        for url in
            ["http://127.0.0.1:11434/v1", "http://10.4.1.1/v1", "http://ollama.internal/v1", "https://api.example.com"]
        {
            assert_eq!(judge(&local, url), Ok(()), "{url}");
        }
        for (url, why) in [
            ("http://127.0.0.1/", Unreachable::Private),
            ("http://2130706433/", Unreachable::Private),
            ("http://0x7f.1/", Unreachable::Private),
            ("https://[::ffff:127.0.0.1]/", Unreachable::Private),
            ("https://169.254.169.254/", Unreachable::Private),
            ("http://api.example.com/", Unreachable::Plain),
            ("https://a:b@api.example.com/", Unreachable::Credentials),
            ("gopher://api.example.com/", Unreachable::Scheme),
        ] {
            assert_eq!(judge(&nobody, url), Err(why), "{url}");
        }
        assert_eq!(judge(&local, "http://10.5.0.1/"), Err(Unreachable::Private));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        assert!(Egress::default().resolve("localhost", 80).await.unwrap_err().is::<NotPublic>());
        assert!(!Egress::to_hosts(&["localhost".into()]).resolve("localhost", 80).await.unwrap().is_empty());
    }
}
