//! The gateway's pages with traffic behind them: two teams, keys, backends that fail, a budget near its end, answers of
//! the cache; and the pages of what waits to be decided, of upstreams, registries and webhooks with something in them.

use super::browser::{run, tools};
use crate::support::vendor::Vendor;
use crate::support::{Person, TestApp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wharfinger::auth::Role;

/// The program with two teams' gateways, and the keys of their callers.
async fn house() -> (TestApp, Vendor) {
    let settings =
        [("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"), ("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8")];
    let app = TestApp::start_running_with(&settings).await;
    let vendor = Vendor::start().await;
    let admin = app.admin();
    for (name, title) in [("search", "Search and discovery"), ("support", "Support desk")] {
        admin.post("/api/v1/workspaces", &json!({"name": name, "title": title})).await.expect(201);
    }
    for (workspace, name, title) in [("search", "chat", "Chat, European region"), ("support", "desk", "Desk assistant")]
    {
        let asset = json!({"name": name, "kind": "model", "title": title, "visibility": "internal", "owners": ["team-models"],
            "summary": "Answers in prose.", "version": {"name": "2026-08"}});
        admin.post(&format!("/api/v1/workspaces/{workspace}/assets"), &asset).await.expect(201);
    }
    let file = json!({
        "backends": [
            {"name": "provisioned", "provider": "openai", "url": format!("{}/v1", vendor.url("pace-3")), "shared": true,
             "capacity": {"tokensPerMinute": 300_000}, "models": {"chat": "gpt-5", "limited": "gpt-5", "desk": "gpt-5-mini"}},
            {"name": "flaky", "provider": "compatible", "url": format!("{}/v1", vendor.url("status-503")), "shared": true},
            {"name": "pay-as-you-go", "provider": "openai", "url": format!("{}/v1", vendor.url("ok")), "shared": true},
        ],
        "pools": [
            {"name": "main", "shared": true, "members": [{"backend": "flaky"}, {"backend": "provisioned", "priority": 2},
                {"backend": "pay-as-you-go", "priority": 3}]},
            {"name": "down", "shared": true, "members": [{"backend": "flaky"}]},
        ],
        "policies": [
            {"name": "per-key", "reach": "all", "rule": {"tokenLimit": {"counterKey": "{key}", "tokensPerMinute": 20_000,
                "quotas": [{"period": "day", "tokens": 2_000_000}]}}},
            {"name": "once", "rule": {"requestRate": {"counterKey": "{key}", "requests": 1, "per": "10m"}}},
            {"name": "monthly", "reach": "all", "when": {"workspaces": ["support"]}, "rule": {"budget": {"counterKey": "{workspace}", "period": "month",
                "soft": 0.004, "hard": 0.006}}},
            {"name": "again", "rule": {"semanticCache": {}}},
            {"name": "kept", "rule": {"promptLog": {}}},
        ],
        "routes": [
            {"name": "chat", "workspace": "search", "asset": "chat", "serves": {"models": ["chat"]}, "pool": "main", "policies": ["again", "kept"],
             "callers": "everyone"},
            {"name": "limited", "serves": {"models": ["limited"]}, "pool": "main", "policies": ["once"]},
            {"name": "desk", "workspace": "support", "asset": "desk", "serves": {"models": ["desk"]}, "pool": "main"},
            {"name": "out", "serves": {"models": ["out"]}, "pool": "down"},
        ],
        "prices": [{"model": "chat", "input": 2.5, "output": 10, "cachedInput": 1.25}, {"model": "desk", "input": 5, "output": 40}],
    });
    let file = serde_json::to_string(&file).unwrap();
    admin.post("/api/v1/gateway/apply", &json!({"file": file})).await.expect(200);
    (app, vendor)
}

async fn chat(person: &Person<'_>, model: &str, prompt: &str, stream: bool) -> u16 {
    let body =
        json!({"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream, "max_tokens": 12});
    person.post("/llm/v1/chat/completions", &body).await.status
}

/// A hundred requests of three keys.
async fn traffic(app: &TestApp) {
    let notices = app.handles.budget_notices.lock().unwrap().take().expect("nobody took them before");
    let (stop, db, clock) = (CancellationToken::new(), app.handles.db.clone(), app.handles.clock.clone());
    let telling = tokio::spawn(notices.run(db, clock, app.handles.gateway.egress().clone(), stop.clone()));
    let search = app.member(Role::Consumer, "search").await;
    let publisher = app.member(Role::Publisher, "search").await;
    let support = app.member(Role::Consumer, "support").await;
    for number in 0..12 {
        assert_eq!(chat(&search, "chat", &format!("Question {}", number % 7), number % 2 == 0).await, 200);
        assert_eq!(chat(&publisher, "chat", &format!("Where does ship {number} lie?"), true).await, 200);
        chat(&support, "desk", &format!("Complaint {number}"), false).await;
    }
    assert_eq!(chat(&support, "desk", "One more", false).await, 403, "the budget is used up");
    assert_eq!(chat(&search, "out", "Anybody there?", false).await, 503);
    app.handles
        .ledger
        .clone()
        .run({
            let now = CancellationToken::new();
            now.cancel();
            now
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stop.cancel();
    telling.await.unwrap();
}

/// What waits: requests for access and for approval; and what a workspace takes over and tells.
async fn matters(app: &TestApp, vendor: &Vendor) -> Value {
    let admin = app.admin();
    let (anna, ben) = (app.person("anna").await, app.person("ben").await);
    let ask = json!({"workspace": "support", "asset": "desk", "purpose": "Answers of the harbour's help desk; about 2,000 requests a day, and more when ships are late."});
    let waiting = anna.post("/api/v1/access-requests", &ask).await.expect(201).json();
    let approved = ben.post("/api/v1/access-requests", &ask).await.expect(201).json();
    let path = |one: &Value, what: &str| format!("/api/v1/access-requests/{}{what}", one["id"].as_str().unwrap());
    let yes = json!({"approve": true, "note": "Go on; tell us when it grows."});
    admin.post(&path(&approved, "/decision"), &yes).await.expect(200);
    let declined = app.person("carla").await.post("/api/v1/access-requests", &ask).await.expect(201).json();
    let no = json!({"approve": false, "note": "Use the chat model: it is cheaper."});
    admin.post(&path(&declined, "/decision"), &no).await.expect(200);

    let settings = "/api/v1/workspaces/support/approval-settings";
    admin.patch(settings, &json!({"required": true})).await.expect(200);
    let publisher = app.member(Role::Publisher, "support").await;
    let server = json!({"name": "com.example/tickets", "kind": "mcp", "title": "Tickets", "version": {"name": "1.0.0"},
        "visibility": "internal", "tools": [{"name": "find_ticket", "description": "Finds a ticket by its number."}]});
    publisher.post("/api/v1/workspaces/support/assets", &server).await.expect(201);
    let queue = admin.get("/api/v1/approvals").await.expect(200).json();
    let approval = queue["items"][0]["id"].as_str().unwrap().to_owned();

    let upstream = json!({"name": "official", "url": format!("{}/registry", vendor.url("status-500")), "approve": [{"namespace": "*"}]});
    admin.post("/api/v1/workspaces/search/upstreams", &upstream).await.expect(201);
    app.handles.upstreams.run_due(&CancellationToken::new()).await.unwrap();
    let registry = json!({"name": "approved-servers", "title": "Servers for everybody"});
    admin.post("/api/v1/registries", &registry).await.expect(201);
    let oauth = json!({"clientCredentials": {"tokenUrl": "https://login.example.com/oauth2/token", "clientId": "gateway",
        "clientSecret": "s3cret", "scopes": ["models"], "parameters": {"audience": "https://models.example.com"}}});
    admin.put("/api/v1/gateway/credentials/vendor", &oauth).await.expect(201);
    let hook = json!({"name": "ops channel", "url": "https://hooks.example.com/", "kinds": ["access.requested"]});
    admin.post("/api/v1/workspaces/support/webhooks", &hook).await.expect(201);
    json!({"waiting": waiting["id"], "approved": approved["id"], "declined": declined["id"], "approval": approval,
        "anna": anna.key(), "ben": ben.key(), "carla": app.person("carla").await.key()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_whole_with_traffic_and_matters_behind_them() {
    let Some(tools) = tools() else { return };
    let (app, vendor) = house().await;
    traffic(&app).await;
    let made = matters(&app, &vendor).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let access = |name: &str| format!("/access/{}", text(name));
    let pages = json!([
        {"name": "traffic-usage", "path": "/gateway/usage?range=1h"},
        {"name": "traffic-usage-keys", "path": "/gateway/usage?range=1h&by=key"},
        {"name": "traffic-usage-workspaces", "path": "/gateway/usage?by=workspace"},
        {"name": "traffic-usage-narrowed", "path": "/gateway/usage?range=1h&model=chat&by=key"},
        {"name": "traffic-prompts", "path": "/gateway/prompts"},
        {"name": "traffic-prompts-none", "path": "/gateway/prompts?model=nothing"},
        {"name": "traffic-pools", "path": "/gateway/pools"},
        {"name": "traffic-backends", "path": "/gateway/backends"},
        {"name": "traffic-routes", "path": "/gateway/routes"},
        {"name": "traffic-limits", "path": "/gateway/limits"},
        {"name": "playground", "path": "/gateway/playground"},
        {"name": "playground-none", "path": "/gateway/playground", "key": app.member(Role::Reader, "search").await.key()},
        {"name": "pool-new", "path": "/gateway/pools/new"},
        {"name": "pool-edit", "path": "/gateway/pools/edit?name=main"},
        {"name": "route-edit", "path": "/gateway/routes/edit?name=chat&workspace=search"},
        {"name": "policy-kinds", "path": "/gateway/policies/new"},
        {"name": "policy-new", "path": "/gateway/policies/new?kind=budget"},
        {"name": "policy-edit", "path": "/gateway/policies/edit?name=per-key"},
        {"name": "policy-yaml", "path": "/gateway/policies/edit?name=per-key&as=yaml"},
        {"name": "backend-edit", "path": "/gateway/backends/edit?name=provisioned"},
        {"name": "credential-new", "path": "/gateway/credentials/new"},
        {"name": "credential-edit", "path": "/gateway/credentials/edit?name=vendor"},
        {"name": "price-edit", "path": "/gateway/prices/edit?name=chat"},
        {"name": "asset-served", "path": "/assets/search/chat"},
        {"name": "asset-to-ask", "path": "/assets/support/desk", "key": app.person("dora").await.key()},
        {"name": "asset-asked", "path": "/assets/support/desk", "key": text("anna")},
        {"name": "asset-key", "path": "/assets/support/desk", "key": text("ben")},
        {"name": "access", "path": "/access"},
        {"name": "access-own", "path": "/access", "key": text("anna")},
        {"name": "access-new", "path": "/access/new?workspace=support&asset=desk", "key": app.person("dora").await.key()},
        {"name": "access-decide", "path": access("waiting")},
        {"name": "access-waiting", "path": access("waiting"), "key": text("anna")},
        {"name": "access-approved", "path": access("approved"), "key": text("ben")},
        {"name": "access-declined", "path": access("declined"), "key": text("carla")},
        {"name": "approvals", "path": "/approvals"},
        {"name": "approval", "path": format!("/approvals/{}", text("approval"))},
        {"name": "upstreams", "path": "/workspaces/search/upstreams"},
        {"name": "registries", "path": "/registries"},
        {"name": "registry", "path": "/registries/approved-servers"},
        {"name": "webhooks", "path": "/workspaces/support/webhooks"},
    ]);

    let told = [("WHARFINGER_PAGES", pages.to_string()), ("WHARFINGER_KEY", app.admin_key.clone())];
    run(&app, &tools, "pages.mjs", &told.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_answers_as_it_comes_in_a_browser() {
    let Some(tools) = tools() else { return };
    let (app, _vendor) = house().await;
    let caller = app.member(Role::Consumer, "search").await;

    run(&app, &tools, "playground.mjs", &[("WHARFINGER_KEY", &caller.key())]).await;
}
