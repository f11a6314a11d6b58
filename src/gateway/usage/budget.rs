//! Budgets that are passed: told once in a period, whichever replica sees it first, to those who subscribe and to the
//! policy's own webhook.

use crate::base::{Clock, Database, Egress, WorkspaceId};
use crate::gateway::limit::{Limit, QuotaSpent};
use crate::notify::{self, Kind, Notice};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// Tells of budgets; cheap to clone.
#[derive(Clone)]
pub struct Budgets(UnboundedSender<Passed>);

/// The other end of [`Budgets`].
pub struct BudgetNotices(UnboundedReceiver<Passed>);

struct Passed {
    limit: Arc<Limit>,
    level: &'static str,
    key: String,
    start: OffsetDateTime,
    value: String,
    used: u64,
    workspace: Option<WorkspaceId>,
    webhook: Option<String>,
}

/// A budget that was passed, as pages show it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PassedBudget {
    pub policy: String,
    pub value: String,
    pub level: String,
    pub at: OffsetDateTime,
    pub used: i64,
    pub most: i64,
}

impl Budgets {
    #[must_use]
    pub fn new() -> (Self, BudgetNotices) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), BudgetNotices(receiver))
    }

    /// Looks at a budget after something was charged to it: `used` is what counts now. Tells when that passed a level.
    pub fn charged(
        &self,
        levels: [(&'static str, Option<&Arc<Limit>>); 2],
        quota: &QuotaSpent,
        (value, used): (&str, u64),
        workspace: Option<WorkspaceId>,
        webhook: Option<&str>,
    ) {
        for (level, limit) in levels {
            let Some(limit) = limit else { continue };
            let before = used.saturating_sub(quota.amount);
            if used < limit.most || before >= limit.most {
                continue;
            }
            let passed = Passed {
                limit: limit.clone(),
                level,
                key: quota.key.to_hex(),
                start: quota.start,
                value: value.to_owned(),
                used,
                workspace,
                webhook: webhook.map(str::to_owned),
            };
            // Nobody listens any more when the process stops; the next to pass is told by the next process.
            let _ = self.0.send(passed);
        }
    }
}

impl BudgetNotices {
    /// Tells until `stop`.
    pub async fn run(mut self, db: Database, clock: Clock, egress: Egress, stop: CancellationToken) {
        let client = egress.client().timeout(Duration::from_secs(10)).build();
        loop {
            let passed = tokio::select! {
                passed = self.0.recv() => passed,
                () = stop.cancelled() => None,
            };
            let Some(passed) = passed else { break };
            match note(&db, &clock, &passed).await {
                Ok(true) => {
                    if let (Some(url), Ok(client)) = (&passed.webhook, &client) {
                        call(client, &egress, url, &passed).await;
                    }
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "A passed budget could not be told"),
            }
        }
    }
}

/// Whether this is the first to tell of it in its period.
async fn note(db: &Database, clock: &Clock, passed: &Passed) -> sqlx::Result<bool> {
    let now = clock.now();
    let mut tx = db.write.begin().await?;
    let first = sqlx::query(
        "insert into budget_notice (counter_key, period_start, level, policy, value, workspace_id, used, most, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict on constraint budget_notice_pkey do nothing",
    )
    .bind(&passed.key)
    .bind(passed.start)
    .bind(passed.level)
    .bind(&*passed.limit.policy)
    .bind(&passed.value)
    .bind(passed.workspace)
    .bind(i64::try_from(passed.used).unwrap_or(i64::MAX))
    .bind(i64::try_from(passed.limit.most).unwrap_or(i64::MAX))
    .bind(now)
    .execute(&mut *tx)
    .await?
    .rows_affected()
        == 1;
    if first {
        let notice = Notice::new(Kind::BudgetReached, now, &passed.limit.policy).with(told(passed));
        let notice = match passed.workspace {
            Some(workspace) => notice.of_workspace(workspace),
            None => notice,
        };
        notify::publish(&mut tx, notice).await?;
        tracing::info!(
            "The {} budget of the policy {} is reached for {}",
            passed.level,
            passed.limit.policy,
            passed.value
        );
    }
    tx.commit().await?;
    Ok(first)
}

fn told(passed: &Passed) -> serde_json::Value {
    json!({
        "policy": &*passed.limit.policy,
        "level": passed.level,
        "counterKey": passed.value,
        "used": passed.used as f64 / 1e9,
        "limit": passed.limit.most as f64 / 1e9,
        "periodStart": passed.start.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
    })
}

async fn call(client: &reqwest::Client, egress: &Egress, url: &str, passed: &Passed) {
    let outcome = match url.parse::<url::Url>() {
        Ok(url) if egress.judge(&url).is_ok() => {
            let sent = client.post(url).json(&told(passed)).send().await;
            sent.and_then(reqwest::Response::error_for_status)
                .map(drop)
                .map_err(|error| error.without_url().to_string())
        }
        _ => Err("its URL may not be called".to_owned()),
    };
    if let Err(error) = outcome {
        tracing::warn!(error, "The webhook of the policy {} was not told of its budget", passed.limit.policy);
    }
}

/// Budgets that were passed in periods which may still run, of these workspaces or all; newest first.
///
/// # Errors
/// What Postgres says.
pub(super) async fn passed(
    db: &Database,
    sight: &super::charged::Charged,
    since: OffsetDateTime,
) -> sqlx::Result<Vec<PassedBudget>> {
    sqlx::query_as(
        "select policy, value, level, at, used, most
         from budget_notice
         where period_start > $1 and ($2 or workspace_id = any($3))
         order by at desc
         limit 50",
    )
    .bind(since)
    .bind(sight.everything)
    .bind(&sight.workspaces)
    .fetch_all(&db.read)
    .await
}
