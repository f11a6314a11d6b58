//! Token limits, request rates and budgets: what a request is going to use is reserved before, and settled after.

use super::facts::CallFacts;
use super::{Admission, Held, Later, Policy, Services};
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::{Asked, Ending, Exchange, Settlement};
use crate::gateway::limit::{Ask, Expected, Limit, Measure, Span, Spent, rendered};
use crate::gateway::settings::{Budget, KeyTemplate, Money, PriceSettings, RequestRate, TokenLimit};
use crate::gateway::tokens::{Estimate, count_text, estimate_aside};
use crate::gateway::usage::{Tokens, cost};
use crate::wire::call::Call;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for reservations of others to end, where the policy does not say.
const PATIENCE: Duration = Duration::from_millis(300);
/// The reply that is expected of a caller of whom nothing was learned, where the policy does not say.
const UNKNOWN_REPLY: u64 = 512;

/// The limits of one policy.
pub struct Limited {
    policy: Arc<Settings>,
    services: Services,
    template: KeyTemplate,
    limits: Vec<Arc<Limit>>,
    patience: Duration,
    unknown_reply: u64,
    budget: Option<Told>,
}

/// The amounts of a budget at which somebody is told, and where.
struct Told {
    soft: Option<Arc<Limit>>,
    hard: Option<Arc<Limit>>,
    webhook: Option<String>,
}

impl Limited {
    pub(super) fn by_tokens(policy: &Arc<Settings>, settings: &TokenLimit, services: &Services) -> Self {
        let minute = [
            (Measure::Tokens, settings.tokens_per_minute),
            (Measure::Input, settings.input_tokens_per_minute),
            (Measure::Output, settings.output_tokens_per_minute),
            (Measure::Requests, settings.requests_per_minute),
        ];
        let at_once = settings.concurrent_requests.map(u64::from);
        let mut all: Vec<(Measure, Span, Option<u64>)> =
            minute.into_iter().map(|(measure, most)| (measure, Span::MINUTE, most)).collect();
        all.push((Measure::Requests, Span::AtOnce, at_once));
        for quota in &settings.quotas {
            let span = Span::Fixed(quota.period);
            all.push((Measure::Tokens, span, quota.tokens));
            all.push((Measure::Input, span, quota.input_tokens));
            all.push((Measure::Output, span, quota.output_tokens));
            all.push((Measure::Requests, span, quota.requests));
        }
        let limits = all.into_iter().filter_map(|(measure, span, most)| Some(limit(policy, measure, span, most?)));
        Self {
            limits: limits.collect(),
            patience: settings.queue.map_or(PATIENCE, Duration::from),
            unknown_reply: settings.reply_allowance.unwrap_or(UNKNOWN_REPLY),
            ..Self::of(policy, &settings.counter_key, services)
        }
    }

    pub(super) fn by_rate(policy: &Arc<Settings>, settings: &RequestRate, services: &Services) -> Self {
        let window = u32::try_from(Duration::from(settings.per).as_millis()).unwrap_or(u32::MAX);
        let limits = vec![limit(policy, Measure::Requests, Span::Sliding(window), settings.requests)];
        Self { limits, ..Self::of(policy, &settings.counter_key, services) }
    }

    pub(super) fn by_cost(policy: &Arc<Settings>, settings: &Budget, services: &Services) -> Self {
        let span = Span::Fixed(settings.period);
        let in_nanos = |money: Money| money.micros.saturating_mul(1_000);
        let at = |money: Option<Money>| money.map(|money| limit(policy, Measure::Cost, span, in_nanos(money)));
        let (soft, hard) = (at(settings.soft), at(settings.hard));
        // A budget without a hard end counts all the same: somebody wants to be told, and to see it.
        let counted = hard.clone().unwrap_or_else(|| {
            let most = soft.as_ref().map_or(u64::MAX, |soft| soft.most);
            Arc::new(Limit { shadow: true, ..(*limit(policy, Measure::Cost, span, most)).clone() })
        });
        let budget = Some(Told { soft, hard, webhook: settings.webhook.clone() });
        Self { limits: vec![counted], budget, ..Self::of(policy, &settings.counter_key, services) }
    }

    fn of(policy: &Arc<Settings>, template: &KeyTemplate, services: &Services) -> Self {
        let by_key = || "{key}".parse().expect("a template that is known");
        let template = if template.as_str().is_empty() { by_key() } else { template.clone() };
        let (policy, services) = (policy.clone(), services.clone());
        Self {
            policy,
            services,
            template,
            limits: Vec::new(),
            patience: Duration::ZERO,
            unknown_reply: UNKNOWN_REPLY,
            budget: None,
        }
    }

    fn needs_tokens(&self) -> bool {
        self.limits.iter().any(|limit| limit.measure != Measure::Requests)
    }

    /// What the request is expected to use.
    async fn expected(&self, exchange: &mut Exchange) -> Expected {
        if !self.needs_tokens() || exchange.call().is_none() {
            return Expected::default();
        }
        let estimate = counted(exchange).await;
        let Some(call) = exchange.call() else { return Expected::default() };
        let backends = exchange.route.pool.members.iter().map(|member| &member.backend);
        let serving = backends.filter(|backend| backend.settings.vendor_model(&call.model).is_some());
        let input = self.services.corrections.expect(serving.map(|backend| backend.id), &call.model, estimate.input);
        let caller = CallFacts::of(exchange).caller_id();
        let each = self.services.allowances.expect(caller, &call.model, estimate.ceiling, self.unknown_reply);
        let output = each.saturating_mul(estimate.replies);
        let price = dearest(exchange, call);
        let (input_cost, output_cost) = match self.limits.iter().any(|limit| limit.measure == Measure::Cost) {
            true => (
                cost(price.as_ref(), &Tokens { input, ..Tokens::default() }),
                // The price of a request itself is in the first already.
                cost(
                    price.map(|price| PriceSettings { request: None, ..price }).as_ref(),
                    &Tokens { output, ..Tokens::default() },
                ),
            ),
            false => (0, 0),
        };
        Expected { input, output, input_cost, output_cost }
    }
}

impl Policy for Limited {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        let expected = self.expected(exchange).await;
        let facts = CallFacts::of(exchange);
        let (value, whose): (Arc<str>, _) = (rendered(&self.template, &facts).into(), facts.whose(&self.template));
        // Looking at what was answered, and cancelling it, uses no tokens: whoever has none left may do so.
        let counts =
            |limit: &&Arc<Limit>| limit.measure == Measure::Requests || !matches!(exchange.asked, Asked::Stored(_));
        let limits = self.limits.iter().filter(counts);
        let asks: Vec<Ask> = limits.map(|limit| Ask { limit: limit.clone(), value: value.clone(), whose }).collect();

        let reserved = self.services.limits.reserve(expected, asks, self.patience).await;
        match reserved {
            Ok(mut reservation) => {
                for standing in std::mem::take(&mut reservation.standings) {
                    standing.join(&mut exchange.standings);
                }
                if !reservation.shadowed.is_empty() && self.policy.settings.shadow {
                    super::shadowed(exchange, &self.policy.name);
                }
                exchange.held.push(Held::Reservation { policy: self.policy.id, value, reservation });
                Ok(Admission::Continue)
            }
            Err(refusal) => {
                refusal.standing().join(&mut exchange.standings);
                Err(Box::new(refusal.problem()))
            }
        }
    }

    fn settle(&self, exchange: &mut Exchange, settlement: &Settlement) -> Option<Later> {
        let mine = |held: &Held| matches!(held, Held::Reservation { policy, .. } if *policy == self.policy.id);
        while let Some(at) = exchange.held.iter().position(mine) {
            let Held::Reservation { value, reservation, .. } = exchange.held.swap_remove(at) else { continue };
            let quotas = reservation.settle(spent(exchange, settlement));
            if let (Some(budget), Some(quota)) = (&self.budget, quotas.first()) {
                let used = self.services.limits.used(quota.key);
                let levels = [("soft", budget.soft.as_ref()), ("hard", budget.hard.as_ref())];
                let workspace = CallFacts::of(exchange).workspace_id();
                self.services.budgets.charged(levels, quota, (&value, used), workspace, budget.webhook.as_deref());
            }
            exchange.held.push(Held::Quotas(quotas));
        }
        None
    }
}

fn limit(policy: &Settings, measure: Measure, span: Span, most: u64) -> Arc<Limit> {
    Arc::new(Limit::new(&policy.id.to_string(), &policy.name, measure, span, most, policy.settings.shadow))
}

/// The prompt's tokens, counted once for all policies of a request.
pub(super) async fn counted(exchange: &mut Exchange) -> Estimate {
    let Asked::Model(call) = &exchange.asked else { return Estimate::default() };
    if let Some(input) = exchange.prompt_tokens {
        return Estimate { input, exact: true, ..Estimate::of_reply(call) };
    }
    let estimate = estimate_aside(call, vendor_model(exchange, call), &exchange.body).await;
    exchange.prompt_tokens = Some(estimate.input);
    estimate
}

/// What the first backend of the pool that serves the model calls it.
fn vendor_model<'a>(exchange: &'a Exchange, call: &'a Call) -> &'a str {
    let members = exchange.route.pool.members.iter();
    members.filter_map(|member| member.backend.settings.vendor_model(&call.model)).next().unwrap_or(&call.model)
}

/// The price that is expected: the dearest of the pool, so that a budget is not passed by the choice of a backend.
fn dearest(exchange: &Exchange, call: &Call) -> Option<PriceSettings> {
    let prices = exchange.route.pool.members.iter();
    let prices = prices.filter_map(|member| exchange.snapshot.price(&member.backend, &call.model));
    prices.max_by_key(|price| price.output.micros.saturating_add(price.input.micros)).copied()
}

/// What an exchange used, in the units of limits.
pub(super) fn spent(exchange: &Exchange, settlement: &Settlement) -> Spent {
    // A request that we refused or answered ourselves, or that no backend got, counts for nothing.
    let is_ours = exchange.reply.backend.is_none()
        && matches!(settlement.ending, Ending::Refused | Ending::Answered | Ending::Failed);
    Spent {
        input: settlement.usage.input,
        output: settlement.usage.output,
        cost: charged(exchange, settlement),
        nothing: is_ours,
    }
}

/// What an exchange costs, in thousand-millionths.
pub(super) fn charged(exchange: &Exchange, settlement: &Settlement) -> u64 {
    let Some(backend) = exchange.backend() else { return 0 };
    let mut price = exchange.snapshot.price(backend, exchange.model());
    // What a request costs by itself is not paid again for looking at what it was answered.
    let without_request;
    if let (Asked::Stored(_), Some(whole)) = (&exchange.asked, price) {
        without_request = PriceSettings { request: None, ..*whole };
        price = Some(&without_request);
    }
    let refused_there = exchange.reply.status.is_some_and(|status| !status.is_success());
    if refused_there && settlement.usage == crate::wire::usage::Usage::default() {
        return 0;
    }
    cost(price, &settlement.usage.into())
}

/// Reserves more when a reply grows beyond what was expected; to be called now and then while a stream is passed on.
pub fn grow(exchange: &mut Exchange) {
    let output = exchange.reply.counted_output;
    for held in &mut exchange.held {
        if let Held::Reservation { reservation, .. } = held {
            reservation.grow(output);
        }
    }
}

/// The tokens of a piece of a reply, as the vendor would count them.
#[must_use]
pub fn count_reply(exchange: &Exchange, text: &str) -> u64 {
    let model = exchange.call().map_or("", |call| vendor_model(exchange, call));
    count_text(if exchange.reply.vendor_model.is_empty() { model } else { &exchange.reply.vendor_model }, text)
}
