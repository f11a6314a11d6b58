//! Keys of people and programs: shown once, stored as hashes, two texts while one is being rotated.

use super::permission::Role;
use crate::base::{KeyId, ServiceAccountId, UserId, WorkspaceId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

/// A key as it is stored: everything but its text.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ApiKey {
    pub key_id: KeyId,
    pub name: String,
    /// Of a key that belongs to nobody: the role it has, and where; the three below are of keys that belong to somebody.
    pub role: Option<Role>,
    pub workspace_id: Option<WorkspaceId>,
    pub user_id: Option<UserId>,
    pub service_account_id: Option<ServiceAccountId>,
    /// The name of the person or service account it belongs to.
    pub holder: Option<String>,
    /// What it may be used for, as [`super::KeyScope`] writes it; empty: everything its holder may do.
    pub scopes: Vec<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    /// To the minute.
    pub last_used_at: Option<OffsetDateTime>,
    /// How many texts work now: two while the key is being rotated.
    pub live_secrets: i64,
}

/// Whose a new key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHolder {
    /// Nobody's: it has this role itself, in a workspace or everywhere.
    Role(Role, Option<WorkspaceId>),
    /// The one who makes it.
    Own,
    ServiceAccount(ServiceAccountId),
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub holder: KeyHolder,
    /// As in [`ApiKey::scopes`].
    pub scopes: Vec<String>,
    pub expires_at: Option<OffsetDateTime>,
}

impl NewKey {
    /// A key that belongs to nobody, with this role there, for good.
    #[must_use]
    pub fn with_role(name: impl Into<String>, role: Role, workspace: Option<WorkspaceId>) -> Self {
        Self { name: name.into(), holder: KeyHolder::Role(role, workspace), scopes: Vec::new(), expires_at: None }
    }
}

/// The text of a key. Printed only by [`SecretKey::reveal`].
#[derive(Clone)]
pub struct SecretKey(String);

impl SecretKey {
    /// `whf_` and 256 random bits.
    ///
    /// # Panics
    /// When the operating system gives no random numbers: nothing safe can follow.
    #[must_use]
    pub fn generate() -> Self {
        let mut bits = [0u8; 32];
        getrandom::fill(&mut bits).expect("the operating system gives random numbers");
        Self(format!("whf_{}", URL_SAFE_NO_PAD.encode(bits)))
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

impl ApiKey {
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// SHA-256 suffices: a key has 256 random bits, there is nothing to guess.
pub(super) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select k.key_id, k.name, k.role, k.workspace_id, k.user_id, k.service_account_id,
                    coalesce(u.name, a.name) as holder, k.scopes, k.created_at, k.expires_at, k.revoked_at, l.last_used_at,
                    (select count(*) from api_key_secret s
                     where s.key_id = k.key_id and (s.expires_at is null or s.expires_at > now())) as live_secrets
             from api_key k
             left join user_account u on u.user_id = k.user_id
             left join service_account a on a.service_account_id = k.service_account_id
             left join api_key_use l on l.key_id = k.key_id ",
            $rest
        )
    };
}

/// The key of this text, and when the text itself ends.
pub(super) async fn find_by_hash(
    db: &PgPool,
    hash: &[u8; 32],
) -> Result<Option<(ApiKey, Option<OffsetDateTime>)>, sqlx::Error> {
    let secret: Option<(KeyId, Option<OffsetDateTime>)> =
        sqlx::query_as("select key_id, expires_at from api_key_secret where secret_hash = $1")
            .bind(hash.as_slice())
            .fetch_optional(db)
            .await?;
    let Some((id, ends)) = secret else { return Ok(None) };
    Ok(find(db, id).await?.map(|key| (key, ends)))
}

pub(super) async fn find(db: &PgPool, id: KeyId) -> Result<Option<ApiKey>, sqlx::Error> {
    sqlx::query_as(select!("where k.key_id = $1")).bind(id).fetch_optional(db).await
}

/// Those with a role of their own in this workspace and of its service accounts, or all of the instance; newest first.
pub(super) async fn list(db: &PgPool, workspace: Option<WorkspaceId>) -> Result<Vec<ApiKey>, sqlx::Error> {
    sqlx::query_as(select!(
        "where $1::uuid is null or k.workspace_id = $1 or a.workspace_id = $1
         order by k.created_at desc, k.key_id
         limit 1000"
    ))
    .bind(workspace)
    .fetch_all(db)
    .await
}

/// Those of a person, newest first.
pub(super) async fn of_user(db: &PgPool, user: UserId) -> Result<Vec<ApiKey>, sqlx::Error> {
    sqlx::query_as(select!("where k.user_id = $1 order by k.created_at desc, k.key_id limit 1000"))
        .bind(user)
        .fetch_all(db)
        .await
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    new: &NewKey,
    user: Option<UserId>,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<KeyId, sqlx::Error> {
    let (role, workspace, account) = match new.holder {
        KeyHolder::Role(role, workspace) => (Some(role), workspace, None),
        KeyHolder::Own => (None, None, None),
        KeyHolder::ServiceAccount(account) => (None, None, Some(account)),
    };
    let id = KeyId::new();
    sqlx::query(
        "insert into api_key (key_id, name, role, workspace_id, user_id, service_account_id, scopes, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(&new.name)
    .bind(role)
    .bind(workspace)
    .bind(user)
    .bind(account)
    .bind(&new.scopes)
    .bind(now)
    .bind(new.expires_at)
    .execute(&mut *conn)
    .await?;
    insert_secret(conn, id, hash, now).await?;
    Ok(id)
}

pub(super) async fn insert_secret(
    conn: &mut PgConnection,
    id: KeyId,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into api_key_secret (secret_hash, key_id, created_at) values ($1, $2, $3)")
        .bind(hash.as_slice())
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lets the texts the key has now work until `ends` at most.
pub(super) async fn end_secrets(conn: &mut PgConnection, id: KeyId, ends: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("update api_key_secret set expires_at = least(expires_at, $2) where key_id = $1")
        .bind(id)
        .bind(ends)
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives the id of the new key; none where its text was a key before.
pub(super) async fn insert_if_absent(
    conn: &mut PgConnection,
    new: &NewKey,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Option<KeyId>, sqlx::Error> {
    let known: bool = sqlx::query_scalar("select exists (select from api_key_secret where secret_hash = $1)")
        .bind(hash.as_slice())
        .fetch_one(&mut *conn)
        .await?;
    if known { Ok(None) } else { insert(conn, new, None, hash, now).await.map(Some) }
}

pub(super) async fn ever_administrator(db: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from api_key where role = 'administrator' and workspace_id is null)")
        .fetch_one(db)
        .await
}

pub(super) async fn revoke(conn: &mut PgConnection, id: KeyId, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("update api_key set revoked_at = $2 where key_id = $1 and revoked_at is null")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that the key was seen, at most once a minute.
pub(super) async fn note_use(db: &PgPool, id: KeyId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into api_key_use (key_id, last_used_at) values ($1, $2)
         on conflict (key_id) do update set last_used_at = excluded.last_used_at
         where api_key_use.last_used_at < excluded.last_used_at - interval '1 minute'",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_prefix_that_scanners_know_and_never_prints_itself() {
        let key = SecretKey::generate();

        assert!(key.reveal().starts_with("whf_") && key.reveal().len() == 47);
        assert_ne!(key.reveal(), SecretKey::generate().reveal());
        assert_eq!(format!("{key:?}"), "SecretKey(***)");
    }
}
