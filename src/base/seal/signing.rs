//! Signing with the keys of the ring: HMAC-SHA-256 under a key derived for one purpose, so that a signature made for one
//! thing means nothing for another and no key serves for two.

use super::{KeyRing, SealError};
use ring::hmac::{self, HMAC_SHA256};

impl KeyRing {
    /// The id of the key that signed, and the signature of `message` for `purpose`.
    #[must_use]
    pub fn sign(&self, purpose: &str, message: &[u8]) -> (String, [u8; 32]) {
        let keys = self.keys();
        let key = derived(keys[0].key.expose(), purpose);
        (keys[0].id.clone(), tag(&key, message))
    }

    /// As [`KeyRing::sign`], by the key `id`.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when the ring has no such key.
    pub fn sign_by(&self, id: &str, purpose: &str, message: &[u8]) -> Result<[u8; 32], SealError> {
        Ok(tag(&self.derived(id, purpose)?, message))
    }

    /// Whether the key `id` signed this `message` for this `purpose`; in constant time.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when the ring has no such key.
    pub fn verify(&self, id: &str, purpose: &str, message: &[u8], signature: &[u8]) -> Result<bool, SealError> {
        let key = hmac::Key::new(HMAC_SHA256, &self.derived(id, purpose)?);
        Ok(hmac::verify(&key, message, signature).is_ok())
    }

    fn derived(&self, id: &str, purpose: &str) -> Result<[u8; 32], SealError> {
        let find = || {
            let keys = self.keys();
            keys.iter().find(|key| key.id == id).map(|key| derived(key.key.expose(), purpose))
        };
        // Another replica may sign by a key that was added to the file since we read it.
        let found = find().or_else(|| self.reload().ok().and_then(|()| find()));
        found.ok_or_else(|| SealError::NoKey(id.to_owned()))
    }
}

fn derived(key: &[u8; 32], purpose: &str) -> [u8; 32] {
    tag(key, format!("derived for {purpose}").as_bytes())
}

fn tag(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key), message);
    tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_its_purpose_and_its_key() {
        let (ring, other) = (KeyRing::ephemeral(), KeyRing::ephemeral());
        let (id, signature) = ring.sign("heads", b"7");

        assert_eq!(ring.verify(&id, "heads", b"7", &signature), Ok(true));
        assert_eq!(ring.verify(&id, "heads", b"8", &signature), Ok(false));
        assert_eq!(ring.verify(&id, "tails", b"7", &signature), Ok(false));
        assert_eq!(other.verify(&id, "heads", b"7", &signature), Ok(false), "another key of the same name");
        assert_eq!(ring.verify("gone", "heads", b"7", &signature), Err(SealError::NoKey("gone".into())));
    }
}
