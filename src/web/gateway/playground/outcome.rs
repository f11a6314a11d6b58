//! What became of a prompt, as people read it: the policies one by one, the backends that were tried, tokens, cost and
//! times; or why there is no answer, and when to try again.

use crate::base::Problem;
use crate::gateway::exchange::{Attempt, AttemptResult};
use crate::gateway::limit::Span;
use crate::gateway::usage::{CacheUse, Source, UsageRecord};
use crate::gateway::witness::{Counter, Step, Told, Verdict};
use crate::web::gateway::limits::{counter_words, says};
use crate::web::words;
use askama::Template;

/// What is shown below an answer, or in its place.
#[derive(Template)]
#[template(path = "gateway/outcome.html")]
pub(super) struct Outcome {
    trouble: Option<Trouble>,
    /// Name and value, in the order in which they are read.
    facts: Vec<(&'static str, String)>,
    policies: Vec<Acted>,
    tries: Vec<Try>,
    request_id: String,
}

/// Why there is no answer, or no whole one.
struct Trouble {
    title: String,
    detail: String,
    help: String,
    /// The policy, where one refused.
    policy: String,
}

/// A policy and what it did.
struct Acted {
    name: String,
    what: String,
    class: &'static str,
    did: &'static str,
    counters: Vec<String>,
}

/// A backend that was asked.
struct Try {
    backend: String,
    class: &'static str,
    result: String,
    took: String,
}

impl Outcome {
    /// Of a request that was settled; `error` is what a stream said before it broke off.
    pub fn of(told: &Told, problem: Option<&Problem>, error: Option<&str>, request_id: &str) -> Self {
        let broken = error.map(|words| Trouble {
            title: "The answer broke off".to_owned(),
            detail: words.to_owned(),
            help: "What came before is shown. It counts as used.".to_owned(),
            policy: String::new(),
        });
        let policies: Vec<_> = told.steps.iter().map(acted).collect();
        Self {
            trouble: problem.map(trouble).or(broken),
            facts: facts(told),
            policies,
            tries: told.attempts.iter().map(tried).collect(),
            request_id: request_id.to_owned(),
        }
    }

    /// Of a request that reached no route.
    pub fn refused(problem: &Problem, request_id: &str) -> Self {
        let (facts, policies, tries) = Default::default();
        Self { trouble: Some(trouble(problem)), facts, policies, tries, request_id: request_id.to_owned() }
    }
}

fn trouble(problem: &Problem) -> Trouble {
    let policy = problem.extensions.get("policy").and_then(|policy| policy.as_str()).unwrap_or_default().to_owned();
    let help = match (problem.kind, problem.retry_after) {
        ("model-unknown", _) => "Choose another model, or ask for access on the page of its asset.".to_owned(),
        (_, Some(wait)) => format!("Try again in {}.", words::duration(wait)),
        // What helps a program is of no use here.
        _ => problem.help.clone().filter(|help| !help.contains("Retry-After")).unwrap_or_default(),
    };
    Trouble { title: problem.title.to_owned(), detail: problem.detail.clone(), help, policy }
}

fn acted(step: &Step) -> Acted {
    let (class, did) = match step.verdict {
        Verdict::LetThrough => ("ok", "let it through"),
        Verdict::NotMeant => ("", "not meant for this request"),
        Verdict::Answered => ("ok", "answered it"),
        Verdict::Refused => ("bad", "refused it"),
        Verdict::WouldRefuse => ("warn", "would have refused it"),
    };
    Acted {
        name: step.policy.name.clone(),
        what: says(&step.policy.settings.rule),
        class,
        did,
        counters: step.counters.iter().map(counted).collect(),
    }
}

/// `1,234 of 20,000 tokens in a minute used by anna`.
fn counted(counter: &Counter) -> String {
    let whose = if counter.value.is_empty() { String::new() } else { format!(" by {}", counter.value) };
    let verb = if counter.limit.span == Span::AtOnce { "under way" } else { "used" };
    format!("{} {verb}{whose}", counter_words(&counter.limit, counter.used))
}

fn tried(attempt: &Attempt) -> Try {
    let is_good = matches!(&attempt.result, AttemptResult::Answered(status) if status.is_success());
    let result = match &attempt.result {
        AttemptResult::Answered(status) if status.is_success() => "answered".to_owned(),
        AttemptResult::Answered(status) => format!("said {status}"),
        other => other.words(),
    };
    let class = if is_good { "ok" } else { "bad" };
    Try { backend: attempt.backend.name.clone(), class, result, took: words::duration(attempt.took) }
}

fn facts(told: &Told) -> Vec<(&'static str, String)> {
    let record = &told.record;
    let mut facts = Vec::new();
    if record.first_token_ms.is_some() || record.latency_ms > 0 {
        facts.push(("Whole answer after", ms(record.latency_ms)));
    }
    if let Some(first) = record.first_token_ms {
        facts.push(("First token after", ms(first)));
    }
    match record.cache {
        CacheUse::None => {
            facts.push(("Tokens", tokens(record)));
            facts.push(("Cost", words::money(i64::try_from(record.cost).unwrap_or(i64::MAX))));
        }
        kind => {
            let (similarity, age) = told.hit.unwrap_or_default();
            let how = if kind == CacheUse::Exact { "the same question" } else { "a question of like meaning" };
            facts.push(("From the cache", format!("{how}, similarity {similarity:.3}, {} old", words::duration(age))));
            let cost = words::money(i64::try_from(record.saved_cost).unwrap_or(i64::MAX));
            facts.push(("Saved", format!("{} tokens, {cost}", words::number(record.saved))));
        }
    }
    if !record.backend.is_empty() {
        facts.push(("Backend", record.backend.clone()));
    }
    if !record.vendor_model.is_empty() && record.vendor_model != record.model {
        facts.push(("There called", record.vendor_model.clone()));
    }
    facts.push(("Route", record.route.clone()));
    facts
}

/// `11 of prompt (3 cached), 52 of answer (20 reasoning), as the vendor reported`.
fn tokens(record: &UsageRecord) -> String {
    let tokens = &record.tokens;
    let parts = |of: &[(u64, &str)]| {
        let parts: Vec<_> =
            of.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", words::number(n))).collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    };
    let source = match record.source {
        Source::Reported => ", as the vendor reported",
        Source::Counted => ", counted here",
        Source::Estimated => ", estimated",
        Source::None => return "none".to_owned(),
    };
    format!(
        "{} of prompt{}, {} of answer{}{source}",
        words::number(tokens.input),
        parts(&[
            (tokens.cached_input, "cached"),
            (tokens.cache_write, "written to the cache"),
            (tokens.input_audio, "audio"),
            (tokens.input_image, "images"),
        ]),
        words::number(tokens.output),
        parts(&[(tokens.reasoning, "reasoning"), (tokens.output_audio, "audio")]),
    )
}

fn ms(ms: u64) -> String {
    words::seconds(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::limit::{CounterKey, Limit, Measure};
    use crate::gateway::settings::Period;
    use http::StatusCode;
    use std::time::Duration;

    #[test]
    fn a_counter_is_told_with_its_unit_and_whose_it_is() {
        let counter = |measure, span, most, used| {
            let limit = Limit::new("p", "per-key", measure, span, most, false);
            counted(&Counter { limit, value: "anna".into(), key: CounterKey(0), used })
        };

        assert_eq!(
            counter(Measure::Tokens, Span::MINUTE, 20_000, 1_234),
            "1,234 of 20,000 tokens in a minute used by anna"
        );
        assert_eq!(
            counter(Measure::Cost, Span::Fixed(Period::Month), 1_000_000_000_000, 800_400_000_000),
            "800.40 of 1,000.00 in a month used by anna"
        );
        assert_eq!(counter(Measure::Requests, Span::AtOnce, 4, 1), "1 of 4 requests at once under way by anna");
    }

    #[test]
    fn a_refusal_says_when_to_try_again_and_which_policy_it_was() {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit-reached", "Limit reached", "Too much.")
            .with_help("Try again after the time in Retry-After.")
            .with("policy", "per-key")
            .with_retry_after(Duration::from_secs(17));

        let told = trouble(&problem);

        assert_eq!((told.policy.as_str(), told.help.as_str()), ("per-key", "Try again in 17 s."));
        assert_eq!(trouble(&problem.with_retry_after(Duration::from_secs(3 * 86_400))).help, "Try again in 3 days.");
    }
}
