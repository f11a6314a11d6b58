//! Prompts and answers that a policy keeps. Unlike usage, one of them may be lost: when the database is away for long, the
//! newest are dropped and counted.

use crate::base::WorkspaceId;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// What was asked and answered, already redacted.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptRecord {
    pub at: OffsetDateTime,
    pub request_id: String,
    pub workspace_id: Option<WorkspaceId>,
    pub key_name: String,
    pub route: String,
    pub model: String,
    pub prompt: Option<String>,
    pub answer: Option<String>,
    pub expires_at: OffsetDateTime,
}

/// # Errors
/// What Postgres says.
pub(super) async fn insert(db: &PgPool, record: &PromptRecord) -> sqlx::Result<()> {
    sqlx::query(
        "insert into prompt_log (
             prompt_log_id, at, request_id, workspace_id, key_name, route, model, prompt, answer, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(Uuid::now_v7())
    .bind(record.at)
    .bind(&record.request_id)
    .bind(record.workspace_id)
    .bind(&record.key_name)
    .bind(&record.route)
    .bind(&record.model)
    .bind(&record.prompt)
    .bind(&record.answer)
    .bind(record.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// # Errors
/// What Postgres says.
pub(super) async fn remove_expired(db: &PgPool, now: OffsetDateTime) -> sqlx::Result<u64> {
    let statement = "delete from prompt_log where prompt_log_id in
        (select prompt_log_id from prompt_log where expires_at < $1 limit 5000)";
    let mut removed = 0;
    loop {
        let gone = sqlx::query(statement).bind(now).execute(db).await?.rows_affected();
        removed += gone;
        if gone < 5_000 {
            return Ok(removed);
        }
    }
}
