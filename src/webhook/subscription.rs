//! `Webhook`: who wants to be told of what, and where.

use crate::auth::Actor;
use crate::base::{Problem, WebhookId, WorkspaceId};
use crate::catalog::Workspace;
use crate::notify::Kind;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A subscription.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub webhook_id: WebhookId,
    #[serde(skip)]
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    /// Where events are sent.
    pub url: String,
    /// Which events; all when empty.
    pub kinds: Vec<String>,
    /// Whether events are sent now.
    pub is_active: bool,
    #[serde(skip)]
    pub secret_generation: i32,
    #[serde(skip)]
    pub secret_key_id: String,
    #[serde(skip)]
    pub previous_key_id: Option<String>,
    /// When the secret was made; for a day after that the one before signs too.
    #[serde(with = "time::serde::rfc3339")]
    pub secret_changed_at: OffsetDateTime,
    /// Who answers for it: events carry what this actor may see.
    pub creator: String,
    #[serde(skip)]
    pub creator_id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    pub revision: i64,
}

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Where events are sent: `https`, on the public internet or in a network the operator allowed.
    #[schema(max_length = 2000, example = "https://hooks.example.com/wharfinger")]
    pub url: String,
    /// Which events; all when empty or left out.
    #[serde(default)]
    pub kinds: Vec<Kind>,
}

/// What changes of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookPatch {
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    #[schema(max_length = 2000)]
    pub url: Option<String>,
    pub kinds: Option<Vec<Kind>>,
    /// False keeps it and sends nothing.
    pub is_active: Option<bool>,
}

impl NewWebhook {
    pub(super) fn check(&self) -> Result<(), Problem> {
        check_name(&self.name)?;
        check_url(&self.url)
    }
}

impl WebhookPatch {
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        self.url.as_deref().map_or(Ok(()), check_url)
    }

    pub(super) fn applied(self, mut webhook: Webhook) -> Webhook {
        webhook.name = self.name.unwrap_or(webhook.name);
        webhook.url = self.url.unwrap_or(webhook.url);
        webhook.kinds = self.kinds.map_or(webhook.kinds, |kinds| words(&kinds));
        webhook.is_active = self.is_active.unwrap_or(webhook.is_active);
        webhook
    }
}

fn check_url(url: &str) -> Result<(), Problem> {
    let short = url.chars().count() <= 2_000;
    if short { Ok(()) } else { Err(Problem::invalid_field("body.url", "must have at most 2000 characters")) }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let legal = !name.trim().is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control);
    if legal { Ok(()) } else { Err(Problem::invalid_field("body.name", "must have 1 to 100 characters on one line")) }
}

fn words(kinds: &[Kind]) -> Vec<String> {
    let mut words: Vec<_> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " webhook_id, workspace_id, name, url, kinds, is_active, secret_generation, secret_key_id, previous_key_id,
              secret_changed_at, creator, creator_id, created_at, updated_at, revision ",
            $after
        )
    };
}

pub(super) async fn list(conn: &mut PgConnection, workspace: &Workspace) -> Result<Vec<Webhook>, sqlx::Error> {
    sqlx::query_as(columns!("select", "from webhook where workspace_id = $1 order by name limit 1000"))
        .bind(workspace.workspace_id)
        .fetch_all(conn)
        .await
}

pub(super) async fn find(conn: &mut PgConnection, id: WebhookId) -> Result<Option<Webhook>, sqlx::Error> {
    sqlx::query_as(columns!("select", "from webhook where webhook_id = $1")).bind(id).fetch_optional(conn).await
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    workspace: &Workspace,
    new: &NewWebhook,
    actor: &Actor,
    key_id: &str,
    now: OffsetDateTime,
) -> Result<Webhook, sqlx::Error> {
    sqlx::query_as(columns!(
        "insert into webhook (webhook_id, workspace_id, name, url, kinds, secret_key_id, secret_changed_at, creator,
                              creator_id, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7, $7)
         returning",
        ""
    ))
    .bind(WebhookId::new())
    .bind(workspace.workspace_id)
    .bind(new.name.trim())
    .bind(&new.url)
    .bind(words(&new.kinds))
    .bind(key_id)
    .bind(now)
    .bind(actor.to_string())
    .bind(actor.trace().actor_id.unwrap_or_default())
    .fetch_one(conn)
    .await
}

pub(super) async fn update(
    conn: &mut PgConnection,
    webhook: &Webhook,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Webhook, sqlx::Error> {
    sqlx::query_as(columns!(
        "update webhook
         set name = $2, url = $3, kinds = $4, is_active = $5, creator = $6, creator_id = $7, updated_at = $8,
             revision = revision + 1
         where webhook_id = $1
         returning",
        ""
    ))
    .bind(webhook.webhook_id)
    .bind(webhook.name.trim())
    .bind(&webhook.url)
    .bind(&webhook.kinds)
    .bind(webhook.is_active)
    .bind(actor.to_string())
    .bind(actor.trace().actor_id.unwrap_or_default())
    .bind(now)
    .fetch_one(conn)
    .await
}

pub(super) async fn rotate(
    conn: &mut PgConnection,
    id: WebhookId,
    key_id: &str,
    now: OffsetDateTime,
) -> Result<Webhook, sqlx::Error> {
    sqlx::query_as(columns!(
        "update webhook
         set secret_generation = secret_generation + 1, previous_key_id = secret_key_id, secret_key_id = $2,
             secret_changed_at = $3, updated_at = $3, revision = revision + 1
         where webhook_id = $1
         returning",
        ""
    ))
    .bind(id)
    .bind(key_id)
    .bind(now)
    .fetch_one(conn)
    .await
}

pub(super) async fn delete(conn: &mut PgConnection, id: WebhookId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from webhook where webhook_id = $1").bind(id).execute(conn).await?;
    Ok(())
}
