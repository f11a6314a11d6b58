//! Proofs that somebody owns a domain: a timestamp signed with a key that the domain names, `v=MCPv1; k=ed25519; p=...`, in
//! a TXT record or in its well-known file. Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use p384::ecdsa::{Signature, VerifyingKey, signature::Verifier};
use ring::signature::{ED25519, UnparsedPublicKey};

/// A key that a domain names.
enum Key {
    Ed25519(Vec<u8>),
    /// A point of P-384 in its compressed form, 49 bytes; signatures are R and S, 96 bytes, over SHA-384.
    EcdsaP384(VerifyingKey),
}

/// Whether one of the keys of the lines signed the timestamp. Several keys make a rotation possible.
pub(super) fn is_signed<'a>(lines: impl IntoIterator<Item = &'a str>, timestamp: &str, signature: &[u8]) -> bool {
    lines.into_iter().filter_map(Key::read).any(|key| key.verifies(timestamp.as_bytes(), signature))
}

impl Key {
    fn read(line: &str) -> Option<Self> {
        let member = |name: &str| {
            let mut members = line.split(';').filter_map(|member| member.trim().split_once('='));
            members.find(|(own, _)| *own == name).map(|(_, value)| value.trim())
        };
        if member("v")? != "MCPv1" {
            return None;
        }
        let point = STANDARD.decode(member("p")?).ok()?;
        match member("k")? {
            "ed25519" if point.len() == 32 => Some(Self::Ed25519(point)),
            "ecdsap384" if point.len() == 49 => VerifyingKey::from_sec1_bytes(&point).ok().map(Self::EcdsaP384),
            _ => None,
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
            Self::EcdsaP384(key) => {
                Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p384::ecdsa::{SigningKey, signature::Signer};
    use ring::signature::{Ed25519KeyPair, KeyPair};

    const NOW: &str = "2026-03-01T12:00:00Z";

    fn signed(file: &str, timestamp: &str, signature: &[u8]) -> bool {
        is_signed(file.lines(), timestamp, signature)
    }

    #[test]
    fn one_of_the_domains_keys_must_have_signed_the_timestamp() {
        let (ours, other) = ([7; 32], [8; 32]);
        let pair = |seed: &[u8; 32]| Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
        let line = |seed: &[u8; 32]| format!("v=MCPv1; k=ed25519; p={}", STANDARD.encode(pair(seed).public_key()));
        let signature = pair(&ours).sign(NOW.as_bytes());
        let signature = signature.as_ref();

        assert!(signed(&line(&ours), NOW, signature));
        assert!(signed(&format!("{}\n{}\n", line(&other), line(&ours)), NOW, signature));
        assert!(!signed(&line(&other), NOW, signature));
        assert!(!signed(&line(&ours), "2026-03-01T12:00:01Z", signature));
        assert!(!signed(&line(&ours).replace("MCPv1", "MCPv2"), NOW, signature));
        assert!(!signed("v=MCPv1; k=ed25519; p=AAAA", NOW, signature));
    }

    #[test]
    fn a_key_of_p_384_is_a_compressed_point_and_signs_with_two_numbers() {
        let key = SigningKey::from_slice(&[9; 48]).unwrap();
        let point = key.verifying_key().to_sec1_point(true);
        assert_eq!(point.as_bytes().len(), 49);
        let line = format!("v=MCPv1; k=ecdsap384; p={}", STANDARD.encode(point.as_bytes()));
        let signature: Signature = key.sign(NOW.as_bytes());
        let signature = signature.to_bytes();
        assert_eq!(signature.len(), 96);

        assert!(signed(&line, NOW, &signature));
        assert!(!signed(&line, "2026-03-01T12:00:01Z", &signature));
        assert!(!signed(&line.replace("ecdsap384", "ed25519"), NOW, &signature));
        assert!(!signed(&line, NOW, &signature[..95]));
        assert!(!signed("v=MCPv1; k=ecdsap384; p=AAAA", NOW, &signature));
    }
}
