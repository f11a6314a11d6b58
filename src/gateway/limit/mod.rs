//! Limits: what is going to be used is reserved before, what was used is settled after, exactly once.
//!
//! [`Limits::reserve`] takes all counters of a request at once or none. Its [`Reservation`] is owned by the request and
//! goes with it; it ends in [`Reservation::settle`], or, when it is dropped, as if all of it had been used. What was used
//! over the limit stays as a debt. When only reservations of requests under way stand against a request, it waits a moment
//! for one of them to end.

mod key;
mod local;
mod redis;
mod refusal;
mod window;

pub use self::redis::{Shared, WhenAway};
pub use key::{CounterKey, Facts, Whose, rendered};
pub use local::{CounterView, Limits, Reservation};
pub use refusal::{Refusal, Standing, Why};
pub use window::{period_end, period_start};

use crate::gateway::settings::Period;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// One limit: so much of a measure in a span, for each value of a counter key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Names it among all limits, through changes of its amount: the policy's id, measure and span.
    pub id: Box<str>,
    /// The policy's name, for those who are refused.
    pub policy: Box<str>,
    pub measure: Measure,
    pub span: Span,
    /// The most that may be used in the span.
    pub most: u64,
    /// Counts and tells, and refuses nothing.
    pub shadow: bool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    Input,
    Output,
    /// Input and output together.
    Tokens,
    Requests,
    /// In thousand-millionths of the currency's unit: a token of a cheap model costs less than a millionth.
    Cost,
}

/// Over which time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// The time that ends now; in milliseconds, at least a second.
    Sliding(u32),
    /// The running hour, day, week or month, in UTC.
    Fixed(Period),
    /// What is under way at this moment.
    AtOnce,
}

impl Span {
    pub const MINUTE: Self = Self::Sliding(60_000);

    /// In words: "a minute", "a month".
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Sliding(60_000) => "a minute".to_owned(),
            Self::Sliding(3_600_000) => "an hour".to_owned(),
            Self::Sliding(ms) if ms % 60_000 == 0 => format!("{} minutes", ms / 60_000),
            Self::Sliding(ms) => format!("{} s", f64::from(ms) / 1_000.0),
            Self::Fixed(Period::Hour) => "an hour".to_owned(),
            Self::Fixed(period) => format!("a {}", period.as_str()),
            Self::AtOnce => "at once".to_owned(),
        }
    }
}

impl Measure {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input tokens",
            Self::Output => "output tokens",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
            Self::Cost => "cost",
        }
    }

    /// An amount with its unit.
    #[must_use]
    pub fn amount(self, amount: u64) -> String {
        match self {
            Self::Cost => format!("{:.2}", amount as f64 / 1e9),
            _ => amount.to_string(),
        }
    }
}

impl Limit {
    /// A limit of a policy; `policy_id` stays the same when the policy is renamed or changed.
    #[must_use]
    pub fn new(policy_id: &str, policy: &str, measure: Measure, span: Span, most: u64, shadow: bool) -> Self {
        let span_name = match span {
            Span::Sliding(ms) => format!("{ms}ms"),
            Span::Fixed(period) => period.as_str().to_owned(),
            Span::AtOnce => "at-once".to_owned(),
        };
        let id = format!("{policy_id}/{measure:?}/{span_name}").into();
        Self { id, policy: policy.into(), measure, span, most, shadow }
    }
}

/// What a request is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Counted prompt tokens.
    pub input: u64,
    /// Expected reply tokens.
    pub output: u64,
    /// Of the prompt alone, in thousand-millionths.
    pub input_cost: u64,
    /// Of the expected reply.
    pub output_cost: u64,
}

/// What a request used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub input: u64,
    pub output: u64,
    /// In thousand-millionths.
    pub cost: u64,
    /// Nothing reached a backend: the request does not count either.
    pub nothing: bool,
}

impl Expected {
    /// How much of a measure it will use for certain, and how much it is expected to use.
    fn of(&self, measure: Measure) -> (u64, u64) {
        match measure {
            Measure::Input => (self.input, self.input),
            Measure::Output => (0, self.output),
            Measure::Tokens => (self.input, self.input.saturating_add(self.output)),
            Measure::Requests => (1, 1),
            Measure::Cost => (self.input_cost, self.input_cost.saturating_add(self.output_cost)),
        }
    }
}

impl Spent {
    fn of(&self, measure: Measure) -> u64 {
        match measure {
            _ if self.nothing => 0,
            Measure::Input => self.input,
            Measure::Output => self.output,
            Measure::Tokens => self.input.saturating_add(self.output),
            Measure::Requests => 1,
            Measure::Cost => self.cost,
        }
    }
}

/// A counter that a request wants room in.
#[derive(Clone, Debug)]
pub struct Ask {
    pub limit: Arc<Limit>,
    /// The rendered counter key.
    pub value: Arc<str>,
    pub whose: Whose,
}

impl Ask {
    #[must_use]
    pub fn key(&self) -> CounterKey {
        CounterKey::of(&self.limit.id, &self.value, self.whose)
    }
}

/// What a settled request used of a quota: kept with the usage record, so that quotas outlast the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaSpent {
    pub key: CounterKey,
    /// When the period began.
    pub start: OffsetDateTime,
    pub amount: u64,
}

/// A moment: wall clock for periods, monotonic for windows, which a clock that is set must not move.
#[derive(Clone, Copy, Debug)]
struct Now {
    wall: OffsetDateTime,
    monotonic: Duration,
}

impl Now {
    fn tick(self, window_ms: u32) -> u64 {
        self.monotonic.as_millis() as u64 / tick_ms(window_ms)
    }
}

/// The length of a sixtieth of a window, rounded up so that all of them are no shorter than it.
fn tick_ms(window_ms: u32) -> u64 {
    u64::from(window_ms.max(1_000)).div_ceil(window::TICKS)
}
