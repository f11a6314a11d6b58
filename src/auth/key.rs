//! Keys of programs: shown once, stored as hashes.

use super::permission::Role;
use crate::base::{KeyId, WorkspaceId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

/// A key as it is stored: everything but its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    #[serde(rename = "id")]
    pub key_id: KeyId,
    pub name: String,
    #[serde(skip_serializing)]
    pub workspace_id: Option<WorkspaceId>,
    pub role: Role,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub role: Role,
    /// Where the role holds; none exactly for an administrator.
    pub workspace: Option<WorkspaceId>,
    pub expires_at: Option<OffsetDateTime>,
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

const COLUMNS: &str = "key_id, name, workspace_id, role, created_at, expires_at, revoked_at";

pub(super) async fn find_by_hash(db: &PgPool, hash: &[u8; 32]) -> Result<Option<ApiKey>, sqlx::Error> {
    sqlx::query_as(
        "select key_id, name, workspace_id, role, created_at, expires_at, revoked_at from api_key where secret_hash = $1",
    )
    .bind(hash.as_slice())
    .fetch_optional(db)
    .await
}

pub(super) async fn find(db: &PgPool, id: KeyId) -> Result<Option<ApiKey>, sqlx::Error> {
    sqlx::query_as(
        "select key_id, name, workspace_id, role, created_at, expires_at, revoked_at from api_key where key_id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

pub(super) async fn list(db: &PgPool, workspace: Option<WorkspaceId>) -> Result<Vec<ApiKey>, sqlx::Error> {
    let statement = format!(
        "select {COLUMNS} from api_key where $1::uuid is null or workspace_id = $1 order by created_at desc, key_id limit 1000"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(workspace).fetch_all(db).await
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    new: &NewKey,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<ApiKey, sqlx::Error> {
    sqlx::query_as(
        "insert into api_key (key_id, name, workspace_id, role, secret_hash, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         returning key_id, name, workspace_id, role, created_at, expires_at, revoked_at",
    )
    .bind(KeyId::new())
    .bind(&new.name)
    .bind(new.workspace)
    .bind(new.role)
    .bind(hash.as_slice())
    .bind(now)
    .bind(new.expires_at)
    .fetch_one(conn)
    .await
}

pub(super) async fn insert_if_absent(
    db: &PgPool,
    new: &NewKey,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into api_key (key_id, name, workspace_id, role, secret_hash, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (secret_hash) do nothing",
    )
    .bind(KeyId::new())
    .bind(&new.name)
    .bind(new.workspace)
    .bind(new.role)
    .bind(hash.as_slice())
    .bind(now)
    .bind(new.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn any_administrator(db: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from api_key where role = 'administrator' and revoked_at is null)")
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
