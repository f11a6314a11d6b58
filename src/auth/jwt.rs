//! Signed tokens of others (RFC 7519), read strictly and believed only as far as the rules of their issuer go (RFC 8725).
//!
//! The signature is judged before any claim, by a key of the issuer's own set and by an algorithm the operator allows:
//! nothing in the token chooses the key's source. What is refused says why to the log, not to the bearer.

mod key;

pub use key::KeySet;

use crate::base::parse_strict;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;

/// The longest token that is read, in bytes.
pub const LONGEST: usize = 16 << 10;

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is no signed token")]
    Malformed,
    #[error("its header has a critical or a key-naming parameter, {0}")]
    Header(&'static str),
    #[error("its type is {0:?}, which is not taken here")]
    Type(String),
    #[error("its algorithm {0} is not allowed for this issuer")]
    Algorithm(String),
    #[error("no key of the issuer has its key id")]
    UnknownKey,
    #[error("its signature does not fit")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is meant for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("its claim {0} is missing or wrong")]
    Claim(&'static str),
}

/// A token taken apart, nothing of it believed yet.
#[derive(Debug)]
pub struct Token<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    pub algorithm: String,
    pub key_id: Option<String>,
    pub kind: Option<String>,
    claims: Map<String, Value>,
}

/// The claims of a token that was believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    pub issuer: String,
    /// Empty only where the rules let it be absent.
    pub subject: String,
    pub all: Map<String, Value>,
}

/// What a token must be to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub issuer: &'a str,
    pub algorithms: &'a [String],
    /// One of them must be named by the token.
    pub audiences: &'a [String],
    pub skew: Duration,
    /// Whether it may be about nobody: a logout token may name a session alone.
    pub subject_may_be_absent: bool,
}

impl<'a> Token<'a> {
    /// Takes `text` apart: three parts of unpadded base64url, the first two JSON objects without a key twice.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], and [`Refusal::Header`] for parameters that would have us look elsewhere for the key
    /// (`jku`, `x5u`, `jwk`) or that must be understood (`crit`), of which we understand none.
    pub fn read(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let object = |part: &str| match parse_strict(&decoded(part)?) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(Refusal::Malformed),
        };
        let header = object(header)?;
        for name in ["crit", "jku", "x5u", "jwk"] {
            if header.contains_key(name) {
                return Err(Refusal::Header(name));
            }
        }
        let word = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::Malformed),
        };
        Ok(Self {
            signed,
            signature: decoded(signature)?,
            algorithm: word("alg")?.ok_or(Refusal::Malformed)?,
            key_id: word("kid")?,
            kind: word("typ")?,
            claims: object(claims)?,
        })
    }

    /// The issuer it claims to be of; for choosing whose rules apply, not believed by that.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Whether it has this claim; not believed by that.
    #[must_use]
    pub fn has_claim(&self, name: &str) -> bool {
        self.claims.contains_key(name)
    }

    /// Whether its `typ` is one of these; `application/` before it means the same (RFC 7515, 4.1.9).
    ///
    /// # Errors
    /// [`Refusal::Type`], also when it has none.
    pub fn require_type(&self, allowed: &[String]) -> Result<(), Refusal> {
        let kind = self.kind.clone().unwrap_or_default().to_ascii_lowercase();
        let plain = kind.strip_prefix("application/").unwrap_or(&kind);
        if allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(plain)) {
            return Ok(());
        }
        Err(Refusal::Type(kind.chars().take(40).collect()))
    }

    /// Its claims, when `keys` has the key that signed it and the `rules` hold at `now`.
    ///
    /// # Errors
    /// [`Refusal`] says which rule does not hold.
    pub fn verify(&self, keys: &KeySet, rules: &Rules<'_>, now: OffsetDateTime) -> Result<Claims, Refusal> {
        if !rules.algorithms.iter().any(|allowed| same_algorithm(allowed, &self.algorithm)) {
            return Err(Refusal::Algorithm(self.algorithm.chars().take(20).collect()));
        }
        let mut fitting = keys.fitting(self.key_id.as_deref(), &self.algorithm).peekable();
        if fitting.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        if !fitting.any(|key| key.verifies(&self.algorithm, self.signed.as_bytes(), &self.signature)) {
            return Err(Refusal::Signature);
        }
        self.judge(rules, now)
    }

    fn judge(&self, rules: &Rules<'_>, now: OffsetDateTime) -> Result<Claims, Refusal> {
        if self.claimed_issuer() != Some(rules.issuer) {
            return Err(Refusal::Issuer);
        }
        if !audiences(&self.claims).any(|audience| rules.audiences.iter().any(|ours| ours == audience)) {
            return Err(Refusal::Audience);
        }
        let skew = rules.skew.as_secs_f64();
        let now = now.unix_timestamp_nanos() as f64 / 1e9;
        let expires = self.instant("exp")?.ok_or(Refusal::Claim("exp"))?;
        if now >= expires + skew {
            return Err(Refusal::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.instant(name)?.is_some_and(|from| now < from - skew) {
                return Err(Refusal::Early);
            }
        }
        let subject = match self.claims.get("sub") {
            None if rules.subject_may_be_absent => "",
            None => return Err(Refusal::Claim("sub")),
            Some(subject) => {
                let subject = subject.as_str().filter(|text| (1..=255).contains(&text.len()));
                subject.ok_or(Refusal::Claim("sub"))?
            }
        };
        Ok(Claims { issuer: rules.issuer.to_owned(), subject: subject.to_owned(), all: self.claims.clone() })
    }

    /// A NumericDate: seconds since 1970, perhaps with a fraction.
    fn instant(&self, name: &'static str) -> Result<Option<f64>, Refusal> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(Refusal::Claim(name)),
            },
        }
    }
}

impl Claims {
    /// The text of a claim.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// All that can be said in a text: texts, numbers, yes and no, and lists of these with commas between them.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        let told = |value: &Value| match value {
            Value::Array(items) => Some(items.iter().filter_map(text).collect::<Vec<_>>().join(",")),
            one => text(one),
        };
        self.all.iter().filter_map(|(name, value)| Some((name.clone(), told(value)?))).collect()
    }

    /// The audiences it names.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        audiences(&self.all)
    }

    /// The words of a claim that lists some: an array of texts, or one text. A dot leads into an object, unless a claim
    /// has the dot in its own name, as those that are addresses do.
    #[must_use]
    pub fn list(&self, path: &str) -> Option<Vec<String>> {
        let nested = || {
            let mut parts = path.split('.');
            let first = self.all.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        };
        match self.all.get(path).or_else(nested)? {
            Value::Array(items) => Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            Value::String(text) => Some(vec![text.clone()]),
            _ => None,
        }
    }
}

fn audiences(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match claims.get("aud") {
        Some(Value::String(text)) => (Some(text.as_str()), None),
        Some(Value::Array(items)) => (None, Some(items)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

/// RFC 9864 gives `EdDSA` with this curve a name of its own.
fn same_algorithm(allowed: &str, used: &str) -> bool {
    let name = |word| if word == "Ed25519" { "EdDSA" } else { word };
    name(allowed) == name(used)
}

fn decoded(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests;
