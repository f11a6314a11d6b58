//! A chain of policies over a program, and exchanges through it that are settled by hand.

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
use wharfinger::embed::Embedder;
use wharfinger::gateway::exchange::{Asked, Ending, Exchange, Reply, Settlement, UsageSource};
use wharfinger::gateway::policy::{Admission, Chain, Services};
use wharfinger::gateway::settings::{
    BackendSettings, Callers, Member, Money, PolicySettings, PoolSettings, PriceSettings, Provider, RouteSettings,
    Rule, Serves, TokenLimit,
};
use wharfinger::gateway::usage::{By, Question};
use wharfinger::gateway::{Parts, Snapshot};
use wharfinger::wire::call::{Call, Dialect};
use wharfinger::wire::usage::Usage;

/// A gateway with one route, under these policies.
pub(super) struct World {
    pub(super) app: TestApp,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) chain: Chain,
}

impl World {
    pub(super) async fn with(policies: Vec<PolicySettings>) -> Self {
        let embedder = Embedder::hashed();
        embedder.loaded().await;
        // Webhooks of these stories are here.
        let app = TestApp::start_with(&[("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1")], embedder).await;
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

    pub(super) fn services(&self) -> &Services {
        &self.app.handles.services
    }

    /// Of the one key that is known here by this name.
    pub(super) fn ask(&self, who: &str, body: &Value) -> Box<Exchange> {
        let id = who.bytes().fold(0_u128, |id, byte| (id << 8) | u128::from(byte));
        self.ask_as(Identity::Key { id: KeyId(uuid::Uuid::from_u128(id)), name: who.into() }, body)
    }

    pub(super) fn ask_as(&self, identity: Identity, body: &Value) -> Box<Exchange> {
        let body = Bytes::from(body.to_string());
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
            room: None,
            prompt_tokens: None,
            upstream_headers: Vec::new(),
            standings: Vec::new(),
            answer_headers: Vec::new(),
            filters: Vec::new(),
            screens: Vec::new(),
            trace: None,
            keep_reply: 0,
            attempts: Vec::new(),
            reply: Reply::default(),
            held: Vec::new(),
            refused_by: None,
            witness: None,
        })
    }

    pub(super) async fn admitted(&self, exchange: &mut Exchange) -> Result<(), Box<Problem>> {
        match self.chain.admit(exchange).await? {
            Admission::Continue => Ok(()),
            Admission::Answer(_) => panic!("nothing is kept yet"),
        }
    }

    /// The backend answers, and the vendor reports so much.
    pub(super) async fn served(&self, mut exchange: Box<Exchange>, output: u64) {
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

    pub(super) async fn ended(&self, exchange: Box<Exchange>, settlement: Settlement) {
        for left in self.chain.settle(exchange, &settlement) {
            left.await;
        }
    }

    pub(super) async fn refused(&self, exchange: Box<Exchange>) {
        let settlement = Settlement {
            usage: Usage::default(),
            source: UsageSource::Nothing,
            ending: Ending::Refused,
            took: Duration::ZERO,
        };
        self.ended(exchange, settlement).await;
    }

    pub(super) async fn recorded(&self) -> wharfinger::gateway::usage::Report {
        self.recorded_for(&Actor::system("test"), By::Key).await
    }

    /// What this reader sees of it.
    pub(super) async fn recorded_for(&self, reader: &Actor, by: By) -> wharfinger::gateway::usage::Report {
        let stop = CancellationToken::new();
        stop.cancel();
        self.app.handles.ledger.clone().run(stop).await;
        let question = Question {
            from: datetime!(2026-03-01 0:00 UTC),
            to: datetime!(2026-03-02 0:00 UTC),
            by,
            step: "hour",
            workspace: None,
            key: None,
            model: None,
            asset: None,
            route: None,
            lines: 10,
        };
        self.app.handles.ledger.report(reader, &question).await.unwrap()
    }
}

pub(super) fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "user", "content": text}]})
}

/// What the client is told in the head of its answer.
pub(super) fn header(exchange: &Exchange, name: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    exchange.tell(&mut headers);
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

pub(super) fn token_limit(limit: TokenLimit) -> PolicySettings {
    PolicySettings::new(Rule::TokenLimit(limit))
}
