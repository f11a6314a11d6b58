//! Home, browse, workspaces, register, feeds and the rest: what a person reads there.

use super::{assert_harmless, register, seen};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Role;

/// Two assets everybody sees and one only its workspace does.
async fn catalog(app: &TestApp) {
    register(app, "sea", json!({"name": "weather", "kind": "mcp", "title": "Harbour weather", "tags": ["wind"],
        "summary": "Forecasts for every harbour.", "tools": [{"name": "get_forecast", "description": "By the hour."}],
        "deployments": [{"environment": "production", "url": "https://w.example/mcp", "transport": "streamable-http"}]}))
    .await;
    register(
        app,
        "money",
        json!({"name": "payments", "kind": "rest", "title": "Payments <API>",
        "summary": "Takes & gives money."}),
    )
    .await;
    register(
        app,
        "secret",
        json!({"name": "plans", "kind": "rest", "title": "Plans for weather", "visibility": "private"}),
    )
    .await;
    app.handles.search.catch_up().await.unwrap();
}

async fn page(app: &TestApp, path: &str) -> String {
    seen(&app.stranger().get(path).await.expect(200))
}

#[tokio::test]
async fn home_counts_and_tells_what_the_reader_may_see() {
    let app = TestApp::start().await;
    catalog(&app).await;

    let stranger = page(&app, "/").await;
    let member = seen(&app.member(Role::Reader, "secret").await.get("/").await.expect(200));

    for text in [
        "assets you can see 2",
        "tools and operations 1",
        "Harbour weather registered",
        "Payments <API>",
        "First steps",
    ] {
        assert!(stranger.contains(text), "{text:?} is not on {stranger}");
    }
    assert!(!stranger.contains("Plans"), "{stranger}");
    assert!(member.contains("Plans for weather") && member.contains("assets you can see 3"), "{member}");
}

#[tokio::test]
async fn a_search_says_how_many_why_and_how_to_narrow_it() {
    let app = TestApp::start().await;
    catalog(&app).await;

    let answer = app.stranger().get("/browse?q=harbour").await.expect(200);

    let text = seen(&answer);
    for part in ["1 for “harbour”", "Harbour weather", "Streamable HTTP", "Kind", "MCP server 1", "1 of 1"] {
        assert!(text.contains(part), "{part:?} is not on {text}");
    }
    assert!(answer.text.contains(r#"href="/browse?q=harbour&#38;kind=mcp""#), "{}", answer.text);
    assert!(answer.text.contains(r#"value="harbour""#));
    assert_harmless(&answer.text, "browse");
    let moved = app.http.get(format!("{}/search?q=harbour", app.url)).send().await.unwrap();
    assert!(moved.url().as_str().ends_with("/browse?q=harbour"), "{}", moved.url());
}

#[tokio::test]
async fn nothing_found_comes_with_a_way_on() {
    let app = TestApp::start().await;
    catalog(&app).await;

    let text = page(&app, "/browse?q=harbour&kind=rest&tag=none").await;
    let odd = page(&app, "/browse?colour=red").await;

    assert!(text.contains("Nothing you can see matches all of this"), "{text}");
    assert!(text.contains("Without any filter : 1 result"), "{text}");
    assert!(odd.contains("There is no filter colour"), "{odd}");
}

#[tokio::test]
async fn what_is_private_is_on_no_page_of_a_stranger() {
    let app = TestApp::start().await;
    catalog(&app).await;

    for path in [
        "/",
        "/browse",
        "/browse?q=plans",
        "/browse?workspace=secret",
        "/workspaces",
        "/feed.atom",
        "/status",
        "/search/suggest?q=plans",
        "/search/suggest.json?q=pla",
    ] {
        let answer = app.stranger().get(path).await.expect(200);
        let shown = answer.text.replace("q=plans", "").replace("“plans”", "").replace("value=\"plans\"", "");
        assert!(!shown.contains("Plans") && !shown.contains("/assets/secret"), "{path}: {}", answer.text);
    }
    app.stranger().get("/workspaces/secret").await.expect(404);
    app.stranger().get("/workspaces/secret/feed.atom").await.expect(404);
}

#[tokio::test]
async fn suggestions_lead_to_pages() {
    let app = TestApp::start().await;
    catalog(&app).await;

    let list = app.stranger().get("/search/suggest?q=harb").await.expect(200);
    let browser = app.stranger().get("/search/suggest.json?q=harb").await.expect(200);

    assert!(list.text.contains(r#"data-href="/assets/sea/weather""#), "{}", list.text);
    assert_eq!(browser.json(), json!(["harb", ["Harbour weather"]]));
}

#[tokio::test]
async fn a_workspace_shows_its_assets_and_how_an_editor_gets_at_them() {
    let app = TestApp::start().await;
    catalog(&app).await;

    let text = page(&app, "/workspaces/sea").await;

    for part in ["Harbour weather", "production", &format!("{}/workspaces/sea", app.url), "chat.mcp.gallery.serviceUrl"]
    {
        assert!(text.contains(part), "{part:?} is not on {text}");
    }
    assert!(page(&app, "/workspaces").await.contains("1 asset"));
}

#[tokio::test]
async fn the_theme_is_kept_in_a_cookie_and_leads_back() {
    let app = TestApp::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let choose = |body: &'static str| {
        client
            .post(format!("{}/preferences/theme", app.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    };

    let dark = choose("theme=dark&back=%2Fabout").send().await.unwrap();
    let evil = choose("theme=dark&back=%2F%2Fevil.example").send().await.unwrap();
    let pink = choose("theme=pink").send().await.unwrap();
    let page = app.stranger();
    let page = page.send(page.request(reqwest::Method::GET, "/about").header("cookie", "theme=dark")).await;

    assert_eq!((dark.status().as_u16(), &dark.headers()["location"]), (303, &"/about".parse().unwrap()));
    assert!(dark.headers()["set-cookie"].to_str().unwrap().starts_with("theme=dark; Path=/;"));
    assert_eq!(evil.headers()["location"], "/");
    assert_eq!(pink.status(), 422);
    assert!(page.text.contains(r#"data-theme="dark""#));
}

#[tokio::test]
async fn a_feed_tells_changes_and_is_not_sent_twice() {
    let app = TestApp::start().await;
    catalog(&app).await;

    let feed = app.stranger().get("/feed.atom").await.expect(200);
    let again = app.stranger();
    let again =
        again.send(again.request(reqwest::Method::GET, "/feed.atom").header("if-none-match", feed.header("etag")));
    let own = app.stranger().get("/workspaces/sea/feed.atom").await.expect(200);

    assert!(feed.header("content-type").starts_with("application/atom+xml"));
    assert!(
        feed.text.contains("Harbour weather: registered") && feed.text.contains("Payments &#60;API&#62;"),
        "{}",
        feed.text
    );
    assert!(feed.text.contains(&format!("href=\"{}/assets/sea/weather\"", app.url)));
    assert_eq!(again.await.status, 304);
    assert!(own.text.contains("Harbour weather") && !own.text.contains("Payments"));
}

#[tokio::test]
async fn pages_let_nothing_in_from_elsewhere() {
    let app = TestApp::start().await;
    catalog(&app).await;

    for path in ["/", "/browse", "/workspaces", "/register", "/about", "/status", "/problems", "/problems/not-found"] {
        let answer = app.stranger().get(path).await.expect(200);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("require-trusted-types-for 'script'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_harmless(&answer.text, path);
        assert!(answer.text.len() <= 30_000, "{path}: {} bytes", answer.text.len());
    }
    let script = app.stranger().get("/about").await.text;
    let script = script.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let script = app.stranger().get(&script).await.expect(200);
    assert!(script.header("cache-control").contains("immutable"), "{}", script.header("cache-control"));
    assert!(app.stranger().get("/opensearch.xml").await.expect(200).text.contains("{searchTerms}"));
    assert!(app.stranger().get("/robots.txt").await.expect(200).text.contains("Disallow: /"));
}

#[tokio::test]
async fn a_browser_gets_problems_as_pages() {
    let app = TestApp::start().await;
    let person = app.stranger();
    let browser = |path: &str| person.request(reqwest::Method::GET, path).header("accept", "text/html,*/*;q=0.8");

    let missing = person.send(browser("/assets/sea/nothing")).await.expect(404);
    let cursor = person.send(browser("/browse?cursor=!!")).await.expect(422);
    let program = app.stranger().get("/assets/sea/nothing").await.expect(404);

    assert!(seen(&missing).contains("Not found") && seen(&missing).contains(missing.header("x-request-id")));
    assert!(seen(&cursor).contains("cursor"), "{}", seen(&cursor));
    assert_eq!(program.json()["type"], "/problems/not-found");
}
