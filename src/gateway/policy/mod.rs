//! What traffic must satisfy: policies, each in a file of its own, and the order in which they are asked.
//!
//! Each policy of a route is asked once before the first attempt ([`Policy::admit`]) and told once after the last byte
//! ([`Policy::settle`]), also when the client has left. One that refuses ends the asking; those asked before it are told.

mod allowed;
mod answered;
mod cached;
mod content;
mod facts;
mod guard;
mod headers;
mod limited;
mod logged;
mod measured;
mod recorded;
mod said;
mod screen;

pub use facts::CallFacts;
pub use limited::{count_reply, grow};
pub use screen::Screen;

use super::cache::{Cache, Found, Question};
use super::exchange::{Exchange, HeaderChange, Settlement};
use super::limit::{Limits, QuotaSpent, Reservation, Shared, WhenAway};
use super::masking::Masker;
use super::settings::{Rule, RuleKind};
use super::snapshot::Route;
use super::telemetry::Telemetry;
use super::tokens::{Allowances, Corrections};
use super::usage::{BudgetNotices, Budgets, Ledger, LedgerSettings, Retention};
use super::witness::Verdict;
use crate::base::{Clock, Config, Database, Egress, Otlp, PolicyId, Problem};
use crate::embed::Embedder;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One policy of a route.
pub trait Policy: Send + Sync {
    /// Lets the exchange go on, answers it itself, or refuses it.
    ///
    /// # Errors
    /// The refusal: which rule, why, and what would help.
    fn admit(&self, exchange: &mut Exchange) -> impl Future<Output = Result<Admission, Box<Problem>>> + Send;

    /// Takes in what was used, and gives what is left to do where that takes waiting. Runs once for each exchange that was
    /// asked of, and for none twice.
    fn settle(&self, _exchange: &mut Exchange, _settlement: &Settlement) -> Option<Later> {
        None
    }
}

/// What a policy has yet to do when an exchange is settled.
pub type Later = BoxFuture<'static, ()>;

/// What a policy that does not refuse says.
pub enum Admission {
    Continue,
    /// The answer, without a backend: the cache's.
    Answer(Answer),
}

/// An answer that a policy gives itself; streams are replayed piece by piece.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub pieces: Vec<Bytes>,
}

/// The order in which policies are asked; each place with its reason.
pub const ORDER: &[RuleKind] = &[
    // The cheapest questions first: they need nothing but the head and the name of the model.
    RuleKind::IpFilter,
    RuleKind::ModelAllowList,
    RuleKind::SizeLimit,
    RuleKind::Headers,
    // Before anything is looked at closely: a storm of requests must not cost the looking.
    RuleKind::RequestRate,
    // What is refused or changed for its content is not counted, kept, or shown to anybody.
    RuleKind::Content,
    RuleKind::GuardHook,
    // A hit costs no tokens, so it is looked for before they are set aside; it sees the masked prompt.
    RuleKind::SemanticCache,
    // Set aside what is left to be used. Money last: it is computed from the tokens.
    RuleKind::TokenLimit,
    RuleKind::Budget,
    // They only look.
    RuleKind::TokenMetrics,
    RuleKind::PromptLog,
];

/// What policies of all routes share: counters, the cache, the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    pub clock: Clock,
    pub limits: Limits,
    pub allowances: Arc<Allowances>,
    pub corrections: Arc<Corrections>,
    pub cache: Cache,
    pub budgets: Budgets,
    /// None in a gateway that keeps no record.
    pub ledger: Option<Ledger>,
    /// None where nobody collects.
    pub telemetry: Option<Arc<Telemetry>>,
    pub egress: Egress,
    /// For hooks; none where the system has no list of authorities to trust.
    pub http: Option<reqwest::Client>,
}

impl Services {
    /// The services of a process, as its settings say; with them, the other end of their budgets.
    #[must_use]
    pub fn of(
        config: &Config,
        db: Database,
        clock: Clock,
        embedder: Embedder,
        egress: Egress,
    ) -> (Self, BudgetNotices) {
        let usage = &config.usage;
        let retention = Retention {
            records: usage.usage_records_kept,
            minutes: usage.usage_minutes_kept,
            hours: usage.usage_hours_kept,
            days: usage.usage_days_kept,
        };
        let settings = LedgerSettings {
            sync: usage.usage_sync,
            retention,
            label_values: usage.metric_label_values as usize,
            access_log: usage.access_log,
        };
        let ledger = Ledger::open(db, clock.clone(), &config.data_dir().join("gateway/usage"), settings);
        let (budgets, notices) = Budgets::new();
        let bytes = usize::try_from(usage.answer_cache_size.0).unwrap_or(usize::MAX);
        let mut services = Self::new(clock.clone(), embedder.clone(), bytes, budgets, Some(ledger), egress);
        if let Some(url) = &config.shared.redis_url {
            let when_away = match config.shared.redis_away.as_str() {
                "refuse" => WhenAway::Refuse,
                _ => WhenAway::Share,
            };
            match (Shared::new(url, when_away), Cache::shared(embedder, bytes, url)) {
                (Ok(limits), Ok(cache)) => {
                    services.limits = Limits::shared(clock, limits);
                    services.cache = cache;
                }
                // The address was looked at when the settings were read.
                (Err(error), _) | (_, Err(error)) => {
                    tracing::error!(error = %error, "Nothing is shared: the address of Redis cannot be read")
                }
            }
        }
        match Otlp::of(&config.export, &config.fetch) {
            Ok(otlp) => {
                let sampling = config.export.otlp_sampling.0;
                services.telemetry = otlp.map(|otlp| Arc::new(Telemetry::new(otlp, sampling)));
            }
            Err(error) => tracing::error!(error, "There will be no spans and metrics for the collector"),
        }
        (services, notices)
    }

    /// Services with a cache of so many bytes. What becomes of passed budgets is up to who holds the other end of `budgets`.
    #[must_use]
    pub fn new(
        clock: Clock,
        embedder: Embedder,
        cache_bytes: usize,
        budgets: Budgets,
        ledger: Option<Ledger>,
        egress: Egress,
    ) -> Self {
        let http = egress
            .client()
            .connect_timeout(Duration::from_secs(2))
            .build()
            .inspect_err(|error| tracing::warn!(error = %error, "There is no outgoing client: guards cannot be asked"))
            .ok();
        Self {
            limits: Limits::new(clock.clone()),
            allowances: Arc::default(),
            corrections: Arc::default(),
            cache: Cache::new(embedder, cache_bytes),
            clock,
            budgets,
            ledger,
            telemetry: None,
            egress,
            http,
        }
    }
}

impl Services {
    /// What counters and the cache need now and then, until `stop`; then what leases hold is given back.
    pub async fn run(self, stop: CancellationToken) {
        let limits = tokio::spawn(self.limits.clone().run(stop.clone()));
        while !stop.is_cancelled() {
            metrics::gauge!("wharfinger_limit_counters").set(self.limits.sweep() as f64);
            self.cache.sweep(self.clock.monotonic()).await;
            if let Some(cache) = self.cache.status(self.clock.monotonic()).await {
                metrics::gauge!("wharfinger_gateway_cache_bytes").set(cache.bytes as f64);
                metrics::gauge!("wharfinger_gateway_cache_answers").set(cache.answers as f64);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(30)) => {}
                () = stop.cancelled() => {}
            }
        }
        let _ = limits.await;
    }
}

impl Default for Services {
    /// For tests: the system's clock, no model, no record.
    fn default() -> Self {
        let (budgets, _) = Budgets::new();
        Self::new(Clock::system(), Embedder::absent("none is needed"), 16 << 20, budgets, None, Egress::default())
    }
}

/// What a policy holds for an exchange between its admission and its settling.
pub enum Held {
    /// What a limit reserved.
    Reservation { policy: PolicyId, value: Arc<str>, reservation: Reservation },
    /// What was charged to quotas; goes into the record.
    Quotas(Vec<QuotaSpent>),
    /// A question that the cache could not answer.
    Asked { policy: PolicyId, question: Box<Question> },
    /// An answer of the cache.
    Hit(Found),
    /// A request that the prompt log keeps, with its prompt, redacted, where that is kept too.
    Prompt { policy: PolicyId, prompt: Option<String> },
    /// What a policy adds to metrics and records.
    Dimensions(BTreeMap<String, String>),
}

/// A policy of any sort: one variant each, so that nothing is boxed on the way of a request.
pub enum Any {
    Addresses(allowed::Addresses),
    Models(allowed::Models),
    Sizes(allowed::Sizes),
    Headers(headers::Headers),
    Content(content::Content),
    Guard(guard::Guard),
    Cached(cached::Cached),
    Limited(limited::Limited),
    Measured(measured::Measured),
    Logged(logged::Logged),
}

impl Any {
    fn of(policy: &Arc<super::Policy>, services: &Services) -> Self {
        let (named, shared) = (policy.clone(), services.clone());
        match &policy.settings.rule {
            Rule::IpFilter(settings) => Self::Addresses(allowed::Addresses::new(named, settings)),
            Rule::ModelAllowList(settings) => {
                Self::Models(allowed::Models { policy: named, settings: settings.clone() })
            }
            Rule::SizeLimit(settings) => Self::Sizes(allowed::Sizes { policy: named, settings: *settings }),
            Rule::Headers(settings) => Self::Headers(headers::Headers { policy: named, settings: settings.clone() }),
            Rule::Content(settings) => Self::Content(content::Content::new(named, settings)),
            Rule::GuardHook(settings) => Self::Guard(guard::Guard::new(named, settings.clone(), shared)),
            Rule::SemanticCache(settings) => {
                Self::Cached(cached::Cached { policy: named, settings: settings.clone(), services: shared })
            }
            Rule::TokenLimit(settings) => Self::Limited(limited::Limited::by_tokens(policy, settings, services)),
            Rule::RequestRate(settings) => Self::Limited(limited::Limited::by_rate(policy, settings, services)),
            Rule::Budget(settings) => Self::Limited(limited::Limited::by_cost(policy, settings, services)),
            Rule::TokenMetrics(settings) => Self::Measured(measured::Measured { settings: settings.clone() }),
            Rule::PromptLog(settings) => {
                let (policy, masker) = (policy.id, Masker::all());
                Self::Logged(logged::Logged { policy, settings: *settings, services: shared, masker })
            }
        }
    }

    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        match self {
            Self::Addresses(policy) => policy.admit(exchange).await,
            Self::Models(policy) => policy.admit(exchange).await,
            Self::Sizes(policy) => policy.admit(exchange).await,
            Self::Headers(policy) => policy.admit(exchange).await,
            Self::Content(policy) => policy.admit(exchange).await,
            Self::Guard(policy) => policy.admit(exchange).await,
            Self::Cached(policy) => policy.admit(exchange).await,
            Self::Limited(policy) => policy.admit(exchange).await,
            Self::Measured(policy) => policy.admit(exchange).await,
            Self::Logged(policy) => policy.admit(exchange).await,
        }
    }

    fn settle(&self, exchange: &mut Exchange, settlement: &Settlement) -> Option<Later> {
        match self {
            Self::Addresses(policy) => policy.settle(exchange, settlement),
            Self::Models(policy) => policy.settle(exchange, settlement),
            Self::Sizes(policy) => policy.settle(exchange, settlement),
            Self::Headers(policy) => policy.settle(exchange, settlement),
            Self::Content(policy) => policy.settle(exchange, settlement),
            Self::Guard(policy) => policy.settle(exchange, settlement),
            Self::Cached(policy) => policy.settle(exchange, settlement),
            Self::Limited(policy) => policy.settle(exchange, settlement),
            Self::Measured(policy) => policy.settle(exchange, settlement),
            Self::Logged(policy) => policy.settle(exchange, settlement),
        }
    }
}

/// The policies of one route, in their order.
pub struct Chain {
    policies: Vec<Acting>,
    services: Services,
}

/// A policy with what it is made of.
struct Acting {
    policy: Arc<super::Policy>,
    any: Any,
}

impl Chain {
    /// The policies that reach this route, as [`ORDER`] says; equal kinds as they are written.
    #[must_use]
    pub fn of(route: &Route, services: &Services) -> Self {
        let mut chosen: Vec<_> = route.policies.iter().collect();
        let place = |kind: RuleKind| ORDER.iter().position(|one| *one == kind).unwrap_or(ORDER.len());
        chosen.sort_by_key(|policy| place(policy.settings.rule.kind()));
        let acting = |policy: &Arc<super::Policy>| Acting { policy: policy.clone(), any: Any::of(policy, services) };
        Self { policies: chosen.into_iter().map(acting).collect(), services: services.clone() }
    }

    /// Asks each policy that applies; stops at the first that answers or refuses.
    ///
    /// # Errors
    /// The refusal. Whatever the outcome, the exchange is settled by [`Chain::settle`].
    pub async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        for Acting { policy, any } in self.policies.iter() {
            let held = exchange.held.len();
            if !CallFacts::of(exchange).meets(&policy.settings.when) {
                exchange.note(policy, Verdict::NotMeant, held);
                continue;
            }
            match any.admit(exchange).await {
                Ok(Admission::Continue) => {
                    let is_shadowed =
                        policy.settings.shadow && exchange.refused_by.as_deref() == Some(policy.name.as_str());
                    exchange.note(policy, if is_shadowed { Verdict::WouldRefuse } else { Verdict::LetThrough }, held);
                }
                Ok(_) if policy.settings.shadow => {
                    shadowed(exchange, &policy.name);
                    exchange.note(policy, Verdict::WouldRefuse, held);
                }
                Ok(answer) => {
                    exchange.note(policy, Verdict::Answered, held);
                    return Ok(answer);
                }
                Err(_) if policy.settings.shadow => {
                    shadowed(exchange, &policy.name);
                    exchange.note(policy, Verdict::WouldRefuse, held);
                }
                Err(problem) => {
                    exchange.refused_by = Some(policy.name.as_str().into());
                    exchange.note(policy, Verdict::Refused, held);
                    return Err(problem);
                }
            }
        }
        Ok(Admission::Continue)
    }

    /// Tells each policy what was used, last asked first, and writes the record. Gives what is left to do.
    #[must_use = "what is left to do is done by who asked"]
    pub fn settle(&self, mut exchange: Box<Exchange>, settlement: &Settlement) -> Vec<Later> {
        let policies = self.policies.iter().rev();
        let left = policies.filter_map(|Acting { any, .. }| any.settle(&mut exchange, settlement)).collect();
        recorded::record(&mut exchange, settlement, &self.services);
        left
    }
}

/// Takes note that a policy in shadow would have refused, changed or answered.
fn shadowed(exchange: &mut Exchange, policy: &str) {
    const SHADOW: HeaderName = HeaderName::from_static("x-wharfinger-shadow");
    exchange.refused_by = Some(policy.into());
    if let Ok(value) = HeaderValue::try_from(policy) {
        exchange.answer_headers.push(HeaderChange::Set(SHADOW, value));
    }
}
