//! The pages in a real browser: light and dark, wide and narrow, with and without a script, and by keyboard.

use super::{publish, register};
use crate::support::TestApp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where `scripts/setup test` put the browser's driver; none, said aloud, where it did not.
pub fn tools() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let shared = std::env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    let candidates = [
        std::env::var_os("WHARFINGER_TOOLS").map(PathBuf::from),
        Some(PathBuf::from("/var/lib/wharfinger/test-tools")),
        Some(shared.join("wharfinger/test-tools")),
    ];
    let there = |folder: &PathBuf| folder.join("node_modules/playwright-core").is_dir();
    let tools = candidates.into_iter().flatten().find(there);
    if tools.is_none() {
        eprintln!("skipped: the browser's driver is not installed; scripts/setup test does it");
    }
    if !chromium().exists() {
        eprintln!("skipped: {} is not there", chromium().display());
        return None;
    }
    tools
}

fn chromium() -> PathBuf {
    std::env::var_os("WHARFINGER_CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from)
}

/// Runs a script of `tests/browser` against the program; its words are those of the story.
pub async fn run(app: &TestApp, tools: &Path, script: &str, told: &[(&str, &str)]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let output = tokio::process::Command::new("node")
        .arg(script)
        .env("WHARFINGER_TOOLS", tools)
        .env("WHARFINGER_URL", &app.url)
        .env("WHARFINGER_CHROMIUM", chromium())
        .envs(told.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node is there where its packages are");
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    println!("{words}");
}

/// A catalog with something on every page.
async fn catalog(app: &TestApp) {
    let payments = include_str!("../../../src/app/seed/payments.yaml");
    register(
        app,
        "samples",
        json!({"name": "payments", "owners": ["team-money"], "definition": {"value": payments},
        "metadata": {}, "tags": ["payments", "cards"]}),
    )
    .await;
    let weather: Value = json!({
        "name": "com.example/weather", "kind": "mcp", "title": "Harbour weather",
        "summary": "Forecasts of wind and waves for every harbour & inlet.",
        "description": "# Use\nAsk for a **harbour** by name.\n\n- wind\n- waves\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        "tags": ["weather", "sea"], "owners": ["team-sea"], "contacts": [{"name": "Desk", "email": "desk@example.com"}],
        "licence": {"name": "MIT"}, "version": {"name": "1.0.0", "stage": "production"},
        "tools": [
            {"name": "get_forecast", "description": "Wind and waves for a harbour, by the hour.", "inputSchema": {
                "type": "object", "required": ["harbour"], "properties": {
                    "harbour": {"type": "string", "description": "Its name", "maxLength": 80},
                    "hours": {"type": "integer", "default": 24, "minimum": 1, "maximum": 240},
                    "units": {"type": "object", "properties": {"wind": {"enum": ["kn", "m/s"]}}}}},
             "annotations": {"readOnlyHint": true}},
            {"name": "list_harbours", "description": "Every harbour that is known."}],
        "deployments": [{"environment": "production", "url": "https://mcp.example.com/weather", "transport": "streamable-http"},
                        {"environment": "staging", "url": "https://staging.example.com/weather", "transport": "sse"}],
    });
    let mut next = weather.clone();
    register(app, "samples", weather).await;
    next["version"] = json!({"name": "1.1.0", "stage": "production"});
    next["tools"][1]["description"] = json!("Every harbour that is known, with its position.");
    publish(app, ("samples", "com.example/weather"), next).await;
    register(
        app,
        "samples",
        json!({"name": "old-weather", "kind": "mcp", "title": "Old weather",
        "summary": "Forecasts of yesterday", "version": {"name": "0.9.0", "stage": "deprecated"},
        "tools": [{"name": "get_forecast"}]}),
    )
    .await;
    for number in 0..30 {
        let kind = ["rest", "mcp", "graphql", "agent", "model", "skill", "websocket"][number % 7];
        register(app, ["logistics", "people"][number % 2], json!({
            "name": format!("asset-with-a-long-name-{number}"), "kind": kind, "title": format!("Sample number {number}"),
            "summary": "A sample with a summary of usual length, so that the page is as full as pages are in life.",
            "tags": [format!("tag-{number}"), "sample"], "owners": [format!("team-{}", number % 9)],
        })).await;
    }
    app.handles.search.catch_up().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_whole_in_every_light_at_every_width_and_without_a_script() {
    let Some(tools) = tools() else { return };
    let app = TestApp::start().await;
    catalog(&app).await;
    let hooks = "/api/v1/workspaces/samples/webhooks";
    let hook = json!({"name": "ops channel", "url": "https://hooks.example.com/", "kinds": ["asset.registered"]});
    let hook = app.admin().post(hooks, &hook).await.expect(201).json();
    app.admin().post(&format!("{hooks}/{}/test", hook["id"].as_str().unwrap()), &json!({})).await.expect(202);
    let asset = "/assets/samples/com.example%2Fweather";
    let api = "/assets/samples/payments";
    let pages = json!([
        {"name": "home", "path": "/"},
        {"name": "browse", "path": "/browse"},
        {"name": "browse-words", "path": "/browse?q=harbour+weather"},
        {"name": "browse-filters", "path": "/browse?kind=mcp&stage=production&all=tag"},
        {"name": "browse-empty", "path": "/browse?q=weather&kind=rest&owner=nobody"},
        {"name": "browse-hints", "path": "/browse?q=colour:red&colour=red"},
        {"name": "workspaces", "path": "/workspaces"},
        {"name": "workspace", "path": "/workspaces/samples"},
        {"name": "register", "path": "/register?workspace=samples"},
        {"name": "audit", "path": "/audit", "key": app.admin_key},
        {"name": "webhooks", "path": "/workspaces/samples/webhooks", "key": app.admin_key},
        {"name": "audit-refused", "path": "/audit", "status": 401},
        {"name": "signin", "path": "/signin"},
        {"name": "signin-stale", "path": "/auth/callback?state=x&code=y", "status": 404},
        {"name": "about", "path": "/about"},
        {"name": "status", "path": "/status"},
        {"name": "problems", "path": "/problems"},
        {"name": "problem", "path": "/problems/not-found"},
        {"name": "missing", "path": "/assets/samples/missing", "status": 404},
        {"name": "nowhere", "path": "/nowhere", "status": 404},
        {"name": "mcp", "path": asset},
        {"name": "mcp-tools", "path": format!("{asset}/tools")},
        {"name": "mcp-tool", "path": format!("{asset}/tools/get_forecast")},
        {"name": "mcp-versions", "path": format!("{asset}/versions")},
        {"name": "mcp-version", "path": format!("{asset}/versions/1.0.0")},
        {"name": "mcp-diff", "path": format!("{asset}/versions/1.0.0/diff/1.1.0")},
        {"name": "mcp-deployments", "path": format!("{asset}/deployments")},
        {"name": "mcp-connect", "path": format!("{asset}/connect")},
        {"name": "mcp-deprecated", "path": "/assets/samples/old-weather"},
        {"name": "rest", "path": api},
        {"name": "rest-operations", "path": format!("{api}/operations")},
        {"name": "rest-definition", "path": format!("{api}/definition")},
        {"name": "rest-connect", "path": format!("{api}/connect")},
    ]);

    run(&app, &tools, "pages.mjs", &[("WHARFINGER_PAGES", &pages.to_string())]).await;
}

/// A gateway with something on every page of it: the recipe of the docs, a backend that is drained, and answers that are kept.
async fn gateway(app: &TestApp) {
    let admin = app.admin();
    let recipe = include_str!("../../../docs/gateway.yaml");
    let secrets = json!({"AZURE_PROVISIONED_KEY": "one", "AZURE_PAY_AS_YOU_GO_KEY": "two"});
    admin.post("/api/v1/workspaces", &json!({"name": "search-team", "title": "Search"})).await.expect(201);
    admin.post("/api/v1/gateway/apply", &json!({"file": recipe, "secrets": secrets})).await.expect(200);
    admin.post("/api/v1/gateway/backends/pay-as-you-go/drain", &json!({})).await.expect(200);
    let again = json!({"reach": "all", "rule": {"semanticCache": {}}});
    admin.put("/api/v1/gateway/policies/again", &again).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_the_gateway_are_whole_for_those_who_look_after_it() {
    let Some(tools) = tools() else { return };
    let app = TestApp::start().await;
    gateway(&app).await;
    let pages = json!([
        {"name": "gateway-usage", "path": "/gateway/usage"},
        {"name": "gateway-pools", "path": "/gateway/pools"},
        {"name": "gateway-backends", "path": "/gateway/backends"},
        {"name": "gateway-routes", "path": "/gateway/routes"},
        {"name": "gateway-limits", "path": "/gateway/limits"},
        {"name": "gateway-limits-purged", "path": "/gateway/limits?purged=3"},
    ]);

    let told = [("WHARFINGER_PAGES", pages.to_string()), ("WHARFINGER_KEY", app.admin_key.clone())];
    run(&app, &tools, "pages.mjs", &told.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_from_home_to_an_install_line_needs_no_mouse() {
    let Some(tools) = tools() else { return };
    let app = TestApp::start().await;
    catalog(&app).await;

    run(&app, &tools, "keys.mjs", &[("WHARFINGER_QUERY", "harbour weather"), ("WHARFINGER_WANTED", "Harbour weather")])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_by_hand_works_in_every_browser() {
    let Some(tools) = tools() else { return };
    let app = TestApp::start().await;
    catalog(&app).await;

    let told = [("WHARFINGER_DOCUMENT", super::registering::DOCUMENT), ("WHARFINGER_ADMIN", app.admin_key.as_str())];
    run(&app, &tools, "register.mjs", &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_and_out_works_in_a_browser() {
    let Some(tools) = tools() else { return };
    let Some(provider) = crate::support::IdentityProvider::start().await else { return };
    let app = provider.app(&[("WHARFINGER_OIDC_PROMPT", "consent")]).await;

    run(&app, &tools, "sign_in.mjs", &[]).await;
}

/// Pages that only administrators see, and forms with something in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_behind_a_sign_in_are_whole_too() {
    let Some(tools) = tools() else { return };
    let app = TestApp::start().await;
    catalog(&app).await;
    app.person("anna.smith-with-a-long-name@harbour.example").await;
    app.group("payments-team-of-the-harbour", &["ben", "anna"]).await;
    let admin = app.admin();
    admin
        .post("/api/v1/service-accounts", &json!({"name": "deploy-pipeline", "description": "Publishes what is built"}))
        .await;
    admin
        .post(
            "/api/v1/role-assignments",
            &json!({"role": "publisher", "holderKind": "group", "holder": "payments-team-of-the-harbour", "workspace": "samples"}),
        )
        .await
        .expect(201);
    let invited = admin.post("/api/v1/users", &json!({"name": "carla"})).await.expect(201).json();
    let link = invited["link"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned();
    let mut browser = crate::support::Browser::new();
    let page = browser.open(&format!("{}/signin", app.url)).await;
    browser.send(&page, "/signin", &[("key", &app.admin_key)]).await.expect(200);
    let pages = json!([
        {"name": "account", "path": "/account"},
        {"name": "people", "path": "/admin/users"},
        {"name": "groups", "path": "/admin/groups"},
        {"name": "group", "path": "/admin/groups/payments-team-of-the-harbour"},
        {"name": "service-accounts", "path": "/admin/service-accounts"},
        {"name": "roles", "path": "/admin/roles"},
        {"name": "members", "path": "/workspaces/samples/members"},
        {"name": "invitation", "path": link},
    ]);

    let session = browser.session(&app.url).unwrap();
    run(&app, &tools, "pages.mjs", &[("WHARFINGER_PAGES", &pages.to_string()), ("WHARFINGER_SESSION", session)]).await;
}
