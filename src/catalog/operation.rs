//! Operations of an API and tools of an MCP server as they are stored: one row each, by their place in the document.

use crate::base::VersionId;
use crate::wire::Operation;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

/// A row of the table as the shape the rest of the program knows.
struct Stored(Operation);

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Operation {
            name: row.try_get("name")?,
            title: row.try_get("title")?,
            method: row.try_get("method")?,
            path: row.try_get("path")?,
            summary: row.try_get("summary")?,
            description: row.try_get("description")?,
            tags: row.try_get("tags")?,
            deprecated: row.try_get("deprecated")?,
            detail: row.try_get("detail")?,
        }))
    }
}

/// Stores all operations of a version in one statement.
pub(super) async fn insert_all(
    conn: &mut PgConnection,
    version: VersionId,
    operations: &[Operation],
) -> Result<(), sqlx::Error> {
    if operations.is_empty() {
        return Ok(());
    }
    // As one JSON document: tags differ in length, which arrays of arrays cannot hold.
    let rows = serde_json::to_value(operations).expect("an operation is plain data");
    sqlx::query(
        "insert into operation (version_id, position, name, title, method, path, summary, description, tags, deprecated, detail)
         select $1, row.position - 1, o.name, o.title, o.method, o.path, o.summary, o.description,
                coalesce(o.tags, '{}'), o.deprecated, o.detail
         from jsonb_array_elements($2) with ordinality as row (item, position),
              jsonb_to_record(row.item) as o (name text, title text, method text, path text, summary text,
                                              description text, tags text[], deprecated boolean, detail jsonb)",
    )
    .bind(version)
    .bind(rows)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete_all(conn: &mut PgConnection, version: VersionId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from operation where version_id = $1").bind(version).execute(conn).await?;
    Ok(())
}

/// In the document's order, `detail` left out (null) unless asked for.
pub(super) async fn list(
    conn: &mut PgConnection,
    version: VersionId,
    from: i64,
    limit: i64,
    with_detail: bool,
) -> Result<Vec<Operation>, sqlx::Error> {
    let rows: Vec<Stored> = sqlx::query_as(
        "select name, title, method, path, summary, description, tags, deprecated,
                case when $4 then detail else 'null'::jsonb end as detail
         from operation
         where version_id = $1 and position >= $2
         order by position
         limit $3",
    )
    .bind(version)
    .bind(from)
    .bind(limit)
    .bind(with_detail)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// The operations of these versions with their details, in their documents' order.
pub(super) async fn of_versions(
    conn: &mut PgConnection,
    versions: &[VersionId],
) -> Result<Vec<(VersionId, Operation)>, sqlx::Error> {
    let rows = sqlx::query(
        "select version_id, name, title, method, path, summary, description, tags, deprecated, detail
         from operation
         where version_id = any($1)
         order by version_id, position",
    )
    .bind(versions)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("version_id")?, Stored::from_row(row)?.0))).collect()
}

pub(super) async fn count(conn: &mut PgConnection, version: VersionId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from operation where version_id = $1").bind(version).fetch_one(conn).await
}

pub(super) async fn find(
    conn: &mut PgConnection,
    version: VersionId,
    name: &str,
) -> Result<Option<Operation>, sqlx::Error> {
    let row: Option<Stored> = sqlx::query_as(
        "select name, title, method, path, summary, description, tags, deprecated, detail
         from operation
         where version_id = $1 and name = $2",
    )
    .bind(version)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.0))
}

/// The stored `detail` may be SQL's idea of nothing for tools without schemas.
#[must_use]
pub fn schema<'a>(operation: &'a Operation, member: &str) -> Option<&'a Value> {
    operation.detail.get(member).filter(|schema| !schema.is_null())
}
