//! Sessions: what a browser holds after signing in.
//!
//! The cookie's value, the token, has 256 random bits. The database has its hash; everything else that must be secret is
//! derived from it: the token of forms against forgery, and the key under which the provider's tokens are sealed.

use crate::base::{KeyId, Sealed, SessionId, UserId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;
use time::OffsetDateTime;

/// What stands in the cookie.
#[derive(Clone)]
pub struct SessionToken(String);

/// A session, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Session {
    pub session_id: SessionId,
    pub user_id: Option<UserId>,
    pub key_id: Option<KeyId>,
    pub provider: Option<String>,
    pub address: Option<String>,
    pub user_agent: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
    pub refresh_at: Option<OffsetDateTime>,
    /// Roughly; see [`note_use`].
    pub last_seen_at: OffsetDateTime,
    pub sealed: Option<Vec<u8>>,
}

/// Whose session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionHolder {
    User(UserId),
    Key(KeyId),
}

/// What is known of the browser, for its owner to recognise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Browser {
    pub address: Option<std::net::IpAddr>,
    pub user_agent: String,
}

/// The provider's side of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct AtProvider {
    pub name: String,
    /// Its own id of the session.
    pub sid: Option<String>,
    pub tokens: Tokens,
    pub refresh_at: Option<OffsetDateTime>,
}

/// The provider's tokens that a session keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub id_token: Option<String>,
    pub refresh_token: Option<String>,
}

impl SessionToken {
    /// 256 random bits.
    #[must_use]
    pub fn generate() -> Self {
        Self(random_text())
    }

    /// The token a cookie has; none when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bits| bits.len() == 32);
        is_one.then(|| Self(text.to_owned()))
    }

    /// For the cookie.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What every form of the session's pages carries; from another site it can be neither read nor guessed.
    #[must_use]
    pub fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derived("form"))
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.derived("session")
    }

    fn derived(&self, purpose: &str) -> [u8; 32] {
        digest(&[purpose, &self.0])
    }

    fn sealing_key(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.derived("seal")).expect("the key has 256 bits");
        LessSafeKey::new(key)
    }

    /// The tokens under this session's own key; a row is of no use in another's place.
    pub(super) fn seal(&self, id: SessionId, tokens: &Tokens) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the operating system gives random numbers");
        let mut text = serde_json::to_vec(tokens).expect("two texts serialise");
        let aad = Aad::from(id.0.into_bytes());
        let key = self.sealing_key();
        let sealing = key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text);
        sealing.expect("a token is not too long to be sealed");
        [nonce.to_vec(), text].concat()
    }

    /// The tokens again; none when they were sealed for another session or changed.
    pub(super) fn unseal(&self, id: SessionId, sealed: &[u8]) -> Option<Tokens> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.sealing_key().open_in_place(nonce, Aad::from(id.0.into_bytes()), &mut text).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(***)")
    }
}

impl Tokens {
    pub(super) fn id_token(&self) -> Option<Sealed<String>> {
        self.id_token.clone().map(Sealed::new)
    }
}

impl Session {
    /// Whether it is in force: not ended, not too old, not idle too long.
    pub(super) fn is_live(&self, now: OffsetDateTime, idle: Duration) -> bool {
        self.ended_at.is_none() && now < self.expires_at && now < self.last_seen_at + idle
    }
}

/// 256 random bits as text.
///
/// # Panics
/// When the operating system gives no random numbers: nothing safe can follow.
pub(super) fn random_text() -> String {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).expect("the operating system gives random numbers");
    URL_SAFE_NO_PAD.encode(bits)
}

/// SHA-256 over parts that cannot run into each other.
pub(super) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select s.session_id, s.user_id, s.key_id, s.provider, s.address, s.user_agent, s.created_at, s.expires_at,
                    s.ended_at, s.refresh_at, coalesce(l.last_seen_at, s.created_at) as last_seen_at, s.sealed
             from session s
             left join session_use l using (session_id) ",
            $rest
        )
    };
}

pub(super) async fn find_by_hash(conn: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Session>, sqlx::Error> {
    sqlx::query_as(select!("where s.token_hash = $1")).bind(hash.as_slice()).fetch_optional(conn).await
}

/// The live ones of a holder, last seen first.
pub(super) async fn list(
    conn: &mut PgConnection,
    holder: SessionHolder,
    now: OffsetDateTime,
) -> Result<Vec<Session>, sqlx::Error> {
    let (user, key) = holder.columns();
    sqlx::query_as(select!(
        "where (s.user_id = $1 or s.key_id = $2 or s.key_id in (select k.key_id from api_key k where k.user_id = $1))
           and s.ended_at is null and s.expires_at > $3
         order by last_seen_at desc, s.session_id
         limit 200"
    ))
    .bind(user)
    .bind(key)
    .bind(now)
    .fetch_all(conn)
    .await
}

impl SessionHolder {
    fn columns(self) -> (Option<UserId>, Option<KeyId>) {
        match self {
            Self::User(id) => (Some(id), None),
            Self::Key(id) => (None, Some(id)),
        }
    }
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    token: &SessionToken,
    holder: SessionHolder,
    at_provider: Option<&AtProvider>,
    browser: &Browser,
    (now, expires_at): (OffsetDateTime, OffsetDateTime),
) -> Result<SessionId, sqlx::Error> {
    let id = SessionId::new();
    let (user, key) = holder.columns();
    sqlx::query(
        "insert into session (session_id, token_hash, user_id, key_id, provider, provider_session, sealed, refresh_at,
                              address, user_agent, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id)
    .bind(token.hash().as_slice())
    .bind(user)
    .bind(key)
    .bind(at_provider.map(|at| at.name.as_str()))
    .bind(at_provider.and_then(|at| at.sid.as_deref()))
    .bind(at_provider.map(|at| token.seal(id, &at.tokens)))
    .bind(at_provider.and_then(|at| at.refresh_at))
    .bind(browser.address.map(|address| address.to_string()))
    .bind(&browser.user_agent)
    .bind(now)
    .bind(expires_at)
    .execute(conn)
    .await?;
    Ok(id)
}

/// Notes that it was seen now.
pub(super) async fn note_use(conn: &mut PgConnection, id: SessionId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into session_use (session_id, last_seen_at) values ($1, $2)
         on conflict (session_id) do update set last_seen_at = greatest(session_use.last_seen_at, excluded.last_seen_at)",
    )
    .bind(id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the turn to ask for groups anew, until `next`; false when another replica took it.
pub(super) async fn take_refresh_turn(
    conn: &mut PgConnection,
    id: SessionId,
    due: OffsetDateTime,
    next: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("update session set refresh_at = $3 where session_id = $1 and refresh_at = $2")
        .bind(id)
        .bind(due)
        .bind(next)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn set_sealed(conn: &mut PgConnection, id: SessionId, sealed: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query("update session set sealed = $2 where session_id = $1").bind(id).bind(sealed).execute(conn).await?;
    Ok(())
}

/// Ends one of a holder's; false when there is no such live one.
pub(super) async fn end(
    conn: &mut PgConnection,
    holder: SessionHolder,
    id: SessionId,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let (user, key) = holder.columns();
    let done = sqlx::query(
        "update session set ended_at = $4, sealed = null
         where session_id = $1 and ended_at is null
           and (user_id = $2 or key_id = $3 or key_id in (select k.key_id from api_key k where k.user_id = $2))",
    )
    .bind(id)
    .bind(user)
    .bind(key)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all of a holder's; tells how many.
pub(super) async fn end_all(
    conn: &mut PgConnection,
    holder: SessionHolder,
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let (user, key) = holder.columns();
    let done = sqlx::query(
        "update session set ended_at = $3, sealed = null
         where ended_at is null
           and (user_id = $1 or key_id = $2 or key_id in (select k.key_id from api_key k where k.user_id = $1))",
    )
    .bind(user)
    .bind(key)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Ends those a provider says are over: of its session where it names one, else all of the person there.
pub(super) async fn end_at_provider(
    conn: &mut PgConnection,
    provider: &str,
    user: UserId,
    sid: Option<&str>,
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "update session set ended_at = $4, sealed = null
         where provider = $1 and user_id = $2 and ($3::text is null or provider_session = $3) and ended_at is null",
    )
    .bind(provider)
    .bind(user)
    .bind(sid)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Whose sessions here were begun in this session of a provider's.
pub(super) async fn users_at_provider(
    conn: &mut PgConnection,
    provider: &str,
    sid: &str,
) -> Result<Vec<UserId>, sqlx::Error> {
    sqlx::query_scalar(
        "select distinct user_id from session
         where provider = $1 and provider_session = $2 and user_id is not null and ended_at is null",
    )
    .bind(provider)
    .bind(sid)
    .fetch_all(conn)
    .await
}

/// Removes what ended or ran out before `before`.
pub(super) async fn forget(conn: &mut PgConnection, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done =
        sqlx::query("delete from session where coalesce(ended_at, expires_at) < $1").bind(before).execute(conn).await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_it_was_written_and_never_prints_itself() {
        let token = SessionToken::generate();

        assert_eq!(SessionToken::parse(token.reveal()).unwrap().hash(), token.hash());
        assert_eq!(format!("{token:?}"), "SessionToken(***)");
        for none in ["", "x", &"a".repeat(44), &"!".repeat(43)] {
            assert!(SessionToken::parse(none).is_none(), "{none}");
        }
        assert_ne!(token.form_token(), token.reveal());
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_session_only() {
        let (token, id) = (SessionToken::generate(), SessionId::new());
        let tokens = Tokens { id_token: None, refresh_token: Some("canary".into()) };

        let sealed = token.seal(id, &tokens);

        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(token.unseal(id, &sealed).unwrap().refresh_token.unwrap(), "canary");
        assert!(token.unseal(SessionId::new(), &sealed).is_none());
        assert!(SessionToken::generate().unseal(id, &sealed).is_none());
        assert!(token.unseal(id, &sealed[..5]).is_none());
    }
}
