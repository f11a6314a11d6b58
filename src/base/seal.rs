//! Sealing: what a secret looks like in the database, and the keys that open it, which are never there.
//!
//! Each secret has a data key of its own (AES-256-GCM, a fresh 96-bit nonce each time it is written), and the data key is
//! sealed by a key-encryption key of the ring. Both carry the row's identity as associated data: a ciphertext that was moved
//! to another row does not open. Changing the key-encryption key wraps the data keys anew and leaves the secrets alone.

mod ring_file;
mod signing;

use super::Sealed;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

/// A secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SealedBox {
    /// Which key-encryption key wrapped the data key.
    pub kek_id: String,
    /// Nonce and the sealed data key.
    pub wrapped_key: Vec<u8>,
    /// Nonce and the sealed secret.
    pub ciphertext: Vec<u8>,
}

/// The key-encryption keys of this process; the first seals, all open. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<RwLock<Arc<[Kek]>>>,
    source: Arc<Source>,
}

enum Source {
    File(PathBuf),
    Given,
}

struct Kek {
    id: String,
    key: Sealed<[u8; 32]>,
}

/// Why a secret could not be sealed or opened. Never says what was in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("there is no encryption key {0:?} here")]
    NoKey(String),
    #[error(
        "the secret does not open: it was changed, moved to another row, or sealed by another key of the same name"
    )]
    DoesNotOpen,
    #[error("the system gives no random numbers")]
    NoRandom,
    #[error("{0}")]
    Ring(String),
}

impl KeyRing {
    /// The keys that `given` spells, or those of the file, which is made with one random key when it is not there.
    ///
    /// Each key is `id:` and 32 bytes in base64; the first one seals. In a file one key a line, `#` begins a comment.
    ///
    /// # Errors
    /// [`SealError::Ring`] names the place and the line that is wrong, never a key.
    pub fn load(given: Option<&Sealed<String>>, file: PathBuf) -> Result<Self, SealError> {
        let (keys, source) = match given {
            Some(text) => (ring_file::parse(text.expose(), "WHARFINGER_ENCRYPTION_KEYS")?, Source::Given),
            None => (ring_file::read_or_make(&file)?, Source::File(file)),
        };
        Ok(Self { keys: Arc::new(RwLock::new(keys.into())), source: Arc::new(source) })
    }

    /// A ring with one random key that is kept nowhere; for stories.
    #[must_use]
    pub fn ephemeral() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system gives random numbers");
        let keys = vec![Kek { id: "ephemeral".to_owned(), key: Sealed::new(key) }];
        Self { keys: Arc::new(RwLock::new(keys.into())), source: Arc::new(Source::Given) }
    }

    /// Reads the file again, so that a key added to it is known without a restart; keys given by the environment stay.
    ///
    /// # Errors
    /// As [`KeyRing::load`]; the ring is then as it was.
    pub fn reload(&self) -> Result<(), SealError> {
        if let Source::File(file) = &*self.source {
            let keys = ring_file::parse_file(file)?;
            *self.keys.write().expect("no holder of this lock can panic") = keys.into();
        }
        Ok(())
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn current(&self) -> String {
        self.keys()[0].id.clone()
    }

    /// Where the keys are from, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        match &*self.source {
            Source::File(file) => file.display().to_string(),
            Source::Given => "WHARFINGER_ENCRYPTION_KEYS".to_owned(),
        }
    }

    /// The ids of all keys, the one that seals first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys().iter().map(|kek| kek.id.clone()).collect()
    }

    /// Seals `secret` for the row that `identity` names, by the first key as it stands in the file now.
    ///
    /// # Errors
    /// [`SealError::Ring`] when the file cannot be read again: nothing is sealed then; [`SealError::NoRandom`].
    pub fn seal(&self, secret: &[u8], identity: &str) -> Result<SealedBox, SealError> {
        // Once another replica has wrapped anew what is stored, the operator takes the older keys out: what is sealed by
        // one of those after that, nobody opens again.
        self.reload()?;
        self.keys()[0].seal(secret, identity)
    }

    /// As [`KeyRing::seal`], by the key `id` of those known here.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when the ring has no such key; [`SealError::NoRandom`].
    pub fn seal_by(&self, id: &str, secret: &[u8], identity: &str) -> Result<SealedBox, SealError> {
        let keys = self.keys();
        let kek = keys.iter().find(|kek| kek.id == id).ok_or_else(|| SealError::NoKey(id.to_owned()))?;
        kek.seal(secret, identity)
    }

    /// The secret in `sealed`, if it was sealed for `identity`.
    ///
    /// # Errors
    /// [`SealError::NoKey`], or [`SealError::DoesNotOpen`].
    pub fn open(&self, sealed: &SealedBox, identity: &str) -> Result<Vec<u8>, SealError> {
        let data_key = self.unwrap(sealed, identity)?;
        decrypt(&data_key, &sealed.ciphertext, identity)
    }

    /// The same secret with its data key sealed by the current key; nothing when it is so already.
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub fn rewrap(&self, sealed: &SealedBox, identity: &str) -> Result<Option<SealedBox>, SealError> {
        if sealed.kek_id == self.current() {
            return Ok(None);
        }
        let data_key = self.unwrap(sealed, identity)?;
        let (kek_id, wrapped_key) = self.keys()[0].wrap(&data_key, identity)?;
        Ok(Some(SealedBox { kek_id, wrapped_key, ciphertext: sealed.ciphertext.clone() }))
    }

    fn keys(&self) -> Arc<[Kek]> {
        self.keys.read().expect("no holder of this lock can panic").clone()
    }

    fn unwrap(&self, sealed: &SealedBox, identity: &str) -> Result<[u8; 32], SealError> {
        let open = || {
            let keys = self.keys();
            let kek = keys.iter().find(|kek| kek.id == sealed.kek_id)?;
            Some(decrypt(kek.key.expose(), &sealed.wrapped_key, &wrapping(&kek.id, identity)))
        };
        // Another replica may seal by a key that was added to the file since we read it.
        let opened = open().or_else(|| self.reload().ok().and_then(|()| open()));
        let data_key = opened.ok_or_else(|| SealError::NoKey(sealed.kek_id.clone()))??;
        data_key.try_into().map_err(|_| SealError::DoesNotOpen)
    }
}

impl Kek {
    fn seal(&self, secret: &[u8], identity: &str) -> Result<SealedBox, SealError> {
        let mut data_key = [0; 32];
        getrandom::fill(&mut data_key).map_err(|_| SealError::NoRandom)?;
        let ciphertext = encrypt(&data_key, secret, identity)?;
        let (kek_id, wrapped_key) = self.wrap(&data_key, identity)?;
        Ok(SealedBox { kek_id, wrapped_key, ciphertext })
    }

    fn wrap(&self, data_key: &[u8; 32], identity: &str) -> Result<(String, Vec<u8>), SealError> {
        Ok((self.id.clone(), encrypt(self.key.expose(), data_key, &wrapping(&self.id, identity))?))
    }
}

fn wrapping(kek_id: &str, identity: &str) -> String {
    format!("data key, wrapped by {kek_id}, of {identity}")
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 keys have 32 bytes"))
}

/// The nonce, then ciphertext and tag.
fn encrypt(key: &[u8; 32], plain: &[u8], identity: &str) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
    let mut text = plain.to_vec();
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(identity), &mut text)
        .map_err(|_| SealError::DoesNotOpen)?;
    Ok([&nonce[..], &text].concat())
}

fn decrypt(key: &[u8; 32], sealed: &[u8], identity: &str) -> Result<Vec<u8>, SealError> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::DoesNotOpen)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::DoesNotOpen)?;
    let mut text = text.to_vec();
    let plain = cipher(key).open_in_place(nonce, Aad::from(identity), &mut text).map_err(|_| SealError::DoesNotOpen)?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    const ONE: &str = "one:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const TWO: &str = "two:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn ring(keys: &str) -> KeyRing {
        KeyRing::load(Some(&Sealed::new(keys.to_owned())), PathBuf::new()).unwrap()
    }

    #[test]
    fn a_secret_opens_for_its_own_row_only() {
        let ring = ring(ONE);
        let sealed = ring.seal(b"canary", "row 1").unwrap();
        let again = ring.seal(b"canary", "row 1").unwrap();

        assert_eq!(ring.open(&sealed, "row 1").unwrap(), b"canary");
        assert_eq!(ring.open(&sealed, "row 2"), Err(SealError::DoesNotOpen));
        assert_ne!(sealed.ciphertext, again.ciphertext);
        let mut swapped = sealed.clone();
        swapped.ciphertext = again.ciphertext;
        assert_eq!(ring.open(&swapped, "row 1"), Err(SealError::DoesNotOpen), "another data key's text");
        for at in 0..sealed.ciphertext.len() {
            let mut bent = sealed.clone();
            bent.ciphertext[at] ^= 1;
            assert_eq!(ring.open(&bent, "row 1"), Err(SealError::DoesNotOpen));
        }
    }

    #[test]
    fn a_rewrapped_secret_needs_the_old_key_no_more() {
        let sealed = ring(ONE).seal(b"canary", "row").unwrap();

        let rewrapped = ring(&format!("{TWO},{ONE}")).rewrap(&sealed, "row").unwrap().unwrap();

        assert_eq!(ring(TWO).open(&rewrapped, "row").unwrap(), b"canary");
        assert_eq!(ring(ONE).open(&rewrapped, "row"), Err(SealError::NoKey("two".into())));
        assert_eq!(ring(TWO).rewrap(&rewrapped, "row"), Ok(None));
        assert_eq!(ring(&TWO.replace("two", "one")).open(&sealed, "row"), Err(SealError::DoesNotOpen));
    }

    fn write(file: &Path, keys: &str) {
        std::fs::write(file, keys).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_secret_is_sealed_by_the_key_that_is_first_in_the_file_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("encryption-keys");
        write(&file, ONE);
        let of_file = || KeyRing::load(None, file.clone()).unwrap();
        let (changed, other) = (of_file(), of_file());
        let before = other.seal(b"before", "row 1").unwrap();

        write(&file, &format!("{TWO}\n{ONE}\n"));
        changed.reload().unwrap();
        let before = changed.rewrap(&before, "row 1").unwrap().unwrap();
        write(&file, TWO);
        let after = other.seal(b"after", "row 2").unwrap();

        assert_eq!(other.ids(), ["two"]);
        for ring in [&changed, &other, &of_file()] {
            assert_eq!(ring.open(&before, "row 1").unwrap(), b"before");
            assert_eq!(ring.open(&after, "row 2").unwrap(), b"after");
        }
    }

    #[test]
    fn nothing_is_sealed_while_the_file_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("encryption-keys");
        write(&file, ONE);
        let ring = KeyRing::load(None, file.clone()).unwrap();
        let sealed = ring.seal(b"canary", "row").unwrap();

        std::fs::remove_file(&file).unwrap();

        let Err(SealError::Ring(reason)) = ring.seal(b"another", "row") else { panic!("it was sealed") };
        assert!(reason.contains("cannot read"), "{reason}");
        assert_eq!(ring.open(&sealed, "row").unwrap(), b"canary", "what is sealed still opens");
    }
}
