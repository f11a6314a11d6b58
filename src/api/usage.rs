//! Who used what through the gateway, and what it cost.

use super::narrowing::{bounded, moment};
use super::paging;
use crate::base::{Clock, Problem};
use crate::door::{Caller, Failure, Query};
use crate::gateway::usage::{By, Figures, Ledger, Question};
use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

/// Which usage.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The begin, RFC 3339; a day before the end where not said.
    #[param(max_length = 40, example = "2026-03-01T00:00:00Z")]
    from: Option<String>,
    /// The end, not included; the end of the running hour where not said.
    #[param(max_length = 40)]
    to: Option<String>,
    /// What lines are split by: `model`, `key`, `user`, `workspace`, `asset`, `route` or `backend`; `model` where not said.
    #[param(max_length = 20)]
    by: Option<String>,
    /// The steps of the series: `minute` (of at most two days), `hour` (of at most 62 days) or `day`.
    #[param(max_length = 10)]
    step: Option<String>,
    /// Only what this workspace is charged.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// Only of this key, by its name.
    #[param(max_length = 200)]
    key: Option<String>,
    /// Only of this model, by the alias that was asked for.
    #[param(max_length = 200)]
    model: Option<String>,
    /// Only of this asset: `workspace/name`.
    #[param(max_length = 300)]
    asset: Option<String>,
    /// Only of this route, by its name.
    #[param(max_length = 200)]
    route: Option<String>,
    /// The most lines; what is beyond is summed up. 50 where not said.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    by: &'static str,
    step: &'static str,
    total: UsageFigures,
    /// The dearest first.
    items: Vec<UsageLine>,
    /// What is beyond the asked number of lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<UsageFigures>,
    series: Vec<UsagePoint>,
}

/// Sums of one name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageLine {
    /// Empty where the requests had none.
    name: String,
    #[serde(flatten)]
    figures: UsageFigures,
    /// Of served requests, in milliseconds; of models only.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p50_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p99_ms: Option<i64>,
}

/// Sums.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageFigures {
    requests: i64,
    /// By a limit or another policy.
    refused: i64,
    /// Left by the client before the end.
    cancelled: i64,
    failed: i64,
    /// Answered from the cache of answers.
    cached: i64,
    /// All tokens of prompts.
    input: i64,
    /// The part of them that vendors read from their caches.
    cached_input: i64,
    /// All tokens of replies.
    output: i64,
    /// The part of them that was reasoning.
    reasoning: i64,
    /// Tokens that the cache of answers saved.
    saved: i64,
    /// In the currency of the price table.
    cost: f64,
    saved_cost: f64,
}

/// One name in one step of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsagePoint {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    name: String,
    tokens: i64,
    cost: f64,
    requests: i64,
}

impl From<Figures> for UsageFigures {
    fn from(figures: Figures) -> Self {
        Self {
            requests: figures.requests,
            refused: figures.refused,
            cancelled: figures.cancelled,
            failed: figures.failed,
            cached: figures.cached,
            input: figures.input,
            cached_input: figures.cached_input,
            output: figures.output,
            reasoning: figures.reasoning,
            saved: figures.saved,
            cost: money(figures.cost),
            saved_cost: money(figures.saved_cost),
        }
    }
}

fn money(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// Tells what was used through the gateway, and what it cost.
///
/// Sums are of what you may see: with the permission `read-usage` what its workspaces are charged, else what you used
/// yourself.
#[utoipa::path(
    get, path = "/api/v1/gateway/usage", operation_id = "usage", tag = "gateway", params(UsageQuery),
    responses((status = 200, description = "Sums, lines and a series.", body = UsageReport)),
)]
pub async fn report(
    State(ledger): State<Ledger>,
    State(clock): State<Clock>,
    caller: Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Answer<UsageReport>, Failure> {
    let question = question(query, clock.now())?;
    let report = ledger.report(&caller, &question).await?;
    let is_model = question.by == By::Model;
    let items = report.lines.into_iter().map(|line| {
        let latencies = report.latencies.get(&line.name).copied().filter(|_| is_model);
        UsageLine {
            name: line.name,
            figures: line.figures.into(),
            latency_p50_ms: latencies.map(|latencies| latencies.p50),
            latency_p99_ms: latencies.map(|latencies| latencies.p99),
        }
    });
    let point = |point: crate::gateway::usage::Point| UsagePoint {
        at: point.at,
        name: point.name,
        tokens: point.tokens,
        cost: money(point.cost),
        requests: point.requests,
    };
    Ok(Answer(UsageReport {
        from: question.from,
        to: question.to,
        by: question.by.as_str(),
        step: question.step,
        total: report.total.into(),
        items: items.collect(),
        rest: report.rest.map(|(_, figures)| figures.into()),
        series: report.points.into_iter().map(point).collect(),
    }))
}

/// Gives the chargeback as CSV: a line for each day, workspace, key, user, asset, route, model and backend.
#[utoipa::path(
    get, path = "/api/v1/gateway/usage/chargeback", operation_id = "usageChargeback", tag = "gateway", params(UsageQuery),
    responses((status = 200, description = "A head and a line each.", content((String = "text/csv")))),
)]
pub async fn chargeback(
    State(ledger): State<Ledger>,
    State(clock): State<Clock>,
    caller: Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Response, Failure> {
    let question = question(query, clock.now())?;
    let lines = ledger.chargeback(&caller, &question).await?;
    let mut csv = String::from(
        "day,workspace,key,user,asset,route,model,backend,requests,refused,cached,input_tokens,cached_input_tokens,\
         output_tokens,reasoning_tokens,saved_tokens,cost,saved_cost\r\n",
    );
    for line in lines {
        let texts =
            [&line.workspace, &line.key_name, &line.user_name, &line.asset, &line.route, &line.model, &line.backend];
        let _ = write!(csv, "{}", line.at.date());
        for text in texts {
            csv.push(',');
            csv.push_str(&cell(text));
        }
        let Figures {
            requests, refused, cached, input, cached_input, output, reasoning, saved, cost, saved_cost, ..
        } = line.figures;
        for number in [requests, refused, cached, input, cached_input, output, reasoning, saved] {
            let _ = write!(csv, ",{number}");
        }
        let _ = write!(csv, ",{:.9},{:.9}\r\n", money(cost), money(saved_cost));
    }
    let name = format!("attachment; filename=\"chargeback-{}-{}.csv\"", question.from.date(), question.to.date());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::try_from(name).expect("dates are a header's value")),
    ];
    Ok((headers, csv).into_response())
}

/// A value of RFC 4180. What a spreadsheet would take for a formula is made a text.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn question(query: UsageQuery, now: OffsetDateTime) -> Result<Question, Problem> {
    let hour = |at: OffsetDateTime| {
        at - Duration::seconds(at.unix_timestamp().rem_euclid(3_600))
            - Duration::nanoseconds(i64::from(at.nanosecond()))
    };
    let to = moment("query.to", query.to.as_deref())?.unwrap_or_else(|| hour(now) + Duration::HOUR);
    let from = moment("query.from", query.from.as_deref())?.unwrap_or(to - Duration::DAY);
    let wide = to - from;
    if wide <= Duration::ZERO || wide > Duration::days(1_100) {
        return Err(Problem::invalid_field("query.from", "must lie before the end, and at most three years"));
    }
    let by = match &query.by {
        None => By::default(),
        Some(word) => By::parse(word).ok_or_else(|| {
            let words: Vec<&str> = By::ALL.iter().map(|by| by.as_str()).collect();
            Problem::invalid_field("query.by", format!("must be one of {}", words.join(", ")))
        })?,
    };
    let step = match query.step.as_deref() {
        Some("minute") if wide <= Duration::days(2) => "minute",
        Some("hour") if wide <= Duration::days(62) => "hour",
        Some("day") => "day",
        None if wide <= Duration::days(3) => "hour",
        None => "day",
        Some(_) => {
            let message = "must be day, hour (of at most 62 days) or minute (of at most two days)";
            return Err(Problem::invalid_field("query.step", message));
        }
    };
    let lines = paging::number(query.limit, 50, 1_000)?;
    for (name, text, most) in [
        ("workspace", &query.workspace, 200),
        ("key", &query.key, 200),
        ("model", &query.model, 200),
        ("asset", &query.asset, 300),
        ("route", &query.route, 200),
    ] {
        bounded(&format!("query.{name}"), text.as_deref(), most)?;
    }
    let UsageQuery { workspace, key, model, asset, route, .. } = query;
    Ok(Question { from, to, by, step, workspace, key, model, asset, route, lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_cell_is_one_value_and_no_formula() {
        for (text, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("-x,y", "\"'-x,y\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }

    #[test]
    fn nothing_said_is_the_last_day_by_model() {
        let question = question(UsageQuery::default(), datetime!(2026-03-01 12:30:15.5 UTC)).unwrap();

        assert_eq!((question.from, question.to), (datetime!(2026-02-28 13:00 UTC), datetime!(2026-03-01 13:00 UTC)));
        assert_eq!((question.by, question.step, question.lines), (By::Model, "hour", 50));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_name() {
        let refused = |query: UsageQuery| {
            let problem = question(query, datetime!(2026-03-01 12:30 UTC)).unwrap_err();
            problem.errors[0].location.clone()
        };
        assert_eq!(refused(UsageQuery { from: Some("yesterday".into()), ..UsageQuery::default() }), "query.from");
        assert_eq!(
            refused(UsageQuery { from: Some("2027-01-01T00:00:00Z".into()), ..UsageQuery::default() }),
            "query.from"
        );
        assert_eq!(refused(UsageQuery { by: Some("colour".into()), ..UsageQuery::default() }), "query.by");
        assert_eq!(refused(UsageQuery { limit: Some(0), ..UsageQuery::default() }), "query.limit");
        let minutes = UsageQuery {
            from: Some("2026-01-01T00:00:00Z".into()),
            step: Some("minute".into()),
            ..UsageQuery::default()
        };
        assert_eq!(refused(minutes), "query.step");
    }
}
