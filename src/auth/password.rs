//! Passwords of local users: argon2id, one at a time for each processor, and the same time for who is not there.

use crate::base::{Problem, Sealed};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Characters of a password.
pub const SHORTEST: usize = 12;
pub const LONGEST: usize = 200;

/// A hash takes 19 MiB; more at once would let strangers fill the memory.
const AT_ONCE: usize = 2;

/// Makes and checks hashes; cheap to clone.
#[derive(Clone)]
pub(super) struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Passwords {
    /// The hash to store, in the PHC string format.
    pub async fn hash(&self, password: Sealed<String>) -> Result<String, Problem> {
        self.beside(move || hashed(password.expose())).await
    }

    /// Whether `password` is the one of `hash`. Without a hash the answer is no and takes as long.
    pub async fn fits(&self, password: Sealed<String>, hash: Option<String>) -> Result<bool, Problem> {
        self.beside(move || {
            let stored = hash.as_deref().unwrap_or_else(|| nobodys());
            let fits = PasswordHash::new(stored)
                .is_ok_and(|stored| argon2().verify_password(password.expose().as_bytes(), &stored).is_ok());
            fits && hash.is_some()
        })
        .await
    }

    /// Runs `work` where it keeps no other request waiting.
    async fn beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || Problem::unavailable("Too many people are signing in at once.");
        let wait = std::time::Duration::from_secs(5);
        let turn = tokio::time::timeout(wait, self.0.clone().acquire_owned()).await.map_err(|_| busy())?;
        let _turn = turn.map_err(|_| busy())?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Problem::internal())
    }
}

/// What keeps a password from being taken; `name` and `email` are its owner's.
///
/// # Errors
/// 422 naming the field.
pub fn check(password: &str, name: &str, email: Option<&str>) -> Result<(), Problem> {
    let wrong = |message: String| Err(Problem::invalid_field("body.password", message));
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return wrong(format!("must have {SHORTEST} to {LONGEST} characters; three or four words make a good one"));
    }
    let lower = password.to_lowercase();
    let own = [Some(name), email].into_iter().flatten().map(str::to_lowercase);
    if own.into_iter().any(|own| own.len() > 3 && lower.contains(&own)) {
        return wrong("must not hold your name or address".to_owned());
    }
    let mut different: Vec<_> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < 5 {
        return wrong("repeats too few characters; three or four words make a good one".to_owned());
    }
    Ok(())
}

/// OWASP's second choice of parameters for argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within the algorithm's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hashed(password: &str) -> String {
    let mut bits = [0u8; 16];
    getrandom::fill(&mut bits).expect("the operating system gives random numbers");
    let salt = SaltString::encode_b64(&bits).expect("16 bytes are a salt");
    argon2().hash_password(password.as_bytes(), &salt).expect("a password can be hashed").to_string()
}

/// A hash nobody knows the password of, with the cost of a real one.
fn nobodys() -> &'static str {
    static NOBODYS: OnceLock<String> = OnceLock::new();
    NOBODYS.get_or_init(|| hashed(&super::session::random_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::default();
        let sealed = |text: &str| Sealed::new(text.to_owned());

        let hash = passwords.hash(sealed("four words of harbour")).await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.fits(sealed("four words of harbour"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.fits(sealed("four words of harbor"), Some(hash)).await.unwrap());
        assert!(!passwords.fits(sealed("four words of harbour"), None).await.unwrap());
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in ["short", "aaaaaaaaaaaaaaaa", "anna.smith-2026!", &"x".repeat(201)] {
            assert!(check(weak, "anna.smith", Some("anna@example.com")).is_err(), "{weak}");
        }
        assert!(check("three words enough", "anna.smith", Some("anna@example.com")).is_ok());
    }
}
