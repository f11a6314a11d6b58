//! `Comment`: what was said about a request.

use crate::base::{ApprovalId, CommentId};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Something said about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Comment {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub comment_id: CommentId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub author: String,
    pub body: String,
}

pub(in crate::catalog) async fn comment(
    conn: &mut PgConnection,
    approval: ApprovalId,
    author: &str,
    body: &str,
    now: OffsetDateTime,
) -> Result<Comment, sqlx::Error> {
    let made = Comment { comment_id: CommentId::new(), at: now, author: author.to_owned(), body: body.to_owned() };
    sqlx::query("insert into approval_comment (comment_id, approval_id, at, author, body) values ($1, $2, $3, $4, $5)")
        .bind(made.comment_id)
        .bind(approval)
        .bind(now)
        .bind(author)
        .bind(body)
        .execute(conn)
        .await?;
    Ok(made)
}

/// The first five hundred, oldest first.
pub(in crate::catalog) async fn comments(
    conn: &mut PgConnection,
    approval: ApprovalId,
) -> Result<Vec<Comment>, sqlx::Error> {
    sqlx::query_as(
        "select comment_id, at, author, body from approval_comment where approval_id = $1 order by comment_id limit 500",
    )
    .bind(approval)
    .fetch_all(conn)
    .await
}
