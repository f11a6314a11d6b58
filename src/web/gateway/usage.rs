//! Usage and cost of what went through the gateway: sums, a chart drawn by the server, and tables with every figure.

use crate::base::Clock;
use crate::door::{Failure, Query};
use crate::gateway::usage::{By, Figures, Ledger, PassedBudget, Point, Question, Report};
use crate::web::layout::{Layout, Place, page};
use crate::web::words;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// Colours there are; further names are drawn as one.
const DRAWN: usize = 3;
/// Height of the plot, in pixels; the axis lies below it.
const HEIGHT: f64 = 200.0;
const TOP: f64 = 12.0;

#[derive(Template)]
#[template(path = "gateway/usage.html")]
struct Page {
    layout: Layout,
    range: Range,
    by: By,
    from: OffsetDateTime,
    to: OffsetDateTime,
    report: Report,
    chart: Chart,
    keys: Vec<crate::gateway::usage::Line>,
    budgets: Vec<PassedBudget>,
    /// What alone is shown: `model` and its name.
    narrowed: Vec<(&'static str, String)>,
}

/// What is asked for in the address.
#[derive(Debug, Default, Deserialize)]
pub(in crate::web) struct Asked {
    range: Option<String>,
    by: Option<String>,
    workspace: Option<String>,
    key: Option<String>,
    model: Option<String>,
    asset: Option<String>,
    route: Option<String>,
}

/// Times that are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    Hour,
    #[default]
    Day,
    Week,
    Fortnight,
    Quarter,
}

impl Range {
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Fortnight, Self::Quarter];

    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Fortnight => "14d",
            Self::Quarter => "90d",
        }
    }

    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Fortnight => "14 days",
            Self::Quarter => "90 days",
        }
    }

    fn parse(word: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|range| Some(range.word()) == word).unwrap_or_default()
    }

    /// Begin, end, and the step between.
    fn around(self, now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime, &'static str, Duration) {
        let (wide, step, name) = match self {
            Self::Hour => (Duration::HOUR, Duration::MINUTE, "minute"),
            Self::Day => (Duration::DAY, Duration::HOUR, "hour"),
            Self::Week => (Duration::days(7), Duration::DAY, "day"),
            Self::Fortnight => (Duration::days(14), Duration::DAY, "day"),
            Self::Quarter => (Duration::days(90), Duration::DAY, "day"),
        };
        let seconds = step.whole_seconds();
        let to = (now.unix_timestamp().div_euclid(seconds) + 1) * seconds;
        let to = OffsetDateTime::from_unix_timestamp(to).unwrap_or(now);
        (to - wide, to, name, step)
    }
}

/// A chart of columns: one a step, in parts by name.
#[derive(Debug, Default, PartialEq)]
pub struct Chart {
    /// With the class of their colour.
    pub names: Vec<(String, &'static str)>,
    pub columns: Vec<Column>,
    /// Heights with their figure.
    pub lines: Vec<(String, f64)>,
    pub most: i64,
}

#[derive(Debug, PartialEq)]
pub struct Column {
    pub at: OffsetDateTime,
    pub label: String,
    pub is_odd: bool,
    /// In percent of the width.
    pub x: String,
    pub middle: String,
    pub width: String,
    /// Class, y, height; from below upwards.
    pub parts: Vec<(&'static str, String, String)>,
    /// Tokens of each of the chart's names.
    pub figures: Vec<i64>,
    pub total: i64,
}

impl Chart {
    fn of(points: &[Point], names: &[String], from: OffsetDateTime, to: OffsetDateTime, step: Duration) -> Self {
        const CLASSES: [&str; 4] = ["c1", "c2", "c3", "c4"];
        let mut names: Vec<String> = names.to_vec();
        let has_others = names.len() > DRAWN;
        names.truncate(DRAWN);
        let mut sums: BTreeMap<OffsetDateTime, Vec<i64>> = BTreeMap::new();
        let places = names.len() + usize::from(has_others);
        let mut at = from;
        while at < to {
            sums.insert(at, vec![0; places]);
            at += step;
        }
        for point in points {
            let place = names.iter().position(|name| *name == point.name).unwrap_or(names.len());
            if let Some(sum) = sums.get_mut(&point.at).and_then(|sums| sums.get_mut(place)) {
                *sum += point.tokens;
            }
        }
        if has_others {
            names.push("others".to_owned());
        }
        let most = sums.values().map(|sums| sums.iter().sum::<i64>()).max().unwrap_or(0);
        let scale = nice(most.max(1));
        let each = 100.0 / sums.len().max(1) as f64;
        let days = step >= Duration::DAY;
        let columns = sums.into_iter().enumerate().map(|(number, (at, figures))| {
            let mut y = TOP + HEIGHT;
            let parts = figures.iter().zip(CLASSES).filter(|(tokens, _)| **tokens > 0).map(|(tokens, class)| {
                let height = *tokens as f64 / scale as f64 * HEIGHT;
                y -= height;
                (class, format!("{y:.1}"), format!("{:.1}", (height - 1.0).max(0.5)))
            });
            let parts = parts.collect();
            let every = if days { if each < 3.0 { 14 } else { 1 } } else { 4 };
            let label = match days {
                true => at.day().to_string(),
                false => format!("{:02}:{:02}", at.hour(), at.minute()),
            };
            Column {
                at,
                label: if number % if step < Duration::HOUR { 10 } else { every } == 0 { label } else { String::new() },
                is_odd: number % 2 == 1,
                x: format!("{:.2}%", number as f64 * each + each * 0.14),
                middle: format!("{:.2}%", (number as f64 + 0.5) * each),
                width: format!("{:.2}%", each * 0.72),
                parts,
                total: figures.iter().sum(),
                figures,
            }
        });
        let columns = columns.collect();
        let lines = (1..=4).map(|part| {
            let figure = scale * part / 4;
            (words::tokens(figure), TOP + HEIGHT - figure as f64 / scale as f64 * HEIGHT)
        });
        let lines = lines.collect();
        Self { names: names.into_iter().zip(CLASSES).collect(), columns, lines, most }
    }

    /// Whether there is anything to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.most == 0
    }
}

/// The next number of the form 4, 8 or 20 times a power of ten, so that quarters are round.
fn nice(most: i64) -> i64 {
    let mut unit = 4;
    loop {
        for step in [unit, unit * 2, unit * 5] {
            if step >= most {
                return step;
            }
        }
        unit *= 10;
    }
}

impl Page {
    /// The address with this range and split, narrowed as now.
    fn href(&self, range: &Range, by: &By) -> String {
        address("/gateway/usage", &[("range", range.word()), ("by", by.as_str())], self.narrowed())
    }

    /// The address that shows this line alone; none of what cannot be narrowed to, or is already.
    fn narrower(&self, line: &str) -> Option<String> {
        let what = self.by.as_str();
        let is_open = NARROWED.contains(&what) && !line.is_empty() && self.narrowed.iter().all(|(one, _)| *one != what);
        let here = [("range", self.range.word()), ("by", what)];
        is_open.then(|| address("/gateway/usage", &here, self.narrowed().chain([(what, line)])))
    }

    /// The address without this narrowing.
    fn wider(&self, what: &str) -> String {
        let here = [("range", self.range.word()), ("by", self.by.as_str())];
        address("/gateway/usage", &here, self.narrowed().filter(|(one, _)| *one != what))
    }

    fn csv(&self) -> String {
        let (from, to) = (words::exact(self.from), words::exact(self.to));
        address("/api/v1/gateway/usage/chargeback", &[("from", &from), ("to", &to)], self.narrowed())
    }

    fn narrowed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.narrowed.iter().map(|(what, value)| (*what, value.as_str()))
    }

    fn may_read_prompts(&self) -> bool {
        Ledger::require_reader_of_prompts(&self.layout.actor).is_ok()
    }

    fn share_of_cache(&self) -> String {
        let all = self.report.total.tokens() + self.report.total.saved;
        format!("{:.1} %", if all == 0 { 0.0 } else { self.report.total.saved as f64 * 100.0 / all as f64 })
    }

    fn first_token(&self) -> String {
        let Figures { first_token_ms, first_tokens, .. } = self.report.total;
        if first_tokens == 0 { "–".to_owned() } else { words::seconds(first_token_ms / first_tokens) }
    }
}

/// What lines can be narrowed to.
const NARROWED: [&str; 5] = ["workspace", "key", "model", "asset", "route"];

fn address<'a>(path: &str, first: &[(&str, &str)], then: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(first).extend_pairs(then);
    format!("{path}?{}", query.finish())
}

/// `GET /gateway/usage`.
pub(in crate::web) async fn show(
    layout: Layout,
    State(ledger): State<Ledger>,
    State(clock): State<Clock>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let range = Range::parse(asked.range.as_deref());
    let by = asked.by.as_deref().and_then(By::parse).unwrap_or_default();
    let (from, to, step, width) = range.around(clock.now());
    let clean = |text: Option<String>| text.filter(|text| !text.is_empty() && !text.contains('\0'));
    let question = Question {
        from,
        to,
        by,
        step,
        workspace: clean(asked.workspace),
        key: clean(asked.key),
        model: clean(asked.model),
        asset: clean(asked.asset),
        route: clean(asked.route),
        lines: 12,
    };
    let Question { workspace, key, model, asset, route, .. } = &question;
    let narrowed = NARROWED.into_iter().zip([workspace, key, model, asset, route]);
    let narrowed = narrowed.filter_map(|(what, value)| Some((what, value.clone()?))).collect();
    let report = ledger.report(&layout.actor, &question).await?;
    let keys = ledger.report(&layout.actor, &Question { by: By::Key, lines: 5, ..question.clone() }).await?.lines;
    let budgets = ledger.passed_budgets(&layout.actor).await?;
    let mut names: Vec<String> =
        report.lines.iter().filter(|line| line.figures.tokens() > 0).map(|line| line.name.clone()).collect();
    if report.rest.is_some() {
        names.push(String::new());
    }
    let chart = Chart::of(&report.points, &names, from, to, width);
    page(&Page { layout: layout.at(Place::Gateway), range, by, from, to, report, chart, keys, budgets, narrowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_scale_is_a_round_number_above_the_most() {
        for (most, scale) in [(1, 4), (5, 8), (9, 20), (21, 40), (70_000, 80_000), (80_001, 200_000)] {
            assert_eq!(nice(most), scale);
        }
    }

    #[test]
    fn columns_stand_on_one_another_and_others_are_summed_up() {
        let at = datetime!(2026-03-01 0:00 UTC);
        let point = |name: &str, tokens| Point { at, name: name.to_owned(), tokens, cost: 0, requests: 1 };
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned);
        let points = [point("a", 40), point("b", 20), point("c", 10), point("d", 5), point("e", 5)];

        let chart = Chart::of(&points, &names, at, at + Duration::days(2), Duration::DAY);

        assert_eq!(chart.names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "others"]);
        assert_eq!((chart.columns[0].figures.clone(), chart.columns[0].total), (vec![40, 20, 10, 10], 80));
        assert_eq!(chart.columns[0].parts.last().unwrap().1, "12.0", "the highest column reaches the top");
        assert!(chart.columns[1].parts.is_empty());
    }
}
