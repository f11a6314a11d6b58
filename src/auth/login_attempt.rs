//! A sign-in under way: a browser was sent to an identity provider and is to come back once, itself, and soon.

use super::oidc::Proof;
use super::session::{digest, random_text};
use crate::base::Sealed;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;
use time::OffsetDateTime;

/// How long a browser may be away.
pub const LASTS: Duration = Duration::from_secs(10 * 60);

/// A secret that a browser keeps in a cookie while it signs in; what proves its answers is made from it.
#[derive(Clone)]
pub struct BrowserSecret(String);

/// What was noted when the browser left.
#[derive(Debug, FromRow)]
pub(super) struct LoginAttempt {
    pub provider: String,
    pub next: String,
    pub expires_at: OffsetDateTime,
}

impl BrowserSecret {
    /// 256 random bits.
    #[must_use]
    pub fn generate() -> Self {
        Self(random_text())
    }

    /// The secret a cookie has; none when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok()).then(|| Self(text.to_owned()))
    }

    /// For the cookie.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> [u8; 32] {
        digest(&["browser", &self.0])
    }

    /// Nonce and PKCE verifier of the attempt with this state; the database holds neither.
    pub(super) fn proof(&self, state: &str) -> Proof {
        let made = |purpose: &str| URL_SAFE_NO_PAD.encode(digest(&[purpose, &self.0, state]));
        Proof { state: state.to_owned(), nonce: made("nonce"), verifier: Sealed::new(made("verifier")) }
    }
}

impl std::fmt::Debug for BrowserSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrowserSecret(***)")
    }
}

fn state_hash(state: &str) -> [u8; 32] {
    digest(&["state", state])
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    state: &str,
    browser: &BrowserSecret,
    provider: &str,
    next: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from login_attempt where expires_at < $1").bind(now).execute(&mut *conn).await?;
    sqlx::query(
        "insert into login_attempt (state_hash, browser_hash, provider, next, expires_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(state_hash(state).as_slice())
    .bind(browser.hash().as_slice())
    .bind(provider)
    .bind(next)
    .bind(now + LASTS)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the attempt of this state out, when it is this browser's: nobody else can use it up.
pub(super) async fn take(
    conn: &mut PgConnection,
    state: &str,
    browser: &BrowserSecret,
) -> Result<Option<LoginAttempt>, sqlx::Error> {
    sqlx::query_as(
        "delete from login_attempt where state_hash = $1 and browser_hash = $2 returning provider, next, expires_at",
    )
    .bind(state_hash(state).as_slice())
    .bind(browser.hash().as_slice())
    .fetch_optional(conn)
    .await
}
