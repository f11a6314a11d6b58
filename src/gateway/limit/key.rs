//! Counter keys: what a limit counts by, as a template over what is known of a request.
//!
//! `{key}` counts by API key, `{workspace}/{model}` by both together, and a template without braces has one counter for
//! everybody. What is not known of a request (`{header:x-team}` of a request without that header) counts as empty: a
//! caller does not get around a limit by leaving a header away.

use crate::gateway::settings::{KeyTemplate, TemplatePart};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;

/// What a counter is found by: 128 bits of a SHA-256 over the limit and the rendered value. Equal on all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey(pub u128);

/// Whose a counter is beside the names in its value: two keys may share a name, and a key may have the name of a person.
/// Ids, and 0 where the template has no such part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub key: u128,
    pub user: u128,
}

impl CounterKey {
    /// The counter of `limit` (which names it among all limits) for this value of its template, and for these alone.
    #[must_use]
    pub fn of(limit: &str, value: &str, whose: Whose) -> Self {
        let mut hash = Sha256::new();
        hash.update((limit.len() as u64).to_le_bytes());
        hash.update(limit.as_bytes());
        hash.update(value.as_bytes());
        if whose != Whose::default() {
            // No value has this byte.
            hash.update([0xff]);
            hash.update(whose.key.to_le_bytes());
            hash.update(whose.user.to_le_bytes());
        }
        let hash: [u8; 32] = hash.finalize().into();
        Self(u128::from_le_bytes(hash[..16].try_into().expect("half of 32 bytes are 16")))
    }

    /// As 32 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }

    /// From what [`CounterKey::to_hex`] wrote.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

/// What a template may ask of a request. Values of headers and claims come from the caller and are cut at 200 bytes.
pub trait Facts {
    fn key(&self) -> Option<&str> {
        None
    }
    fn user(&self) -> Option<&str> {
        None
    }
    fn group(&self) -> Option<&str> {
        None
    }
    fn workspace(&self) -> Option<&str> {
        None
    }
    fn route(&self) -> Option<&str> {
        None
    }
    fn model(&self) -> Option<&str> {
        None
    }
    fn asset(&self) -> Option<&str> {
        None
    }
    /// Of the client, behind trusted proxies.
    fn ip(&self) -> Option<IpAddr> {
        None
    }
    fn header(&self, _name: &str) -> Option<&str> {
        None
    }
    fn claim(&self, _name: &str) -> Option<&str> {
        None
    }
}

/// Longest value that is taken from a header or a claim.
const LONGEST: usize = 200;

/// The value of a template for a request, as people read it: keys and users by their names, which may be given twice.
#[must_use]
pub fn rendered(template: &KeyTemplate, facts: &dyn Facts) -> String {
    let mut value = String::with_capacity(40);
    for part in template.parts() {
        let known = match part {
            TemplatePart::Text(text) => {
                value.push_str(text);
                continue;
            }
            TemplatePart::Ip => {
                if let Some(ip) = facts.ip() {
                    write!(value, "{ip}").expect("a string takes everything");
                }
                continue;
            }
            TemplatePart::Key => facts.key(),
            TemplatePart::User => facts.user(),
            TemplatePart::Group => facts.group(),
            TemplatePart::Workspace => facts.workspace(),
            TemplatePart::Route => facts.route(),
            TemplatePart::Model => facts.model(),
            TemplatePart::Asset => facts.asset(),
            TemplatePart::Header(name) => facts.header(name),
            TemplatePart::Claim(name) => facts.claim(name),
        };
        let known = known.unwrap_or_default();
        value.push_str(&known[..known.floor_char_boundary(LONGEST)]);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Request;

    impl Facts for Request {
        fn key(&self) -> Option<&str> {
            Some("support-bot")
        }
        fn workspace(&self) -> Option<&str> {
            Some("payments")
        }
        fn model(&self) -> Option<&str> {
            Some("gpt-5-mini")
        }
        fn ip(&self) -> Option<IpAddr> {
            Some([10, 0, 0, 7].into())
        }
        fn header(&self, name: &str) -> Option<&str> {
            (name == "x-team").then_some("blue")
        }
    }

    #[test]
    fn a_template_is_filled_from_the_request() {
        for (template, value) in [
            ("{key}", "support-bot"),
            ("{workspace}/{model}", "payments/gpt-5-mini"),
            ("everybody", "everybody"),
            ("{header:X-Team} from {ip}", "blue from 10.0.0.7"),
            ("{user}|{header:x-other}|{claim:department}", "||"),
            ("", ""),
        ] {
            let template: KeyTemplate = template.parse().unwrap();
            assert_eq!(rendered(&template, &Request), value, "{template}");
        }
    }

    #[test]
    fn limits_do_not_share_counters() {
        let of = |limit, value| CounterKey::of(limit, value, Whose::default());
        assert_ne!(of("a", "bc"), of("ab", "c"));
        let key = of("tokens", "payments");
        assert_eq!(CounterKey::from_hex(&key.to_hex()), Some(key));
    }
}
