//! How many connections there may be, in all and of one address.

use crate::base::{Network, config::Config};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

/// Counts connections; cheap to clone.
#[derive(Clone)]
pub(super) struct Caps(Arc<Inner>);

struct Inner {
    total: u32,
    per_address: u32,
    trusted: Vec<Network>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// Which bound was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Total,
    Address,
}

/// A connection's place; dropping it frees the place.
pub(super) struct Place {
    caps: Caps,
    address: Option<IpAddr>,
}

impl Caps {
    pub(super) fn new(config: &Config) -> Self {
        Self(Arc::new(Inner {
            total: config.limits.max_connections,
            per_address: config.limits.max_connections_per_ip,
            trusted: config.server.trusted_proxies.clone(),
            counts: Mutex::default(),
        }))
    }

    /// A place for a connection from this address. Loopback and trusted proxies speak for many and are not counted
    /// by address.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Place, Full> {
        let address = address.to_canonical();
        let is_proxy = address.is_loopback() || self.0.trusted.iter().any(|network| network.contains(address));
        let address = (!is_proxy).then(|| block(address));

        let mut counts = self.lock();
        if counts.total >= self.0.total {
            return Err(Full::Total);
        }
        if let Some(address) = address {
            let count = counts.by_address.entry(address).or_default();
            if *count >= self.0.per_address {
                return Err(Full::Address);
            }
            *count += 1;
        }
        counts.total += 1;
        metrics::gauge!("wharfinger_connections").set(counts.total);
        Ok(Place { caps: self.clone(), address })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.counts.lock().expect("no holder of this lock can panic")
    }
}

/// An IPv6 subscriber has a whole /64 to call from.
fn block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.caps.lock();
        counts.total -= 1;
        metrics::gauge!("wharfinger_connections").set(counts.total);
        if let Some(address) = self.address
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps() -> Caps {
        let file = "max_connections = 5\nmax_connections_per_ip = 2\ntrusted_proxies = '10.0.0.0/8'";
        Caps::new(&Config::from_sources(Some(file), []).unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let (caps, somebody) = (caps(), "203.0.113.7".parse().unwrap());

        let held = (caps.enter(somebody).ok().unwrap(), caps.enter(somebody).ok().unwrap());
        assert_eq!(caps.enter(somebody).err(), Some(Full::Address));
        assert!(caps.enter("203.0.113.8".parse().unwrap()).is_ok());
        drop(held);

        assert!(caps.enter(somebody).is_ok());
        assert!(caps.lock().by_address.is_empty() && caps.lock().total == 0, "nothing is kept of who left");
    }

    #[test]
    fn proxies_are_bounded_only_by_the_whole() {
        let (caps, proxy) = (caps(), "10.1.2.3".parse().unwrap());

        let held: Vec<_> = (0..5).map(|_| caps.enter(proxy).ok().unwrap()).collect();

        assert_eq!(caps.enter("127.0.0.1".parse().unwrap()).err(), Some(Full::Total));
        drop(held);
    }

    #[test]
    fn an_ipv6_subscriber_counts_as_one() {
        let caps = caps();
        let from = |host: u32| caps.enter(format!("2001:db8::{host:x}").parse().unwrap());

        let _held = (from(1), from(2));

        assert_eq!(from(3).err(), Some(Full::Address));
    }
}
