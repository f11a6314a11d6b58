//! What policies do to a request, from its admission to its record, without a backend: the exchange is settled by hand
//! with what a vendor would have reported.

use crate::support::TestApp;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use wharfinger::auth::{Actor, Grant, Identity, Role, Scope};
use wharfinger::base::{KeyId, Problem};
use wharfinger::gateway::exchange::{Asked, Ending, Exchange, Reply, Settlement, UsageSource};
use wharfinger::gateway::policy::{Admission, Chain, Services};
use wharfinger::gateway::settings::{
    BackendSettings, Budget, Callers, Content, Mask, MaskKind, Member, ModelAllowList, Money, Period, PolicySettings,
    PoolSettings, PriceSettings, PromptLog, Provider, Quota, RouteSettings, Rule, SemanticCache, Serves, SizeLimit,
    TokenLimit,
};
use wharfinger::gateway::usage::{By, Question};
use wharfinger::gateway::{Parts, Snapshot};
use wharfinger::wire::call::{Call, Dialect};
use wharfinger::wire::usage::Usage;

/// A gateway with one route, under these policies.
struct World {
    app: TestApp,
    snapshot: Arc<Snapshot>,
    chain: Chain,
}

impl World {
    async fn with(policies: Vec<PolicySettings>) -> Self {
        let app = TestApp::start().await;
        let mut parts = Parts::default()
            .with_backend("eu", BackendSettings::new(Provider::Openai, "https://eu.example.com/v1"))
            .with_pool("chat", PoolSettings { members: vec![Member::new("eu")], ..PoolSettings::default() })
            .with_price(
                "gpt-4o",
                PriceSettings {
                    input: Money::micros(2_500_000),
                    output: Money::micros(10_000_000),
                    ..PriceSettings::default()
                },
            );
        let mut names = Vec::new();
        for (number, policy) in policies.into_iter().enumerate() {
            names.push(format!("policy-{number}"));
            parts = parts.with_policy(&format!("policy-{number}"), policy);
        }
        let route = RouteSettings {
            title: String::new(),
            serves: Serves::Models(vec!["gpt-4o".to_owned()]),
            pool: "chat".to_owned(),
            asset: None,
            dialects: Vec::new(),
            policies: names,
            callers: Callers::Everyone,
            disabled: false,
        };
        let (snapshot, wrong) = Snapshot::from_parts(parts.with_route("chat", route));
        assert!(wrong.is_empty(), "{wrong:?}");
        let snapshot = Arc::new(snapshot);
        let chain = Chain::of(snapshot.routes().next().unwrap(), &app.handles.services);
        Self { app, snapshot, chain }
    }

    fn services(&self) -> &Services {
        &self.app.handles.services
    }

    fn ask(&self, who: &str, body: &Value) -> Box<Exchange> {
        let body = Bytes::from(body.to_string());
        let identity = Identity::Key { id: KeyId::new(), name: who.into() };
        Box::new(Exchange {
            id: uuid::Uuid::now_v7().simple().to_string().into(),
            begun: Instant::now(),
            at: self.app.clock.now(),
            caller: Arc::new(Actor::of(identity, vec![Grant::new(Role::Consumer, Scope::Instance)])),
            ip: [10, 0, 0, 7].into(),
            headers: HeaderMap::new(),
            snapshot: self.snapshot.clone(),
            route: self.snapshot.routes().next().unwrap().clone(),
            asked: Asked::Model(Call::read(Dialect::Chat, &body, None).unwrap()),
            body,
            prompt_tokens: None,
            upstream_headers: Vec::new(),
            standings: Vec::new(),
            answer_headers: Vec::new(),
            filters: Vec::new(),
            trace: None,
            keep_reply: 0,
            attempts: Vec::new(),
            reply: Reply::default(),
            held: Vec::new(),
            refused_by: None,
            witness: None,
        })
    }

    async fn admitted(&self, exchange: &mut Exchange) -> Result<(), Box<Problem>> {
        match self.chain.admit(exchange).await? {
            Admission::Continue => Ok(()),
            Admission::Answer(_) => panic!("nothing is kept yet"),
        }
    }

    /// The backend answers, and the vendor reports so much.
    async fn served(&self, mut exchange: Box<Exchange>, output: u64) {
        exchange.reply.backend = Some(exchange.route.pool.members[0].backend.clone());
        exchange.reply.status = Some(StatusCode::OK);
        exchange.reply.is_complete = true;
        if exchange.keep_reply > 0 {
            exchange.reply.kept =
                vec![Bytes::from_static(b"{\"choices\":[{\"message\":{\"content\":\"It is there.\"}}]}")];
        }
        let usage = Usage { input: exchange.prompt_tokens.unwrap_or(0), output, ..Usage::default() };
        self.ended(
            exchange,
            Settlement {
                usage,
                source: UsageSource::Reported,
                ending: Ending::Served,
                took: Duration::from_millis(200),
            },
        )
        .await;
    }

    async fn ended(&self, exchange: Box<Exchange>, settlement: Settlement) {
        self.chain.settle(exchange, settlement).await;
    }

    async fn refused(&self, exchange: Box<Exchange>) {
        let settlement = Settlement {
            usage: Usage::default(),
            source: UsageSource::Nothing,
            ending: Ending::Refused,
            took: Duration::ZERO,
        };
        self.ended(exchange, settlement).await;
    }

    async fn recorded(&self) -> wharfinger::gateway::usage::Report {
        let stop = CancellationToken::new();
        stop.cancel();
        self.app.handles.ledger.clone().run(stop).await;
        let question = Question {
            from: datetime!(2026-03-01 0:00 UTC),
            to: datetime!(2026-03-02 0:00 UTC),
            by: By::Key,
            step: "hour",
            workspace: None,
            key: None,
            model: None,
            asset: None,
            route: None,
            lines: 10,
        };
        self.app.handles.ledger.report(&Actor::system("test"), &question).await.unwrap()
    }
}

fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "user", "content": text}]})
}

/// What the client is told in the head of its answer.
fn header(exchange: &Exchange, name: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    exchange.tell(&mut headers);
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn token_limit(limit: TokenLimit) -> PolicySettings {
    PolicySettings::new(Rule::TokenLimit(limit))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_64_clients_the_limit_is_neither_passed_nor_left_unused() {
    let limit = TokenLimit { tokens_per_minute: Some(10_000), ..TokenLimit::default() };
    let world = Arc::new(World::with(vec![token_limit(limit)]).await);
    // 24 tokens of prompt; half of the replies end early, as if the client had hung up.
    let body = chat("count for me: one two three four five six seven eight nine");

    let clients = (0..64_u64).map(|client| {
        let (world, body) = (world.clone(), body.clone());
        tokio::spawn(async move {
            let mut used = 0;
            for n in 0..5_u64 {
                let mut exchange = world.ask("bot", &body);
                if world.admitted(&mut exchange).await.is_err() {
                    world.refused(exchange).await;
                    continue;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                let output = if (client + n) % 2 == 0 { 200 } else { 20 + (client * 7 + n) % 150 };
                used += exchange.prompt_tokens.unwrap() + output;
                world.served(exchange, output).await;
            }
            used
        })
    });
    let used: u64 = futures::future::join_all(clients).await.into_iter().map(Result::unwrap).sum();

    let report = world.recorded().await;
    println!("{used} of 10,000 tokens used, {} of 320 requests refused", report.total.refused);
    assert!(used <= 10_000, "{used}");
    assert!(used >= 9_000, "{used}");
    assert_eq!(report.total.tokens(), i64::try_from(used).unwrap(), "the ledger has what was used");
}

#[tokio::test]
async fn a_refusal_says_why_and_what_would_help() {
    let limit = TokenLimit { tokens_per_minute: Some(300), ..TokenLimit::default() };
    let world = World::with(vec![token_limit(limit)]).await;
    let mut first = world.ask("bot", &chat("hello"));
    world.admitted(&mut first).await.unwrap();
    assert_eq!(header(&first, "x-ratelimit-limit-tokens").as_deref(), Some("300"));
    world.served(first, 200).await;

    let mut second = world.ask("bot", &chat("hello"));
    let problem = world.admitted(&mut second).await.unwrap_err();

    assert_eq!((problem.status.as_u16(), problem.kind), (429, "limit-reached"));
    assert!(problem.retry_after.is_some_and(|wait| wait <= Duration::from_secs(61)));
    assert_eq!((&problem.extensions["policy"], &problem.extensions["counterKey"]), (&"policy-0".into(), &"bot".into()));
    assert_eq!(header(&second, "x-ratelimit-remaining-tokens").as_deref(), Some("92"));
    let mut other = world.ask("other", &chat("hello"));
    world.admitted(&mut other).await.expect("another key has a counter of its own");
    world.refused(other).await;
    world.refused(second).await;
    assert_eq!(world.recorded().await.total.refused, 2);
}

#[tokio::test]
async fn a_quota_refuses_with_403_and_a_budget_counts_money() {
    let quota =
        Quota { period: Period::Day, tokens: Some(250), input_tokens: None, output_tokens: None, requests: None };
    let quota = TokenLimit { quotas: vec![quota], ..TokenLimit::default() };
    let world = World::with(vec![token_limit(quota)]).await;
    let mut first = world.ask("bot", &chat("hello"));
    world.admitted(&mut first).await.unwrap();
    world.served(first, 240).await;
    let mut second = world.ask("bot", &chat("hello"));
    assert_eq!(world.admitted(&mut second).await.unwrap_err().kind, "quota-reached");
    world.refused(second).await;

    let budget = Budget {
        counter_key: "{key}".parse().unwrap(),
        period: Period::Month,
        soft: Some(Money::micros(1_000)),
        hard: Some(Money::micros(4_000)),
        webhook: None,
    };
    let world = World::with(vec![PolicySettings::new(Rule::Budget(budget))]).await;
    let mut first = world.ask("bot", &chat("hello"));
    world.admitted(&mut first).await.unwrap();
    world.served(first, 300).await;
    let mut second = world.ask("bot", &chat("hello"));
    let problem = world.admitted(&mut second).await.unwrap_err();
    assert_eq!((problem.status.as_u16(), problem.kind), (403, "budget-reached"));
    world.refused(second).await;
    assert_eq!(world.recorded().await.total.cost, 8 * 2_500 + 300 * 10_000);
}

#[tokio::test]
async fn a_passed_budget_is_told_when_the_database_takes_it_again() {
    let budget = Budget {
        counter_key: "{key}".parse().unwrap(),
        period: Period::Month,
        soft: Some(Money::micros(1_000)),
        hard: None,
        webhook: None,
    };
    let world = World::with(vec![PolicySettings::new(Rule::Budget(budget))]).await;
    let handles = &world.app.handles;
    let notices = handles.budget_notices.lock().unwrap().take().unwrap();
    let rename = async |from: &str, to: &str| {
        let statement = format!("alter table {from} rename to {to}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&handles.db.write).await.unwrap();
    };
    rename("budget_notice", "away").await;
    let mut exchange = world.ask("bot", &chat("hello"));
    world.admitted(&mut exchange).await.unwrap();
    world.served(exchange, 300).await;

    let stop = CancellationToken::new();
    let (db, clock, egress) = (handles.db.clone(), world.app.clock.clone(), world.services().egress.clone());
    let running = tokio::spawn(notices.run(db, clock, egress, stop.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    rename("away", "budget_notice").await;

    let passed = async || handles.ledger.passed_budgets(&Actor::system("test")).await.unwrap();
    for _ in 0..100 {
        if !passed().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    running.await.unwrap();
    let passed = passed().await;
    assert_eq!(passed.iter().map(|one| (&*one.value, &*one.level)).collect::<Vec<_>>(), [("bot", "soft")]);
}

#[tokio::test]
async fn shadow_reports_and_refuses_nothing() {
    let allow = ModelAllowList { models: vec!["another".to_owned()] };
    let policy = PolicySettings { shadow: true, ..PolicySettings::new(Rule::ModelAllowList(allow.clone())) };
    let world = World::with(vec![policy]).await;
    let mut exchange = world.ask("bot", &chat("hello"));
    world.admitted(&mut exchange).await.unwrap();
    assert_eq!(header(&exchange, "x-wharfinger-shadow").as_deref(), Some("policy-0"));

    let world = World::with(vec![PolicySettings::new(Rule::ModelAllowList(allow))]).await;
    let mut exchange = world.ask("bot", &chat("hello"));
    assert_eq!(world.admitted(&mut exchange).await.unwrap_err().kind, "model-not-allowed");
}

#[tokio::test]
async fn an_answer_is_given_again_to_the_same_caller_alone() {
    let world = World::with(vec![PolicySettings::new(Rule::SemanticCache(SemanticCache::default()))]).await;
    let id = KeyId::new();
    let ask = |id: KeyId, body: &Value| {
        let mut exchange = world.ask("bot", body);
        let identity = Identity::Key { id, name: "bot".into() };
        exchange.caller = Arc::new(Actor::of(identity, vec![Grant::new(Role::Consumer, Scope::Instance)]));
        exchange
    };
    let mut first = ask(id, &chat("where is berth nine"));
    world.admitted(&mut first).await.unwrap();
    assert_eq!(header(&first, "x-wharfinger-cache").as_deref(), Some("miss"));
    world.served(first, 30).await;

    let mut again = ask(id, &chat("where is berth nine"));
    let Admission::Answer(answer) = world.chain.admit(&mut again).await.unwrap() else { panic!("it is kept") };
    assert_eq!((&answer.headers["x-wharfinger-cache"], answer.pieces.len()), (&"exact".parse().unwrap(), 1));
    let nothing = Settlement {
        usage: Usage::default(),
        source: UsageSource::Nothing,
        ending: Ending::Answered,
        took: Duration::from_millis(1),
    };
    world.ended(again, nothing).await;
    // Another key of the same name is another caller.
    let mut stranger = ask(KeyId::new(), &chat("where is berth nine"));
    world.admitted(&mut stranger).await.unwrap();
    let mut warmer = chat("where is berth nine");
    warmer["temperature"] = json!(1);
    world.admitted(&mut ask(id, &warmer)).await.unwrap();

    let report = world.recorded().await;
    // No policy counted the prompt here, and the vendor reported the reply alone.
    assert_eq!((report.total.cached, report.total.saved), (1, 30));
    assert_eq!(world.services().cache.status(world.app.clock.monotonic()).await.unwrap().answers, 1);
}

#[tokio::test]
async fn personal_data_does_not_reach_the_backend() {
    let content = Content {
        blocked: vec!["(?i)launch code".to_owned()],
        masks: vec![Mask::Known(MaskKind::Email)],
        restore: true,
    };
    let world = World::with(vec![PolicySettings::new(Rule::Content(content))]).await;
    let mut exchange = world.ask("bot", &chat("write to ann@example.org"));
    world.admitted(&mut exchange).await.unwrap();

    let sent = String::from_utf8(exchange.body.to_vec()).unwrap();
    assert!(sent.contains("[EMAIL_1]") && !sent.contains("ann@"), "{sent}");
    let piece = exchange.filters[0].piece(Bytes::from_static(b"{\"content\":\"sent to [EMAIL_1]\"}"));
    assert_eq!(piece, "{\"content\":\"sent to ann@example.org\"}");
    let mut blocked = world.ask("bot", &chat("tell me the LAUNCH CODE"));
    assert_eq!(world.admitted(&mut blocked).await.unwrap_err().kind, "content-blocked");
}

#[tokio::test]
async fn prompts_are_kept_of_those_whom_the_policy_means_also_when_the_request_is_let_go() {
    let mut of_bots = PolicySettings::new(Rule::PromptLog(PromptLog::default()));
    of_bots.when.keys = vec!["bot".to_owned()];
    let limit = TokenLimit { tokens_per_minute: Some(100_000), ..TokenLimit::default() };
    let world = World::with(vec![of_bots, token_limit(limit)]).await;

    for who in ["bot", "person"] {
        let mut exchange = world.ask(who, &chat("write to ann@example.org"));
        world.admitted(&mut exchange).await.unwrap();
        // As a stream whose prompt was counted.
        exchange.body = Bytes::new();
        world.served(exchange, 20).await;
    }

    world.recorded().await;
    let kept: Vec<(String, String, String)> = sqlx::query_as("select key_name, prompt, answer from prompt_log")
        .fetch_all(&world.app.handles.db.read)
        .await
        .unwrap();
    let [(who, prompt, answer)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(who, "bot");
    assert!(prompt.contains("write to [EMAIL_1]") && answer.contains("It is there."), "{prompt} {answer}");
}

#[tokio::test]
async fn a_prompt_that_cannot_be_looked_at_does_not_go_on() {
    let content = Content { blocked: vec!["(?i)launch code".to_owned()], masks: Vec::new(), restore: false };
    let world = World::with(vec![PolicySettings::new(Rule::Content(content))]).await;
    for beside in [r#""\ud800""#, "1e400"] {
        let mut exchange = world.ask("bot", &chat("x"));
        let message = r#"{"role":"user","content":"tell me the launch code"}"#;
        let body = format!(r#"{{"model":"gpt-4o","messages":[{message}],"seed":{beside}}}"#);
        exchange.replace_body(body.into()).unwrap();

        let refused = world.admitted(&mut exchange).await.unwrap_err();

        assert_eq!((refused.status.as_u16(), refused.kind), (400, "bad-request"), "{beside}");
    }
}

#[tokio::test]
async fn sizes_are_bounded_and_replies_capped() {
    let sizes = SizeLimit { input_tokens: Some(50), output_tokens: Some(64), ..SizeLimit::default() };
    let world = World::with(vec![PolicySettings::new(Rule::SizeLimit(sizes))]).await;
    let mut exchange = world.ask("bot", &chat("hello"));
    world.admitted(&mut exchange).await.unwrap();
    let sent: Value = serde_json::from_slice(&exchange.body).unwrap();
    assert_eq!(sent["max_tokens"], 64);

    let mut long = world.ask("bot", &chat(&"word ".repeat(100)));
    assert_eq!(world.admitted(&mut long).await.unwrap_err().status.as_u16(), 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_aside_for_a_prompt_follows_what_the_vendor_reports_and_what_is_charged_does_not() {
    let limit = TokenLimit { input_tokens_per_minute: Some(1_000_000), ..TokenLimit::default() };
    let world = World::with(vec![token_limit(limit)]).await;
    let body = chat("where is berth nine");
    let left = |exchange: &Exchange| header(exchange, "x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap();
    let settled = |usage: Usage, source| {
        let (ending, took) = (Ending::Served, Duration::from_millis(200));
        Settlement { usage, source, ending, took }
    };

    // The vendor reports half as much again as is counted.
    let mut reserved = Vec::new();
    let mut used = 0;
    for _ in 0..12 {
        let mut exchange = world.ask("bot", &body);
        world.admitted(&mut exchange).await.unwrap();
        reserved.push(1_000_000 - used - left(&exchange));
        let counted = exchange.prompt_tokens.unwrap();
        exchange.reply.backend = Some(exchange.route.pool.members[0].backend.clone());
        let usage = Usage { input: counted * 3 / 2, output: 1, ..Usage::default() };
        used += usage.input;
        world.ended(exchange, settled(usage, UsageSource::Reported)).await;
    }
    let mut silent = world.ask("bot", &body);
    world.admitted(&mut silent).await.unwrap();
    let counted = silent.prompt_tokens.unwrap();
    silent.reply.backend = Some(silent.route.pool.members[0].backend.clone());
    silent.reply.is_complete = true;
    let charged = silent.settlement(Ending::Served);

    assert_eq!((reserved[0], *reserved.last().unwrap()), (counted, counted * 3 / 2), "{reserved:?}");
    assert_eq!((charged.usage.input, charged.source), (counted, UsageSource::Counted), "as it was counted");
}
