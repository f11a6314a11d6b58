//! The keys an issuer signs with (RFC 7517, RFC 7518, RFC 8037), as its JWKS document lists them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

/// More keys than any issuer has; further ones are not read.
const MOST: usize = 100;

/// The public keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// One public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    id: Option<String>,
    /// The one algorithm it is for, where the set says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of P-256 or P-384, uncompressed.
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

/// Why a text is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON Web Key Set with a key that could be used")]
pub struct KeySetFault;

impl KeySet {
    /// The keys for signatures in a JWKS document; those of kinds we do not know are passed over.
    ///
    /// # Errors
    /// [`KeySetFault`] when it is no such document or none of its keys could be used.
    pub fn read(document: &[u8]) -> Result<Self, KeySetFault> {
        let document: Value = serde_json::from_slice(document).map_err(|_| KeySetFault)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(KeySetFault)?;
        let keys: Vec<_> = keys.iter().take(MOST).filter_map(Key::read).collect();
        if keys.is_empty() { Err(KeySetFault) } else { Ok(Self(keys)) }
    }

    /// The keys that may have made a signature with this key id and algorithm.
    pub(super) fn fitting<'a>(&'a self, id: Option<&'a str>, algorithm: &'a str) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.algorithm.as_deref().is_none_or(|own| super::same_algorithm(own, algorithm))
                && key.material.suits(algorithm)
        })
    }
}

impl Key {
    fn read(key: &Value) -> Option<Self> {
        let word = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| word(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        if word("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let material = match (word("kty")?, word("crv")) {
            ("RSA", _) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some(name)) => {
                let (curve, width) = match name {
                    "P-256" => (Curve::P256, 32),
                    "P-384" => (Curve::P384, 48),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != width || y.len() != width {
                    return None;
                }
                Material::Ec { curve, point: [vec![4], x, y].concat() }
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
            _ => return None,
        };
        Some(Self { id: word("kid").map(str::to_owned), algorithm: word("alg").map(str::to_owned), material })
    }

    /// Whether it made this signature.
    pub(super) fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            Material::Ec { curve, point } => {
                let parameters = match (curve, algorithm) {
                    (Curve::P256, "ES256") => &signature::ECDSA_P256_SHA256_FIXED,
                    (Curve::P384, "ES384") => &signature::ECDSA_P384_SHA384_FIXED,
                    _ => return false,
                };
                UnparsedPublicKey::new(parameters, point).verify(message, signature).is_ok()
            }
            Material::Ed25519(point) => {
                matches!(algorithm, "EdDSA" | "Ed25519")
                    && UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature).is_ok()
            }
        }
    }
}

impl Material {
    /// Whether a key of this kind can make signatures of this algorithm at all.
    fn suits(&self, algorithm: &str) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.starts_with("RS") || algorithm.starts_with("PS"),
            Self::Ec { curve: Curve::P256, .. } => algorithm == "ES256",
            Self::Ec { curve: Curve::P384, .. } => algorithm == "ES384",
            Self::Ed25519(_) => matches!(algorithm, "EdDSA" | "Ed25519"),
        }
    }
}
