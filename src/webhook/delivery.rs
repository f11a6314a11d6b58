//! `Delivery`: one event for one subscription, and what its receiver answered each time.

use super::Webhook;
use crate::base::{AssetId, DeliveryId, NoticeId, WebhookId, WorkspaceId};
use crate::catalog::Workspace;
use crate::notify::Kind;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, types::Json};
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A claim older than this is void: its worker died.
const CLAIM_HOLDS: Duration = Duration::from_secs(60);
/// How often an event is sent before it is laid aside.
const ATTEMPTS: i32 = 10;
/// How many deliveries are sent at once.
const BATCH: i64 = 16;
/// And of these to one receiver: a slow one leaves room for others.
const BATCH_OF_ONE: i64 = 4;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum DeliveryState {
    /// It is to be sent, for the first time or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// Given up after the last attempt; can be replayed.
    Dead,
    /// About something that the webhook's creator may not see.
    Withheld,
}

/// One event for one webhook.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub delivery_id: DeliveryId,
    /// The event's id, the same in every attempt.
    #[schema(value_type = uuid::Uuid)]
    pub event_id: NoticeId,
    pub kind: String,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: i32,
    /// When it is sent next, while it waits.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_at: Option<OffsetDateTime>,
    /// The last answers, latest first.
    #[schema(value_type = Vec<Attempt>)]
    pub answers: Json<Vec<Attempt>>,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub attempt: i32,
    /// When it was sent.
    pub at: String,
    /// The HTTP status; absent when there was no answer.
    pub status: Option<i32>,
    /// Why there was none.
    pub error: Option<String>,
    pub duration_ms: i32,
}

/// A delivery that this process is about to send.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Claimed {
    pub delivery_id: DeliveryId,
    pub webhook_id: WebhookId,
    pub notice_id: NoticeId,
    pub at: OffsetDateTime,
    pub kind: String,
    pub workspace_id: Option<WorkspaceId>,
    pub asset_id: Option<AssetId>,
    pub subject: String,
    pub data: Value,
    pub attempts: i32,
}

/// What came of sending.
pub(super) enum Outcome {
    Answered(u16),
    NotSent(String),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select d.delivery_id, d.notice_id as event_id, d.kind, d.at, d.state, d.attempts,
                    case when d.state = 'waiting' then d.next_at end as next_at,
                    coalesce((select jsonb_agg(jsonb_build_object(
                                  'attempt', t.attempt, 'at', to_char(t.at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                                  'status', t.status, 'error', t.error, 'durationMs', t.duration_ms) order by t.attempt desc)
                              from webhook_attempt t where t.delivery_id = d.delivery_id), '[]') as answers
             from webhook_delivery d ",
            $rest
        )
    };
}

pub(super) async fn list(
    conn: &mut PgConnection,
    webhook: WebhookId,
    before: Option<NoticeId>,
    limit: i64,
) -> Result<Vec<Delivery>, sqlx::Error> {
    sqlx::query_as(select!(
        "where d.webhook_id = $1 and ($2::uuid is null or d.notice_id < $2) order by d.notice_id desc limit $3"
    ))
    .bind(webhook)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}

async fn find(conn: &mut PgConnection, id: DeliveryId) -> Result<Option<Delivery>, sqlx::Error> {
    sqlx::query_as(select!("where d.delivery_id = $1")).bind(id).fetch_optional(conn).await
}

pub(super) async fn insert_test(
    conn: &mut PgConnection,
    webhook: &Webhook,
    workspace: &Workspace,
    now: OffsetDateTime,
) -> Result<Delivery, sqlx::Error> {
    let id = DeliveryId::new();
    sqlx::query(
        "with queued as (
             insert into webhook_delivery (delivery_id, webhook_id, notice_id, at, kind, workspace_id, subject, data, next_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $4))
         select pg_notify($9, '')",
    )
    .bind(id)
    .bind(webhook.webhook_id)
    .bind(NoticeId::new())
    .bind(now)
    .bind(Kind::Test.as_str())
    .bind(workspace.workspace_id)
    .bind(workspace.name.as_str())
    .bind(json!({"webhook": webhook.name}))
    .bind(crate::notify::CHANNEL)
    .execute(&mut *conn)
    .await?;
    find(conn, id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Makes it wait again, with all its attempts before it; none when the webhook has no such delivery.
pub(super) async fn replay(
    conn: &mut PgConnection,
    webhook: WebhookId,
    id: DeliveryId,
    now: OffsetDateTime,
) -> Result<Option<Delivery>, sqlx::Error> {
    // What was sent before stays in the log, so the numbers of its attempts go on.
    let changed = sqlx::query(
        "with queued as (
             update webhook_delivery set state = 'waiting', next_at = $3, claimed_until = null, finished_at = null
             where delivery_id = $1 and webhook_id = $2
             returning 1)
         select pg_notify($4, '') from queued",
    )
    .bind(id)
    .bind(webhook)
    .bind(now)
    .bind(crate::notify::CHANNEL)
    .execute(&mut *conn)
    .await?;
    if changed.rows_affected() == 0 { Ok(None) } else { find(conn, id).await }
}

/// Hands notices to the subscriptions that want them, some at a time; gives how many notices that were.
pub(super) async fn hand_on(db: &PgPool, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    sqlx::query_scalar::<_, i64>(
        "with taken as (
             delete from notice
             where notice_id in (select notice_id from notice order by notice_id limit 200 for update skip locked)
             returning notice_id, at, kind, workspace_id, asset_id, subject, data),
         queued as (
             insert into webhook_delivery (delivery_id, webhook_id, notice_id, at, kind, workspace_id, asset_id, subject,
                                           data, next_at)
             select gen_random_uuid(), w.webhook_id, t.notice_id, t.at, t.kind, t.workspace_id, t.asset_id, t.subject,
                    t.data, $1
             from taken t
             join webhook w on w.is_active and (w.workspace_id is null or w.workspace_id = t.workspace_id)
                 and (w.kinds = '{}' or t.kind = any(w.kinds))
             on conflict (webhook_id, notice_id) do nothing)
         select count(*) from taken",
    )
    .bind(now)
    .fetch_one(db)
    .await
    .map(|count| u64::try_from(count).unwrap_or(0))
}

pub(super) async fn claim(db: &PgPool, now: OffsetDateTime) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as(
        "update webhook_delivery set claimed_until = $1 + $2 * interval '1 second', attempts = attempts + 1
         where delivery_id in (
             select d.delivery_id
             from webhook_delivery d join webhook w using (webhook_id)
             where d.state = 'waiting' and d.next_at <= $1 and (d.claimed_until is null or d.claimed_until <= $1)
               and w.is_active
               and (select count(*) from webhook_delivery c
                    where c.webhook_id = d.webhook_id and c.state = 'waiting'
                      and (c.next_at, c.delivery_id) < (d.next_at, d.delivery_id)) < $4
             order by d.next_at, d.delivery_id
             limit $3
             for update of d skip locked)
         returning delivery_id, webhook_id, notice_id, at, kind, workspace_id, asset_id, subject, data, attempts",
    )
    .bind(now)
    .bind(i64::try_from(CLAIM_HOLDS.as_secs()).unwrap_or(60))
    .bind(BATCH)
    .bind(BATCH_OF_ONE)
    .fetch_all(db)
    .await
}

/// Keeps what came of it, and when it is tried again: 5 s after the first time, four times as long after each further one,
/// at most six hours, and up to a fifth more, so that many do not come back at once.
pub(super) async fn settle(
    db: &PgPool,
    claimed: &Claimed,
    outcome: &Outcome,
    (began, took): (OffsetDateTime, Duration),
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (status, error) = match outcome {
        Outcome::Answered(status) => (Some(i32::from(*status)), None),
        Outcome::NotSent(error) => (None, Some(error.as_str())),
    };
    let taken = status.is_some_and(|status| (200..300).contains(&status));
    // A replay has as many attempts as the first sending.
    let round = (claimed.attempts - 1) % ATTEMPTS + 1;
    let state = match taken {
        true => "delivered",
        false if round >= ATTEMPTS => "dead",
        false => "waiting",
    };
    let mut tx = db.begin().await?;
    sqlx::query(
        "insert into webhook_attempt (delivery_id, attempt, at, status, error, duration_ms)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (delivery_id, attempt) do nothing",
    )
    .bind(claimed.delivery_id)
    .bind(claimed.attempts)
    .bind(began)
    .bind(status)
    .bind(error)
    .bind(i32::try_from(took.as_millis()).unwrap_or(i32::MAX))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "update webhook_delivery
         set state = $2, claimed_until = null, next_at = $3, finished_at = case when $2 <> 'waiting' then $4 end
         where delivery_id = $1",
    )
    .bind(claimed.delivery_id)
    .bind(state)
    .bind(now + pause(round, uuid::Uuid::new_v4().as_bytes()[0]))
    .bind(now)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

pub(super) async fn withhold(db: &PgPool, id: DeliveryId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update webhook_delivery set state = 'withheld', claimed_until = null, finished_at = $2 where delivery_id = $1",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// After attempt `number`, from 1; `draw` spreads it.
fn pause(number: i32, draw: u8) -> Duration {
    let exponent = u32::try_from(number - 1).unwrap_or(0).min(10);
    let seconds = (5 * 4_u64.pow(exponent)).min(6 * 60 * 60);
    Duration::from_millis(seconds * 1_000 + seconds * 200 * u64::from(draw) / 255)
}

/// Forgets what was finished long ago.
pub(super) async fn forget_old(db: &PgPool, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "delete from webhook_delivery where delivery_id in (
             select delivery_id from webhook_delivery where finished_at < $1 limit 10000)",
    )
    .bind(before)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_six_hours_and_are_spread() {
        let seconds: Vec<_> = (1..=10).map(|number| pause(number, 0).as_secs()).collect();

        assert_eq!(seconds, [5, 20, 80, 320, 1_280, 5_120, 20_480, 21_600, 21_600, 21_600]);
        assert_eq!(pause(1, 255), Duration::from_secs(6));
    }
}
