//! Addresses that are stored, because they are only told to people or were written before the operator closed a network:
//! judged again whenever they would be called.

use super::{listener, spelled};
use crate::support::TestApp;
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wharfinger::gateway::settings::{
    BackendSettings, Callers, CredentialSettings, GuardHook, LooksAt, Member, OnFailure, PolicySettings, PoolSettings,
    Provider, RouteSettings, Rule, Serves,
};
use wharfinger::gateway::{Parts, Snapshot};

#[tokio::test]
async fn a_webhook_or_an_upstream_that_leads_inside_is_not_called() {
    let app = TestApp::start().await;
    let (port, connections) = listener().await;
    let admin = app.admin();
    let webhook = json!({"name": "old", "url": "https://example.com/"});
    let made = admin.post("/api/v1/workspaces/default/webhooks", &webhook).await.expect(201).json();
    let id = made["id"].as_str().unwrap();
    for kind in ["registry", "file"] {
        let upstream = json!({"name": kind, "kind": kind, "url": "https://example.com/"});
        admin.post("/api/v1/workspaces/default/upstreams", &upstream).await.expect(201);
    }

    for url in spelled(port) {
        let statement = "update webhook set url = $1 where webhook_id = $2::uuid";
        sqlx::query(statement).bind(&url).bind(id).execute(&app.handles.db.write).await.unwrap();
        admin.post(&format!("/api/v1/workspaces/default/webhooks/{id}/test"), &json!({})).await.expect(202);
        app.handles.webhooks.run_due().await.unwrap();
        sqlx::query("update upstream set url = $1, run_id = null, next_run_at = '2000-01-01', failures = 0")
            .bind(&url)
            .execute(&app.handles.db.write)
            .await
            .unwrap();
        app.handles.upstreams.run_due(&CancellationToken::new()).await.unwrap();
    }

    let count = async |statement: &'static str| -> i64 {
        sqlx::query_scalar(statement).fetch_one(&app.handles.db.read).await.unwrap()
    };
    assert_eq!(count("select count(*) from webhook_attempt where status is not null").await, 0);
    assert!(count("select count(*) from upstream_run where state = 'failed'").await >= 2 * 60);
    assert_eq!(count("select count(*) from upstream_run where state <> 'failed'").await, 0);
    connections.none();
}

#[tokio::test]
async fn remotes_and_deployments_that_lead_inside_are_told_and_not_called() {
    let app = TestApp::start().await;
    let (port, connections) = listener().await;
    let admin = app.admin();
    let settings = json!({"required": true});
    admin.patch("/api/v1/workspaces/default/approval-settings", &settings).await.expect(200);
    let mut stored = Vec::new();

    for (number, url) in spelled(port).enumerate() {
        let deployed = json!({"name": format!("com.example/deployed-{number}"), "kind": "mcp", "title": "D",
            "deployments": [{"url": url, "transport": "streamable-http"}]});
        let answer = admin.post("/api/v1/workspaces/default/assets", &deployed).await;
        assert!([201, 422].contains(&answer.status), "{url:?}: {} {}", answer.status, answer.text);
        if answer.status == 201 {
            stored.push(format!("com.example%2Fdeployed-{number}"));
        }
        let server = json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": format!("com.example/remote-{number}"), "description": "R", "version": "1.0.0",
            "remotes": [{"type": "streamable-http", "url": url}]});
        let answer = admin.post("/v0.1/publish", &server).await;
        assert!([200, 400, 422].contains(&answer.status), "{url:?}: {} {}", answer.status, answer.text);
        if answer.status == 200 {
            stored.push(format!("com.example%2Fremote-{number}"));
        }
    }
    assert!(stored.len() > 20, "some are legal addresses of a server inside: {}", stored.len());
    let (catalog, http) = (&app.handles.catalog, &app.handles.http);
    while catalog.examine_waiting(http).await.unwrap() > 0 {}
    for name in &stored {
        let answer = admin.post(&format!("/api/v1/workspaces/default/assets/{name}/check"), &json!({})).await;
        assert!(answer.status < 500, "{name}: {} {}", answer.status, answer.text);
    }
    app.clock.advance(Duration::from_secs(24 * 3600));
    catalog.check_due(http, Duration::from_secs(1)).await.unwrap();

    let reached: i64 = sqlx::query_scalar(
        "select count(*) from approval where evidence @> '[{\"rule\": \"remote-reachable\", \"outcome\": \"passed\"}]'",
    )
    .fetch_one(&app.handles.db.read)
    .await
    .unwrap();
    println!("{} addresses stored, none called", stored.len());
    assert_eq!(reached, 0);
    connections.none();
}

#[tokio::test]
async fn traffic_goes_to_no_backend_token_server_or_guard_that_lies_inside() {
    let app = TestApp::start().await;
    let (port, connections) = listener().await;
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    let public = || BackendSettings::new(Provider::Openai, "https://vendor.invalid/v1");
    let mut asked = 0;

    for url in spelled(port) {
        let at_backend = parts(BackendSettings::new(Provider::Openai, &url), None);
        let mut with_token = public();
        with_token.credential = Some("vendor".into());
        let credential = CredentialSettings::ClientCredentials {
            token_url: url.clone(),
            client_id: "a".into(),
            client_secret: "b".into(),
            scopes: Vec::new(),
            parameters: Default::default(),
        };
        let at_token_server = parts(with_token, None).with_credential("vendor", credential);
        let hook = GuardHook {
            url: url.clone(),
            looks_at: LooksAt::default(),
            on_failure: OnFailure::default(),
            timeout: None,
        };
        let at_guard = parts(public(), Some(Rule::GuardHook(hook)));
        for parts in [at_backend, at_token_server, at_guard] {
            asked += 1;
            // Past the checks, which leave such a thing out.
            let (snapshot, _) = Snapshot::from_parts(parts);
            app.handles.gateway.install(snapshot);
            let answer = app.admin().post("/llm/v1/chat/completions", &question).await;
            assert!(answer.status >= 400, "{url:?}: {} {}", answer.status, answer.text);
        }
    }

    println!("{asked} requests refused");
    connections.none();
}

/// One backend behind a route for the model `m`, perhaps with a policy.
fn parts(backend: BackendSettings, rule: Option<Rule>) -> Parts {
    let pool = PoolSettings { members: vec![Member::new("b")], ..PoolSettings::default() };
    let route = RouteSettings {
        title: String::new(),
        serves: Serves::Models(vec!["m".to_owned()]),
        pool: "p".to_owned(),
        asset: None,
        dialects: Vec::new(),
        policies: rule.iter().map(|_| "guard".to_owned()).collect(),
        callers: Callers::Everyone,
        disabled: false,
    };
    let parts = Parts::default().with_backend("b", backend).with_pool("p", pool).with_route("r", route);
    match rule {
        Some(rule) => parts.with_policy("guard", PolicySettings::new(rule)),
        None => parts,
    }
}
