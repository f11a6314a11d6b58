//! What was used in a time: sums, lines by whatever is asked for, a series over the time, and how long things took. Read
//! from the roll-ups, which an hour of traffic adds some lines to, and never from the records.

use super::Ledger;
use super::charged::Charged;
use super::latency::Latencies;
use crate::auth::{Actor, Permission, Refused, Scope};
use sqlx::{PgPool, Postgres, QueryBuilder};
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};

/// What is asked of the ledger.
#[derive(Clone, Debug)]
pub struct Question {
    pub from: OffsetDateTime,
    /// Not included.
    pub to: OffsetDateTime,
    pub by: By,
    /// The steps of the series; `minute`, `hour` or `day`.
    pub step: &'static str,
    /// Only what one workspace, by its name, is charged.
    pub workspace: Option<String>,
    /// Only these; by exact value.
    pub key: Option<String>,
    pub model: Option<String>,
    pub asset: Option<String>,
    pub route: Option<String>,
    /// The most lines; what is beyond is summed up in the last.
    pub lines: usize,
}

/// What lines are split by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Model,
    Key,
    User,
    Workspace,
    Asset,
    Route,
    Backend,
}

/// Sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Figures {
    pub requests: i64,
    /// By a limit or another policy.
    pub refused: i64,
    pub cancelled: i64,
    pub failed: i64,
    /// Answered from the cache.
    pub cached: i64,
    /// Prompt tokens, those of the vendor's cache included.
    pub input: i64,
    pub cached_input: i64,
    /// Reply tokens, reasoning included.
    pub output: i64,
    pub reasoning: i64,
    /// Tokens that our cache saved.
    pub saved: i64,
    /// In thousand-millionths of the unit of the price table's currency.
    pub cost: i64,
    pub saved_cost: i64,
    pub latency_ms: i64,
    pub first_token_ms: i64,
    pub first_tokens: i64,
}

/// The sums of one key, model, workspace ...
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Line {
    /// Empty where the requests had none.
    pub name: String,
    #[sqlx(flatten)]
    pub figures: Figures,
}

/// Tokens, cost and requests of one name in one step of time.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Point {
    pub at: OffsetDateTime,
    pub name: String,
    pub tokens: i64,
    pub cost: i64,
    pub requests: i64,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub total: Figures,
    /// The largest first; what is beyond the asked number is in `rest`.
    pub lines: Vec<Line>,
    pub rest: Option<(usize, Figures)>,
    pub points: Vec<Point>,
    /// By model.
    pub latencies: HashMap<String, Latencies>,
}

const SUMS: &str = "
    coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(refused), 0)::bigint as refused,
    coalesce(sum(cancelled), 0)::bigint as cancelled, coalesce(sum(failed), 0)::bigint as failed,
    coalesce(sum(cached), 0)::bigint as cached, coalesce(sum(input), 0)::bigint as input,
    coalesce(sum(cached_input), 0)::bigint as cached_input, coalesce(sum(output), 0)::bigint as output,
    coalesce(sum(reasoning), 0)::bigint as reasoning, coalesce(sum(saved), 0)::bigint as saved,
    coalesce(sum(cost), 0)::bigint as cost, coalesce(sum(saved_cost), 0)::bigint as saved_cost,
    coalesce(sum(latency_ms), 0)::bigint as latency_ms, coalesce(sum(first_token_ms), 0)::bigint as first_token_ms,
    coalesce(sum(first_tokens), 0)::bigint as first_tokens";

impl Ledger {
    /// What was used, as far as the actor may know: what is charged where it holds the permission to read usage, and what
    /// it used itself.
    ///
    /// # Errors
    /// [`Refused`] without a credential; what Postgres says.
    pub async fn report(&self, actor: &Actor, question: &Question) -> Result<Report, ReportError> {
        if actor.is_anonymous() {
            actor.require(Permission::ReadUsage, Scope::Instance)?;
        }
        let (db, sight) = (&self.db().read, Charged::seen_by(actor));
        let (lines, points) = (lines(db, &sight, question).await?, points(db, &sight, question).await?);
        let latencies = latencies(db, &sight, question).await?;
        let mut report = Report { points, latencies, ..Report::default() };
        let mut rest = Figures::default();
        let beyond = lines.len().saturating_sub(question.lines);
        for (at, line) in lines.into_iter().enumerate() {
            report.total.add(&line.figures);
            if at < question.lines {
                report.lines.push(line);
            } else {
                rest.add(&line.figures);
            }
        }
        report.rest = (beyond > 0).then_some((beyond, rest));
        Ok(report)
    }

    /// Every line of the chargeback: workspace, key, user, asset, route, model, backend and their sums, by day of UTC. Of a
    /// day that begins or ends outside of the asked time, what lies within.
    ///
    /// # Errors
    /// As [`Ledger::report`].
    pub async fn chargeback(&self, actor: &Actor, question: &Question) -> Result<Vec<ChargebackLine>, ReportError> {
        if actor.is_anonymous() {
            actor.require(Permission::ReadUsage, Scope::Instance)?;
        }
        let mut sql = QueryBuilder::<Postgres>::new(
            "select date_trunc('day', start_at, 'UTC') as at, coalesce(w.name, '') as workspace,
                 key_name, user_name, asset, route, model, backend,",
        );
        sql.push(SUMS);
        from(&mut sql, "day", &Charged::seen_by(actor), question);
        sql.push(" group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8");
        Ok(sql.build_query_as().fetch_all(&self.db().read).await?)
    }
}

/// A line of the chargeback.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ChargebackLine {
    pub at: OffsetDateTime,
    pub workspace: String,
    pub key_name: String,
    pub user_name: String,
    pub asset: String,
    pub route: String,
    pub model: String,
    pub backend: String,
    #[sqlx(flatten)]
    pub figures: Figures,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<ReportError> for crate::base::Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Refused(refused) => refused.into(),
            ReportError::Database(error) => error.into(),
        }
    }
}

async fn lines(db: &PgPool, sight: &Charged, question: &Question) -> sqlx::Result<Vec<Line>> {
    let mut sql = QueryBuilder::<Postgres>::new("select ");
    sql.push(question.by.column()).push(" as name,").push(SUMS);
    from(&mut sql, "day", sight, question);
    sql.push(" group by 1 order by sum(cost) desc, sum(input + output) desc, sum(requests) desc, 1");
    sql.build_query_as().fetch_all(db).await
}

async fn points(db: &PgPool, sight: &Charged, question: &Question) -> sqlx::Result<Vec<Point>> {
    let mut sql = QueryBuilder::<Postgres>::new("select date_trunc(");
    sql.push_bind(question.step).push(", start_at, 'UTC') as at, ").push(question.by.column()).push(
        " as name, sum(input + output)::bigint as tokens, sum(cost)::bigint as cost, sum(requests)::bigint as requests",
    );
    from(&mut sql, question.step, sight, question);
    sql.push(" group by 1, 2 order by 1, 2 limit 20000");
    sql.build_query_as().fetch_all(db).await
}

async fn latencies(db: &PgPool, sight: &Charged, question: &Question) -> sqlx::Result<HashMap<String, Latencies>> {
    let mut sql = QueryBuilder::<Postgres>::new(
        "select model, bucket, sum(requests)::bigint from usage_latency u left join workspace w using (workspace_id) where start_at >= ",
    );
    sql.push_bind(question.from).push(" and start_at < ").push_bind(question.to);
    within(&mut sql, sight, question.workspace.as_deref(), false);
    sql.push(" group by 1, 2 order by 1, 2");
    let rows: Vec<(String, i32, i64)> = sql.build_query_as().fetch_all(db).await?;
    let mut by_model: HashMap<String, Vec<(i32, i64)>> = HashMap::new();
    for (model, bucket, requests) in rows {
        by_model.entry(model).or_default().push((bucket, requests));
    }
    Ok(by_model.into_iter().map(|(model, buckets)| (model, Latencies::of(&buckets))).collect())
}

/// From, joins and conditions of all statements over the roll-ups, which are read in steps no longer than `longest`.
fn from(sql: &mut QueryBuilder<Postgres>, longest: &'static str, sight: &Charged, question: &Question) {
    sql.push(" from usage_rollup u left join workspace w using (workspace_id) where (false");
    for (period, from, to) in pieces(longest, question.from, question.to) {
        sql.push(" or period = ").push_bind(period);
        sql.push(" and start_at >= ").push_bind(from).push(" and start_at < ").push_bind(to);
    }
    sql.push(")");
    within(sql, sight, question.workspace.as_deref(), true);
    for (column, value) in [
        (" and key_name = ", &question.key),
        (" and model = ", &question.model),
        (" and asset = ", &question.asset),
        (" and route = ", &question.route),
    ] {
        if let Some(value) = value {
            sql.push(column).push_bind(value.clone());
        }
    }
}

fn within(sql: &mut QueryBuilder<Postgres>, sight: &Charged, workspace: Option<&str>, own: bool) {
    if !sight.everything {
        sql.push(" and (u.workspace_id = any(").push_bind(sight.workspaces.clone()).push(")");
        if own {
            sql.push(" or u.key_id = ").push_bind(sight.key);
            sql.push(" or u.user_name = ").push_bind(sight.user.clone());
        }
        sql.push(")");
    }
    if let Some(workspace) = workspace {
        sql.push(" and w.name = ").push_bind(workspace.to_owned());
    }
}

/// A part of a time, and the roll-up whose steps it is read from.
type Piece = (&'static str, OffsetDateTime, OffsetDateTime);

/// The roll-ups, and the seconds of the next longer step.
const STEPS: [(&str, Option<i64>); 3] = [("minute", Some(3_600)), ("hour", Some(86_400)), ("day", None)];

/// A time in whole steps, each part of it in the longest that fits and is allowed: the longer the steps the fewer rows there
/// are, and the longer they are kept.
fn pieces(longest: &str, mut from: OffsetDateTime, mut to: OffsetDateTime) -> Vec<Piece> {
    let before = |at: OffsetDateTime, seconds: i64| {
        let beyond = at.unix_timestamp().rem_euclid(seconds);
        at - Duration::seconds(beyond) - Duration::nanoseconds(at.nanosecond().into())
    };
    let after = |at: OffsetDateTime, seconds: i64| {
        let begin = before(at, seconds);
        if begin < at { begin + Duration::seconds(seconds) } else { at }
    };
    let mut pieces = Vec::new();
    for (step, longer) in STEPS {
        let inner = longer.filter(|_| step != longest).map(|seconds| (after(from, seconds), before(to, seconds)));
        let Some((first, last)) = inner.filter(|(first, last)| first < last) else {
            pieces.push((step, from, to));
            break;
        };
        pieces.extend([(step, from, first), (step, last, to)]);
        (from, to) = (first, last);
    }
    pieces.retain(|(_, from, to)| from < to);
    pieces
}

impl By {
    pub const ALL: [Self; 7] =
        [Self::Model, Self::Key, Self::User, Self::Workspace, Self::Asset, Self::Route, Self::Backend];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Key => "key",
            Self::User => "user",
            Self::Workspace => "workspace",
            Self::Asset => "asset",
            Self::Route => "route",
            Self::Backend => "backend",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }

    const fn column(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Key => "key_name",
            Self::User => "user_name",
            Self::Workspace => "coalesce(w.name, '')",
            Self::Asset => "asset",
            Self::Route => "route",
            Self::Backend => "backend",
        }
    }
}

impl Figures {
    #[must_use]
    pub fn tokens(&self) -> i64 {
        self.input + self.output
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.cancelled += other.cancelled;
        self.failed += other.failed;
        self.cached += other.cached;
        self.input += other.input;
        self.cached_input += other.cached_input;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.saved += other.saved;
        self.cost += other.cost;
        self.saved_cost += other.saved_cost;
        self.latency_ms += other.latency_ms;
        self.first_token_ms += other.first_token_ms;
        self.first_tokens += other.first_tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_time_is_read_in_the_longest_steps_that_fit_and_no_part_of_it_is_left_out() {
        let read = |longest, from, to| {
            let pieces = pieces(longest, from, to);
            let long: i64 = pieces.iter().map(|(_, from, to)| (*to - *from).whole_seconds()).sum();
            assert_eq!(long, (to - from).whole_seconds(), "{from} to {to}");
            pieces.iter().map(|(step, ..)| *step).collect::<Vec<_>>()
        };
        let midnight = datetime!(2026-03-01 0:00 UTC);
        for (longest, from, to, steps) in [
            ("day", midnight, datetime!(2026-03-08 0:00 UTC), vec!["day"]),
            ("hour", midnight, datetime!(2026-03-08 0:00 UTC), vec!["hour"]),
            ("day", datetime!(2026-03-01 13:00 UTC), datetime!(2026-03-02 13:00 UTC), vec!["hour"]),
            ("day", datetime!(2026-03-01 5:00 UTC), datetime!(2026-03-04 7:00 UTC), vec!["hour", "hour", "day"]),
            ("day", datetime!(2026-03-01 0:00 +1), datetime!(2026-03-03 0:00 +1), vec!["hour", "hour", "day"]),
            ("day", datetime!(2026-03-01 5:10 UTC), datetime!(2026-03-01 5:50 UTC), vec!["minute"]),
            ("minute", datetime!(2026-03-01 5:10 UTC), datetime!(2026-03-02 6:10 UTC), vec!["minute"]),
            ("hour", datetime!(2026-03-01 5:10 UTC), datetime!(2026-03-01 8:00 UTC), vec!["minute", "hour"]),
            (
                "day",
                datetime!(2026-03-01 5:10 UTC),
                datetime!(2026-03-04 6:20 UTC),
                vec!["minute", "minute", "hour", "hour", "day"],
            ),
        ] {
            assert_eq!(read(longest, from, to), steps, "{from} to {to} by {longest}");
        }
    }
}
