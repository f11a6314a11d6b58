//! Definitions: the documents attached to a version, byte for byte as they came.

use super::draft::DefinitionDraft;
use crate::base::{DefinitionId, VersionId};
use serde::{Serialize, Serializer};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A document without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub definition_id: DefinitionId,
    pub name: String,
    /// The name of a [`crate::wire::Format`].
    pub format: String,
    pub media_type: String,
    /// SHA-256 of the content, in hexadecimal.
    #[serde(serialize_with = "as_hex")]
    #[schema(value_type = String)]
    pub digest: Vec<u8>,
    /// In bytes.
    pub size: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

fn as_hex<S: Serializer>(digest: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(digest))
}

/// Attaches a document in place of one of the same name, which is kept but no longer shown.
pub(super) async fn put(
    conn: &mut PgConnection,
    version: VersionId,
    draft: &DefinitionDraft,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    remove(&mut *conn, version, draft.name.as_str(), now).await?;
    insert(conn, version, draft, now).await
}

/// Attaches a document to a version that has none of this name.
pub(super) async fn insert(
    conn: &mut PgConnection,
    version: VersionId,
    draft: &DefinitionDraft,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into definition (definition_id, version_id, name, format, media_type, content, digest, source_url, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(DefinitionId::new())
    .bind(version)
    .bind(&draft.name)
    .bind(draft.format.as_str())
    .bind(&draft.media_type)
    .bind(&draft.content)
    .bind(draft.digest())
    .bind(&draft.source_url)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The documents of a version, oldest first.
pub(super) async fn list(conn: &mut PgConnection, version: VersionId) -> Result<Vec<Definition>, sqlx::Error> {
    sqlx::query_as(
        "select definition_id, name, format, media_type, digest, octet_length(content) as size, source_url, created_at
         from definition
         where version_id = $1 and replaced_at is null
         order by definition_id",
    )
    .bind(version)
    .fetch_all(conn)
    .await
}

/// A document with its content, and the version it hangs on.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Stored {
    pub version_id: VersionId,
    pub name: String,
    pub format: String,
    pub content: Vec<u8>,
    pub source_url: Option<String>,
}

/// The documents of these versions with their contents, oldest first.
pub(super) async fn of_versions(conn: &mut PgConnection, versions: &[VersionId]) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as(
        "select version_id, name, format, content, source_url
         from definition
         where version_id = any($1) and replaced_at is null
         order by definition_id",
    )
    .bind(versions)
    .fetch_all(conn)
    .await
}

/// The content of one document.
pub(super) async fn content(conn: &mut PgConnection, id: DefinitionId) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar("select content from definition where definition_id = $1").bind(id).fetch_one(conn).await
}

/// Takes a document away; its row is kept. Whether there was one.
pub(super) async fn remove(
    conn: &mut PgConnection,
    version: VersionId,
    name: &str,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update definition set replaced_at = $3 where version_id = $1 and name = $2 and replaced_at is null",
    )
    .bind(version)
    .bind(name)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
