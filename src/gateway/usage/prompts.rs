//! The prompt log for those who may read it: what was asked and answered, newest first, page by page or all of it.
//!
//! It asks for [`crate::auth::Permission::ReadAudit`] and not for that of usage: who may read figures, such as the key of a dashboard,
//! does not therefore read what people said. Each reading stands in the audit record itself.

use super::Ledger;
use crate::audit::{self, Reach};
use crate::auth::Actor;
use crate::base::{Cursor, Limit, Page, Problem};
use serde::Serialize;
use sqlx::{PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Prompts that an export takes at a time; the longest have some 64 KiB.
const EXPORTED: usize = 100;

/// Which prompts are wanted; all of it must hold. By exact value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptFilter {
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub from: Option<OffsetDateTime>,
    /// Not included.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub to: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was asked and answered in one request, with personal data masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptPrompt {
    pub id: Uuid,
    /// When the answer ended.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Under which it is found in the logs and in the record of usage.
    pub request_id: String,
    /// That was charged.
    pub workspace: Option<String>,
    pub key: String,
    pub route: String,
    /// The alias that was asked for.
    pub model: String,
    /// The body of the request, up to the length that the policy says; absent where it keeps none.
    pub prompt: Option<String>,
    /// The body of the answer, as the client got it, up to that length.
    pub answer: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl Ledger {
    /// The prompts that `filter` asks for and the actor may read, newest first.
    ///
    /// # Errors
    /// 401 or 403 for those who may read none; 422 for a cursor that is none.
    pub async fn prompts(
        &self,
        actor: &Actor,
        filter: &PromptFilter,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<KeptPrompt>, Problem> {
        let reach = actor.audit_reach()?;
        let before = cursor.map(Cursor::place).transpose();
        let before = before.map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?;
        let mut items = list(&self.db().read, &reach, filter, (before, self.0.clock.now()), limit.0 + 1).await?;
        let more = items.len() > limit.0;
        items.truncate(limit.0);
        self.note_reading(actor, "prompt.read", filter).await?;
        let next = items.last().filter(|_| more).map(|last| Cursor::of(&last.id));
        Ok(Page { items, total: None, next })
    }

    /// As [`Ledger::prompts`], in longer pieces and without a cursor: `before` is the last of the piece before. The last
    /// piece is empty.
    ///
    /// # Errors
    /// As there.
    pub async fn export_prompts(
        &self,
        actor: &Actor,
        filter: &PromptFilter,
        before: Option<Uuid>,
    ) -> Result<Vec<KeptPrompt>, Problem> {
        let reach = actor.audit_reach()?;
        if before.is_none() {
            self.note_reading(actor, "prompt.export", filter).await?;
        }
        Ok(list(&self.db().read, &reach, filter, (before, self.0.clock.now()), EXPORTED).await?)
    }

    /// Refuses those who may read no prompt at all.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn require_reader_of_prompts(actor: &Actor) -> Result<(), Problem> {
        actor.audit_reach().map(drop)
    }

    /// Writes down who read which prompts; without that nothing is given.
    async fn note_reading(&self, actor: &Actor, verb: &str, filter: &PromptFilter) -> sqlx::Result<()> {
        let mut tx = self.db().write.begin().await?;
        let subject = audit::Subject { name: "prompt log", id: None, workspace: None };
        let asked = serde_json::to_value(filter).expect("a filter is plain data");
        audit::record(&mut tx, self.0.clock.now(), &actor.trace(), verb, subject, None, Some(asked)).await?;
        tx.commit().await
    }
}

async fn list(
    db: &PgPool,
    reach: &Reach,
    filter: &PromptFilter,
    (before, now): (Option<Uuid>, OffsetDateTime),
    most: usize,
) -> sqlx::Result<Vec<KeptPrompt>> {
    let mut sql = QueryBuilder::<Postgres>::new(
        "select p.prompt_log_id as id, p.at, p.request_id, w.name as workspace, p.key_name as key, p.route, p.model,
                p.prompt, p.answer, p.expires_at
         from prompt_log p left join workspace w using (workspace_id)
         where p.expires_at > ",
    );
    sql.push_bind(now);
    if let Reach::Workspaces(workspaces) = reach {
        sql.push(" and p.workspace_id = any(").push_bind(workspaces).push(")");
    }
    for (column, wanted) in [
        ("w.name", &filter.workspace),
        ("p.key_name", &filter.key),
        ("p.model", &filter.model),
        ("p.route", &filter.route),
        ("p.request_id", &filter.request_id),
    ] {
        if let Some(wanted) = wanted {
            sql.push(" and ").push(column).push(" = ").push_bind(wanted);
        }
    }
    if let Some(from) = filter.from {
        sql.push(" and p.at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        sql.push(" and p.at < ").push_bind(to);
    }
    if let Some(before) = before {
        sql.push(" and p.prompt_log_id < ").push_bind(before);
    }
    // The ids are in the order of time.
    sql.push(" order by p.prompt_log_id desc limit ").push_bind(i64::try_from(most).unwrap_or(i64::MAX));
    sql.build_query_as().fetch_all(db).await
}
