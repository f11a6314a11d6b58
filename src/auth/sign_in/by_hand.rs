//! Signing in without a provider: with a key, or with a name and a password.

use super::{Begun, Person, note};
use crate::auth::session::{self, Browser, SessionHolder, SessionToken};
use crate::auth::throttle::Tries;
use crate::auth::{Auth, Identity, user};
use crate::base::{Problem, Sealed};
use http::StatusCode;

impl Auth {
    /// Begins a session with a key: it may what the key may, and ends with it.
    ///
    /// # Errors
    /// 401 for a key that does not hold; 429 after too many tries.
    pub async fn sign_in_with_key(&self, key: &Sealed<String>, browser: &Browser) -> Result<Begun, Problem> {
        let now = self.clock.now();
        let tries = Tries::by_address(browser.address);
        let mut conn = self.db.write.acquire().await?;
        tries.check(&mut conn, now).await?;
        let actor = match self.identify(key.expose()).await {
            Ok(actor) => actor,
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
                tries.failed(&mut conn, now).await?;
                return Err(problem.with_help("Check that the whole key was copied; it begins with whf_."));
            }
            Err(problem) => return Err(problem),
        };
        drop(conn);
        let id = match (&actor.key, &actor.identity) {
            (Some(key), _) => key.id,
            (None, Identity::Key { id, .. }) => *id,
            _ => return Err(Problem::unauthenticated("Only keys open a session here.")),
        };
        let mut tx = self.db.write.begin().await?;
        let token = SessionToken::generate();
        let times = (now, now + self.sign_in.lifetime);
        let session = session::insert(&mut tx, &token, SessionHolder::Key(id), None, browser, times).await?;
        note(&mut tx, now, &actor, "session.begin", session.0, "with a key").await?;
        tx.commit().await?;
        Ok(Begun { token, next: "/".to_owned() })
    }

    /// Begins the session of a local user. Whether the name or the password was wrong is not told, nor to be measured.
    ///
    /// # Errors
    /// 401; 429 after too many tries.
    pub async fn sign_in_with_password(
        &self,
        name: &str,
        password: Sealed<String>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let now = self.clock.now();
        let tries = Tries::of(name, browser.address);
        let mut conn = self.db.write.acquire().await?;
        tries.check(&mut conn, now).await?;
        let found = user::find_with_password(&mut conn, name).await?;
        // Not held while the hash is computed: few connections would be left to others.
        drop(conn);
        let hash = found.as_ref().and_then(|(_, hash)| hash.clone());
        let fits = self.sign_in.passwords.fits(password, hash).await?;
        let person = found.map(|(user, _)| user).filter(|user| fits && user.disabled_at.is_none());
        let mut tx = self.db.write.begin().await?;
        let Some(person) = person else {
            tries.failed(&mut tx, now).await?;
            tx.commit().await?;
            return Err(wrong_credentials());
        };
        tries.succeeded(&mut tx).await?;
        let person = Person { id: person.user_id, name: &person.name, how: "with a password", request_id };
        let token = self.begin(&mut tx, person, None, browser, now).await?;
        tx.commit().await?;
        Ok(Begun { token, next: "/".to_owned() })
    }
}

fn wrong_credentials() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "wrong-credentials", "Not signed in", "The name or the password is wrong.")
        .with_help("Try again, or ask an administrator for a new invitation, which lets you choose another password.")
}
