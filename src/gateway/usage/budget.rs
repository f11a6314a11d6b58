//! Budgets that are passed: told once in a period, whichever replica sees it first, to those who subscribe and to the
//! policy's own webhook ([`super::budget_webhook`]).
//!
//! A process tells of each that it sees passed, not only of those that pass before its eyes: several replicas may pass one
//! together, and one that was stopped may have told nobody. The database knows what was told already.

use super::budget_webhook::{BudgetWebhooks, Telling};
use crate::base::{Clock, Database, Egress, WorkspaceId};
use crate::gateway::limit::{CounterKey, Limit, QuotaSpent};
use crate::notify::{self, Kind, Notice};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// How long after a failure it is tried again.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is known to be told; beyond it all is forgotten, and told to the database once more.
const KNOWN: usize = 100_000;

/// Tells of budgets; cheap to clone.
#[derive(Clone)]
pub struct Budgets {
    sender: UnboundedSender<Passed>,
    told: Arc<Mutex<Told>>,
}

/// The period in which a level of a counter was last told here.
type Told = HashMap<(CounterKey, &'static str), OffsetDateTime>;

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
    /// Whether its webhook was called and not told yet.
    pub webhook_fails: bool,
    /// When it is called again; none when it was told, or given up.
    pub webhook_next_at: Option<OffsetDateTime>,
}

impl Budgets {
    #[must_use]
    pub fn new() -> (Self, BudgetNotices) {
        let (sender, receiver) = unbounded_channel();
        (Self { sender, told: Arc::default() }, BudgetNotices(receiver))
    }

    /// Looks at a budget after something was charged to it: `used` is what counts now. Tells of each level that is reached
    /// and was not told here in this period.
    pub fn charged(
        &self,
        levels: [(&'static str, Option<&Arc<Limit>>); 2],
        quota: &QuotaSpent,
        (value, used): (&str, u64),
        workspace: Option<WorkspaceId>,
        webhook: Option<&str>,
    ) {
        for (level, limit) in levels {
            let Some(limit) = limit.filter(|limit| used >= limit.most) else { continue };
            if !self.is_news(quota, level) {
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
            // Nobody listens any more when the process stops; the next one sees that it is passed.
            let _ = self.sender.send(passed);
        }
    }

    fn is_news(&self, quota: &QuotaSpent, level: &'static str) -> bool {
        let mut told = self.told.lock().expect("no holder of this lock can panic");
        if told.get(&(quota.key, level)) == Some(&quota.start) {
            return false;
        }
        if told.len() >= KNOWN {
            told.clear();
        }
        told.insert((quota.key, level), quota.start);
        true
    }
}

impl BudgetNotices {
    /// Tells until `stop`, and then what still waits.
    pub async fn run(self, db: Database, clock: Clock, egress: Egress, stop: CancellationToken) {
        let all_noted = CancellationToken::new();
        let webhooks = BudgetWebhooks { db: db.clone(), clock: clock.clone(), egress };
        let noting = async {
            self.note_until(&db, &clock, &stop).await;
            all_noted.cancel();
        };
        tokio::join!(noting, webhooks.run(all_noted.clone()));
    }

    async fn note_until(mut self, db: &Database, clock: &Clock, stop: &CancellationToken) {
        let mut waiting = VecDeque::new();
        loop {
            let stopping = stop.is_cancelled();
            while let Ok(passed) = self.0.try_recv() {
                waiting.push_back(passed);
            }
            let Some(passed) = waiting.pop_front() else {
                if stopping {
                    break;
                }
                tokio::select! {
                    passed = self.0.recv() => match passed {
                        Some(passed) => waiting.push_back(passed),
                        None => break,
                    },
                    () = stop.cancelled() => {}
                }
                continue;
            };
            if let Err(error) = note(db, clock, &passed).await {
                tracing::warn!(error = %error, "A passed budget could not be told");
                if stopping {
                    break;
                }
                waiting.push_back(passed);
                tokio::select! {
                    () = tokio::time::sleep(PATIENCE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
}

/// Has it told to whoever wants to know, unless somebody did so in this period.
async fn note(db: &Database, clock: &Clock, passed: &Passed) -> sqlx::Result<()> {
    let now = clock.now();
    let telling = Telling {
        policy: passed.limit.policy.to_string(),
        level: passed.level.to_owned(),
        value: passed.value.clone(),
        used: i64::try_from(passed.used).unwrap_or(i64::MAX),
        most: i64::try_from(passed.limit.most).unwrap_or(i64::MAX),
        period_start: passed.start,
    };
    let mut tx = db.write.begin().await?;
    let first = sqlx::query(
        "insert into budget_notice (counter_key, period_start, level, policy, value, workspace_id, used, most, at,
                                    webhook, webhook_next_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case when $10 is not null then $9 end)
         on conflict on constraint budget_notice_pkey do nothing",
    )
    .bind(&passed.key)
    .bind(telling.period_start)
    .bind(&telling.level)
    .bind(&telling.policy)
    .bind(&telling.value)
    .bind(passed.workspace)
    .bind(telling.used)
    .bind(telling.most)
    .bind(now)
    .bind(&passed.webhook)
    .execute(&mut *tx)
    .await?
    .rows_affected()
        == 1;
    if first {
        let notice = Notice::new(Kind::BudgetReached, now, &telling.policy).with(telling.json());
        let notice = match passed.workspace {
            Some(workspace) => notice.of_workspace(workspace),
            None => notice,
        };
        notify::publish(&mut tx, notice).await?;
        let Telling { level, policy, value, .. } = &telling;
        tracing::info!("The {level} budget of the policy {policy} is reached for {value}");
    }
    tx.commit().await
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
        "select policy, value, level, at, used, most, webhook_next_at,
                webhook_attempts > 0 and webhook_told_at is null as webhook_fails
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::limit::{Measure, Span};
    use crate::gateway::settings::Period;
    use time::macros::datetime;

    #[test]
    fn a_level_that_is_passed_is_told_once_a_period_whoever_passed_it() {
        let (budgets, mut notices) = Budgets::new();
        let limit = |most| Arc::new(Limit::new("p1", "money", Measure::Cost, Span::Fixed(Period::Day), most, false));
        let (soft, hard) = (limit(50), limit(100));
        let mut charged = |start, used| {
            let quota = QuotaSpent { key: CounterKey(7), start, amount: 1 };
            budgets.charged([("soft", Some(&soft)), ("hard", Some(&hard))], &quota, ("bot", used), None, None);
            std::iter::from_fn(|| notices.0.try_recv().ok()).map(|passed| passed.level).collect::<Vec<_>>()
        };
        let (today, tomorrow) = (datetime!(2026-03-01 0:00 UTC), datetime!(2026-03-02 0:00 UTC));

        assert!(charged(today, 49).is_empty());
        // Others brought it here: with the one of this request it was passed before.
        assert_eq!(charged(today, 60), ["soft"]);
        assert!(charged(today, 61).is_empty());
        assert_eq!(charged(today, 130), ["hard"]);
        assert_eq!(charged(tomorrow, 100), ["soft", "hard"]);
    }
}
