//! The webhooks of budgets: called when a budget is passed, and again with growing pauses until they take it. What is still
//! to be called stands in the database beside what was passed, so that neither a restart nor a receiver that is away loses
//! it. A receiver may be told twice.

use crate::base::{Clock, Database, Egress};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

/// How often a webhook is called before it is given up: with pauses that double, some four hours after the first time.
const ATTEMPTS: i32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// How long an answer may take. Less than the first pause, after which another replica calls.
const PATIENCE: Duration = Duration::from_secs(10);
const AT_ONCE: i64 = 8;
/// Looks for what is due so often.
const IDLE: Duration = Duration::from_secs(1);

/// What is told of a budget that was passed; amounts are thousand-millionths.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Telling {
    pub policy: String,
    pub level: String,
    pub value: String,
    pub used: i64,
    pub most: i64,
    pub period_start: OffsetDateTime,
}

impl Telling {
    pub(super) fn json(&self) -> Value {
        json!({
            "policy": self.policy,
            "level": self.level,
            "counterKey": self.value,
            "used": self.used as f64 / 1e9,
            "limit": self.most as f64 / 1e9,
            "periodStart": self.period_start.format(&Rfc3339).unwrap_or_default(),
        })
    }
}

/// A call that this process is about to make.
#[derive(sqlx::FromRow)]
struct Due {
    counter_key: String,
    webhook: String,
    /// With this one.
    webhook_attempts: i32,
    #[sqlx(flatten)]
    telling: Telling,
}

/// Calls the webhooks.
pub(super) struct BudgetWebhooks {
    pub db: Database,
    pub clock: Clock,
    pub egress: Egress,
}

impl BudgetWebhooks {
    /// Calls what is due until `stop`, and then what came last.
    pub(super) async fn run(self, stop: CancellationToken) {
        let client = match self.egress.client().timeout(PATIENCE).build() {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(error = %error, "No webhook of a budget can be called");
                return;
            }
        };
        loop {
            let stopping = stop.is_cancelled();
            match self.call_due(&client).await {
                Ok(0) if stopping => return,
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(error = %error, "The webhooks of budgets could not be looked for");
                    if stopping {
                        return;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(IDLE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Gives how many were due.
    async fn call_due(&self, client: &reqwest::Client) -> sqlx::Result<usize> {
        let due = self.claim().await?;
        let outcomes = join_all(due.iter().map(|due| self.call(client, due))).await;
        outcomes.into_iter().collect::<sqlx::Result<()>>()?;
        Ok(due.len())
    }

    /// Takes what is due, and says at once when it is next: who dies in the midst of a call has not to say it any more.
    async fn claim(&self) -> sqlx::Result<Vec<Due>> {
        sqlx::query_as(
            "update budget_notice
             set webhook_attempts = webhook_attempts + 1,
                 webhook_next_at = $1 + $2 * interval '1 second' * power(2, webhook_attempts)
             where (counter_key, period_start, level) in (
                 select counter_key, period_start, level from budget_notice
                 where webhook_next_at <= $1
                 order by webhook_next_at
                 limit $3
                 for update skip locked)
             returning counter_key, webhook, webhook_attempts, policy, level, value, used, most, period_start",
        )
        .bind(self.clock.now())
        .bind(FIRST_PAUSE.as_secs_f64())
        .bind(AT_ONCE)
        .fetch_all(&self.db.write)
        .await
    }

    async fn call(&self, client: &reqwest::Client, due: &Due) -> sqlx::Result<()> {
        let policy = &due.telling.policy;
        let told_at = match self.post(client, due).await {
            Ok(()) => Some(self.clock.now()),
            Err(error) if due.webhook_attempts < ATTEMPTS => {
                tracing::warn!(
                    error,
                    "The webhook of the policy {policy} was not told of its budget and is called again"
                );
                return Ok(());
            }
            Err(error) => {
                tracing::error!(error, "The webhook of the policy {policy} was never told of its budget");
                None
            }
        };
        sqlx::query(
            "update budget_notice set webhook_next_at = null, webhook_told_at = $4
             where counter_key = $1 and period_start = $2 and level = $3",
        )
        .bind(&due.counter_key)
        .bind(due.telling.period_start)
        .bind(&due.telling.level)
        .bind(told_at)
        .execute(&self.db.write)
        .await?;
        Ok(())
    }

    /// # Errors
    /// Why it was not told, without the address: that may hold a secret.
    async fn post(&self, client: &reqwest::Client, due: &Due) -> Result<(), String> {
        let url = due.webhook.parse::<url::Url>().ok().filter(|url| self.egress.judge(url).is_ok());
        let url = url.ok_or("its URL may not be called")?;
        let sent = client.post(url).json(&due.telling.json()).send().await;
        let answer = sent.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|error| error.without_url().to_string())
    }
}
