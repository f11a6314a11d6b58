//! What policies do to a request, from its admission to its record, without a backend: the exchange is settled by hand
//! with what a vendor would have reported.

mod budgets;
mod whose;
mod world;

use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use wharfinger::auth::{Actor, Grant, Identity, Role, Scope};
use wharfinger::base::KeyId;
use wharfinger::gateway::exchange::{Ending, Exchange, Settlement, UsageSource};
use wharfinger::gateway::policy::Admission;
use wharfinger::gateway::settings::{
    Budget, Content, Mask, MaskKind, ModelAllowList, Money, Period, PolicySettings, PromptLog, Quota, Rule,
    SemanticCache, SizeLimit, TokenLimit,
};
use wharfinger::wire::usage::Usage;
use world::{World, chat, header, token_limit};

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
async fn shadow_reports_and_changes_nothing() {
    let content = Content { masks: vec![Mask::Known(MaskKind::Email)], restore: true, ..Content::default() };
    let size = SizeLimit { output_tokens: Some(5), ..SizeLimit::default() };
    for rule in [Rule::Content(content), Rule::SizeLimit(size)] {
        let body = chat("write to ann@example.org");
        let shadow = PolicySettings { shadow: true, ..PolicySettings::new(rule.clone()) };
        for (policy, is_changed) in [(shadow, false), (PolicySettings::new(rule.clone()), true)] {
            let world = World::with(vec![policy]).await;
            let mut exchange = world.ask("bot", &body);
            let before = exchange.body.clone();
            world.admitted(&mut exchange).await.unwrap();

            assert_eq!(exchange.body != before, is_changed, "{rule:?}");
            assert_eq!(header(&exchange, "x-wharfinger-shadow").is_some(), !is_changed, "{rule:?}");
        }
    }
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
        ..Content::default()
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
    let content = Content { blocked: vec!["(?i)launch code".to_owned()], ..Content::default() };
    let world = World::with(vec![PolicySettings::new(Rule::Content(content))]).await;
    for beside in [r#""\ud800""#, "1e400", r#"{"content": "a", "content": "b"}"#] {
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
