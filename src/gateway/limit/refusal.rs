//! What a limit says: to those it refuses, and in the headers of those it lets through.

use super::{Limit, Measure, Span};
use crate::base::Problem;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Why a request cannot have what it asks for, with all that explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub limit: Arc<Limit>,
    /// The value of the counter key.
    pub value: Arc<str>,
    pub why: Why,
    /// What counts as used.
    pub used: u64,
    /// What requests under way have reserved.
    pub reserved: u64,
    pub asked: u64,
    /// How long until there is room, as far as is known.
    pub retry_after: Duration,
    /// How long until nothing counts any more.
    pub reset: Duration,
}

/// What stands against a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What was used before.
    Spent,
    /// Reservations of requests under way, and none of them ended in time.
    InFlight,
    /// It alone asks for more than the whole limit.
    TooLarge,
    /// The counters shared with other replicas cannot be reached, and the settings say to refuse then.
    Unreachable,
}

/// How things stand with a limit, for the headers of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub measure: Measure,
    pub most: u64,
    pub remaining: u64,
    /// How long until nothing counts any more.
    pub reset: Duration,
}

impl Refusal {
    /// 429 over what is soon free again, 403 over a quota or budget, 503 without shared counters.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match (self.why, self.limit.span) {
            (Why::Unreachable, _) => StatusCode::SERVICE_UNAVAILABLE,
            (_, Span::Fixed(_)) => StatusCode::FORBIDDEN,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// As doors tell it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let Limit { policy, measure, span, most, .. } = &*self.limit;
        let most_words = format!("{} {}", measure.amount(*most), measure.as_str());
        let whose = if self.value.is_empty() { String::new() } else { format!(" for {}", self.value) };
        let limit_words = match span {
            Span::AtOnce => format!("{most_words} at once{whose}"),
            _ => format!("{most_words} in {}{whose}", span.words()),
        };
        let (kind, title) = match (self.why, span, measure) {
            (Why::Unreachable, _, _) => ("limits-unavailable", "Limits cannot be checked now"),
            (_, Span::Fixed(_), Measure::Cost) => ("budget-reached", "Budget used up"),
            (_, Span::Fixed(_), _) => ("quota-reached", "Quota used up"),
            _ => ("limit-reached", "Limit reached"),
        };
        let (used, asked) = (measure.amount(self.used), measure.amount(self.asked));
        let detail = match self.why {
            Why::Spent => {
                format!("The policy {policy} allows {limit_words}: {used} are used and this request needs {asked}.")
            }
            Why::InFlight => format!(
                "The policy {policy} allows {limit_words}: {used} are used, {} are reserved by requests under way, and \
                 this request needs {asked}.",
                measure.amount(self.reserved)
            ),
            Why::TooLarge => format!("The policy {policy} allows {limit_words}, and this request alone needs {asked}."),
            Why::Unreachable => {
                format!("The counters of the policy {policy} are shared through Redis, which does not answer.")
            }
        };
        let help = match self.why {
            Why::TooLarge => "Ask for less at once, or have the policy changed.".to_owned(),
            Why::Unreachable => "Try again in a few seconds.".to_owned(),
            _ => format!("Wait {} s, or have the policy changed.", self.retry_after.as_secs().max(1)),
        };
        let problem = Problem::new(self.status(), kind, title, detail)
            .with_help(help)
            .with("policy", &**policy)
            .with("counterKey", &*self.value)
            .with("measure", measure.as_str())
            .with("used", number(*measure, self.used))
            .with("reserved", number(*measure, self.reserved))
            .with("asked", number(*measure, self.asked))
            .with("limit", number(*measure, *most))
            .with("resetSeconds", self.reset.as_secs());
        match self.why {
            Why::TooLarge => problem,
            _ => problem.with_retry_after(self.retry_after.max(Duration::from_secs(1))),
        }
    }

    /// How things stand with the limit that refused.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let remaining = self.limit.most.saturating_sub(self.used).saturating_sub(self.reserved);
        let Limit { measure, most, .. } = *self.limit;
        Standing { measure, most, remaining, reset: self.reset }
    }
}

impl Standing {
    /// `x-ratelimit-limit-tokens`, `-remaining-tokens`, `-reset-tokens`, or `-requests`, as OpenAI names and writes them.
    /// Money has no such headers.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        const REQUESTS: [HeaderName; 3] = [
            HeaderName::from_static("x-ratelimit-limit-requests"),
            HeaderName::from_static("x-ratelimit-remaining-requests"),
            HeaderName::from_static("x-ratelimit-reset-requests"),
        ];
        const TOKENS: [HeaderName; 3] = [
            HeaderName::from_static("x-ratelimit-limit-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-tokens"),
            HeaderName::from_static("x-ratelimit-reset-tokens"),
        ];
        let names = match self.measure {
            Measure::Requests => REQUESTS,
            Measure::Cost => return,
            _ => TOKENS,
        };
        // All three lie in one piece of memory: every answer has them.
        let mut text = String::with_capacity(64);
        let mut digits = itoa::Buffer::new();
        text.push_str(digits.format(self.most));
        let most = text.len();
        text.push_str(digits.format(self.remaining));
        let remaining = text.len() - most;
        push_words(self.reset, &mut text);
        let mut text = Bytes::from(text);
        let values = [text.split_to(most), text.split_to(remaining), text];
        for (name, value) in names.into_iter().zip(values) {
            let value = HeaderValue::from_maybe_shared(value);
            headers.insert(name, value.expect("digits and letters are a header's value"));
        }
    }

    /// Adds it to `told`, where of those told in the same headers only the tightest stays; money is told in none.
    pub fn join(self, told: &mut Vec<Self>) {
        if self.measure == Measure::Cost {
            return;
        }
        let requests = self.measure == Measure::Requests;
        match told.iter_mut().find(|other| (other.measure == Measure::Requests) == requests) {
            Some(other) if self.is_tighter_than(other) => *other = self,
            Some(_) => {}
            None => told.push(self),
        }
    }

    /// Whether less is left than in the other, as a part of the whole.
    fn is_tighter_than(&self, other: &Self) -> bool {
        u128::from(self.remaining) * u128::from(other.most) < u128::from(other.remaining) * u128::from(self.most)
    }
}

/// `6m0s`, `59s`, `0s`.
fn push_words(time: Duration, text: &mut String) {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    for (amount, unit, is_told) in
        [(hours, 'h', hours > 0), (minutes, 'm', hours + minutes > 0), (seconds % 60, 's', true)]
    {
        if is_told {
            text.push_str(itoa::Buffer::new().format(amount));
            text.push(unit);
        }
    }
}

fn number(measure: Measure, amount: u64) -> serde_json::Value {
    match measure {
        Measure::Cost => (amount as f64 / 1e9).into(),
        _ => amount.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings::Period;

    fn refusal(measure: Measure, span: Span, why: Why) -> Refusal {
        Refusal {
            limit: Arc::new(Limit::new("p1", "per-key", measure, span, 1_000, false)),
            value: "bot".into(),
            why,
            used: 900,
            reserved: 50,
            asked: 200,
            retry_after: Duration::from_secs(17),
            reset: Duration::from_secs(61),
        }
    }

    #[test]
    fn the_status_tells_a_rate_from_a_quota() {
        for (measure, span, why, status, kind) in [
            (Measure::Tokens, Span::MINUTE, Why::Spent, 429, "limit-reached"),
            (Measure::Requests, Span::AtOnce, Why::InFlight, 429, "limit-reached"),
            (Measure::Tokens, Span::Fixed(Period::Day), Why::Spent, 403, "quota-reached"),
            (Measure::Cost, Span::Fixed(Period::Month), Why::Spent, 403, "budget-reached"),
            (Measure::Tokens, Span::MINUTE, Why::Unreachable, 503, "limits-unavailable"),
        ] {
            let problem = refusal(measure, span, why).problem();
            assert_eq!((problem.status.as_u16(), problem.kind), (status, kind));
        }
    }

    #[test]
    fn the_body_says_which_limit_and_how_things_stand() {
        let problem = refusal(Measure::Tokens, Span::MINUTE, Why::Spent).problem();

        assert_eq!(
            problem.detail,
            "The policy per-key allows 1000 tokens in a minute for bot: 900 are used and this request needs 200."
        );
        assert_eq!(problem.retry_after, Some(Duration::from_secs(17)));
        for (member, value) in [("used", 900), ("limit", 1_000), ("reserved", 50), ("resetSeconds", 61)] {
            assert_eq!(problem.extensions[member], value, "{member}");
        }
        assert_eq!(
            (&problem.extensions["policy"], &problem.extensions["counterKey"]),
            (&"per-key".into(), &"bot".into())
        );
    }

    #[test]
    fn headers_are_written_as_openai_writes_them() {
        let mut headers = HeaderMap::new();
        refusal(Measure::Tokens, Span::MINUTE, Why::Spent).standing().write_headers(&mut headers);

        assert_eq!(headers["x-ratelimit-limit-tokens"], "1000");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "50");
        assert_eq!(headers["x-ratelimit-reset-tokens"], "1m1s");
    }
}
