//! The pages of an asset: who asks sees in words what is registered.

use super::{register, seen};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Role;

#[tokio::test]
async fn the_overview_says_what_an_asset_is_and_who_answers_for_it() {
    let app = TestApp::start().await;
    register(
        &app,
        "team",
        json!({
            "name": "com.example/weather", "kind": "mcp", "title": "Weather", "summary": "Forecasts for every harbour.",
            "description": "# Use\nAsk for a **harbour** by name.\n\n[Docs](https://docs.example/weather)",
            "tags": ["weather", "sea & wind"], "owners": ["team-data"],
            "contacts": [{"name": "Desk", "email": "desk@example.com"}],
            "licence": {"name": "MIT", "url": "https://licence.example/mit"},
            "version": {"name": "1.2.0", "stage": "preview"},
            "tools": [{"name": "forecast", "description": "The forecast of a harbour."}],
            "deployments": [{"environment": "production", "url": "https://mcp.example/weather", "transport": "streamable-http"}],
        }),
    )
    .await;

    let answer = app.stranger().get("/assets/team/com.example%2Fweather").await.expect(200);
    let bare = app.stranger().get("/assets/team/com.example/weather").await.expect(200);

    assert_eq!(seen(&answer), seen(&bare));
    let page = seen(&answer);
    for text in [
        "Weather",
        "com.example/weather",
        "MCP server",
        "Preview",
        "Forecasts for every harbour.",
        "harbour by name.",
        "forecast",
        "The forecast of a harbour.",
        "team-data",
        "Desk",
        "MIT",
        "sea & wind",
        "1.2.0",
        "1 Mar 2026",
        "production",
        "https://mcp.example/weather",
        "Streamable HTTP",
        "everybody",
    ] {
        assert!(page.contains(text), "{text:?} is not on the page: {page}");
    }
    for link in [
        r#"href="/assets/team/com.example%2Fweather/tools/forecast""#,
        r#"href="/assets/team/com.example%2Fweather/connect""#,
        r#"href="https://docs.example/weather" rel="nofollow noopener""#,
        r#"href="mailto:desk@example.com""#,
        r#"href="/browse?tag=sea%20%26%20wind""#,
    ] {
        assert!(answer.text.contains(link), "{link} is not in {}", answer.text);
    }
}

#[tokio::test]
async fn a_deprecated_version_says_so_first_and_an_old_one_leads_to_the_latest() {
    let app = TestApp::start().await;
    register(&app, "team", json!({"name": "pay", "kind": "rest", "version": {"name": "1.0.0"}})).await;
    super::publish(&app, ("team", "pay"), json!({"version": {"name": "2.0.0", "stage": "deprecated"}})).await;
    let patch = json!({"stage": "deprecated", "statusMessage": "Use com.example/pay-next until 1 May."});
    let patch = serde_json::from_value(patch).unwrap();
    let admin = app.actor(&app.admin()).await;
    app.handles.catalog.update_version(&admin, ("team", "pay", "2.0.0"), patch, None).await.unwrap();

    let latest = seen(&app.stranger().get("/assets/team/pay").await.expect(200));
    let old = app.stranger().get("/assets/team/pay/versions/1.0.0").await.expect(200);

    assert!(latest.contains("Version 2.0.0 is deprecated Use com.example/pay-next until 1 May."), "{latest}");
    assert!(seen(&old).contains("You see version 1.0.0 . The latest is 2.0.0"), "{}", seen(&old));
    assert!(old.text.contains(r#"href="/assets/team/pay/versions/1.0.0/diff/2.0.0""#));
    assert!(!seen(&old).contains("deprecated"));
}

#[tokio::test]
async fn a_private_asset_answers_as_a_missing_one_on_every_page() {
    let app = TestApp::start().await;
    let member = app.member(Role::Reader, "team").await;
    register(
        &app,
        "team",
        json!({"name": "secret", "kind": "mcp", "visibility": "private", "version": {"name": "1"}, "tools": [{"name": "t"}],
               "definition": {"format": "markdown", "value": "# Hidden"}}),
    )
    .await;

    for part in
        ["", "/versions", "/versions/1", "/definition", "/definition/markdown", "/deployments", "/versions/1/diff/1"]
    {
        let hidden = app.stranger().get(&format!("/assets/team/secret{part}")).await;
        let missing = app.stranger().get(&format!("/assets/team/nothing{part}")).await;
        let known = app.admin().get(&format!("/assets/team/secret{part}")).await;

        assert_eq!((hidden.status, missing.status, known.status), (404, 404, 200), "{part}");
        let id = |answer: &crate::support::Answer| answer.header("x-request-id").to_owned();
        assert_eq!(
            hidden.text.replace("secret", "nothing").replace(&id(&hidden), "id"),
            missing.text.replace(&id(&missing), "id"),
            "{part}"
        );
    }
    member.get("/assets/team/secret").await.expect(200);
}

#[tokio::test]
async fn what_strangers_wrote_is_shown_and_never_obeyed() {
    let app = TestApp::start().await;
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>";
    let link = "javascript:alert(4)";
    register(
        &app,
        "team",
        json!({
            "name": "evil", "kind": "mcp", "title": evil, "summary": evil, "tags": [evil], "owners": [evil],
            "description": format!("{evil}\n\n[x]({link}) ![y]({link}) <a href=\"{link}\">z</a> [w](data:text/html,{evil})"),
            "contacts": [{"name": evil}, {"email": format!("a@b.example?subject={evil}")}],
            "licence": {"name": evil, "url": link},
            "externalDocs": [{"url": "https://x.example/?\"><script>", "title": evil}],
            "version": {"name": "1<script>", "stage": "preview"},
            "definition": {"format": "other", "name": "evil", "value": evil},
            "deployments": [{"url": "https://x.example/<script>", "title": evil, "description": evil}],
            "tools": [{"name": evil, "title": evil, "description": evil, "tags": [evil],
                       "inputSchema": {"type": "object", "properties": {evil: {"type": "string", "description": evil,
                                       "default": evil, "enum": [evil]}}}}],
        }),
    )
    .await;
    super::publish(
        &app,
        ("team", "evil"),
        json!({"version": {"name": "2"}, "tools": [{"name": evil, "description": format!("more {evil}")}]}),
    )
    .await;

    for part in [
        "",
        "/versions",
        "/versions/1%3Cscript%3E",
        "/versions/1%3Cscript%3E/definition",
        "/versions/1%3Cscript%3E/deployments",
        "/deployments",
        "/versions/1%3Cscript%3E/diff/2",
        "/definition",
    ] {
        let answer = app.stranger().get(&format!("/assets/team/evil{part}")).await.expect(200);

        super::assert_harmless(&answer.text, part);
    }
    let file = app.stranger().get("/assets/team/evil/versions/1%3Cscript%3E/definition/evil").await.expect(200);
    assert_eq!(file.text, evil);
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"evil-1-script--evil."));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_page_that_did_not_change_is_not_sent_again() {
    let app = TestApp::start().await;
    register(&app, "team", json!({"name": "pay", "kind": "rest", "version": {"name": "1.0.0"}})).await;

    let first = app.stranger().get("/assets/team/pay").await.expect(200);
    let tag = first.header("etag").to_owned();
    let again =
        |tag: String| app.stranger().request(reqwest::Method::GET, "/assets/team/pay").header("if-none-match", tag);
    let unchanged = app.stranger().send(again(tag.clone())).await;
    super::publish(&app, ("team", "pay"), json!({"version": {"name": "2.0.0"}})).await;
    let changed = app.stranger().send(again(tag)).await;

    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn versions_are_listed_latest_first_and_compared_by_a_plain_form() {
    let app = TestApp::start().await;
    register(&app, "team", json!({"name": "pay", "kind": "rest", "version": {"name": "1.0.0"}})).await;
    for version in ["1.10.0", "1.9.0"] {
        super::publish(&app, ("team", "pay"), json!({"version": {"name": version, "stage": "testing"}})).await;
    }

    let answer = app.stranger().get("/assets/team/pay/versions").await.expect(200);
    let form = app.stranger().get("/assets/team/pay/diff?from=1.9.0&to=1.10.0").await.expect(200);

    let page = seen(&answer);
    let places = ["1.10.0 latest", "1.9.0 Testing", "1.0.0 Production"]
        .map(|text| page.find(text).unwrap_or_else(|| panic!("{text} is not in {page}")));
    assert!(places.is_sorted(), "{page}");
    assert!(answer.text.contains(r#"href="/assets/team/pay/versions/1.9.0/diff/1.10.0""#));
    assert!(seen(&form).contains("every operation is the same in both"), "{}", seen(&form));
}

#[tokio::test]
async fn a_difference_says_what_breaks_and_shows_changed_words() {
    let app = TestApp::start().await;
    let tool = |name: &str, text: &str, required: &[&str]| {
        json!({"name": name, "description": text,
               "inputSchema": {"type": "object", "properties": {"sql": {"type": "string"}}, "required": required}})
    };
    register(
        &app,
        "team",
        json!({"name": "db", "kind": "mcp", "version": {"name": "1"},
               "tools": [tool("run", "Execute a read-only query", &[]), tool("gone", "x", &[]), tool("same", "y", &[])]}),
    )
    .await;
    let tools = json!([tool("run", "Execute any query", &["sql"]), tool("come", "z", &[]), tool("same", "y", &[])]);
    super::publish(&app, ("team", "db"), json!({"version": {"name": "2"}, "tools": tools})).await;

    let answer = app.stranger().get("/assets/team/db/versions/1/diff/2").await.expect(200);

    let page = seen(&answer);
    for text in ["gone removed, breaking", "run breaking", "come added", "sql is required now."] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    assert!(answer.text.contains("<del>a read-only</del><ins>any</ins>"), "{}", answer.text);
    app.stranger().get("/assets/team/db/versions/1/diff/3").await.expect(404);
}

#[tokio::test]
async fn a_document_is_read_in_pages_and_taken_away_byte_for_byte() {
    let app = TestApp::start().await;
    let text: String = (1..=1_000).map(|n| format!("line {n} <b>\r\n")).collect();
    register(
        &app,
        "team",
        json!({"name": "pay", "kind": "rest", "version": {"name": "1"},
               "definition": {"format": "markdown", "name": "guide", "value": text}}),
    )
    .await;

    let page = app.stranger().get("/assets/team/pay/definition").await.expect(200);
    let next = app.stranger().get("/assets/team/pay/definition?document=guide&line=401").await.expect(200);
    let file = app.stranger().get("/assets/team/pay/versions/1/definition/guide").await.expect(200);

    assert!(seen(&page).contains("Lines 1 to 400 of 1,000"), "{}", seen(&page));
    assert!(page.text.contains(r#"<li id="L7">line 7 &lt;b&gt;</li>"#));
    assert!(
        page.text.contains("definition?document=guide&amp;line=401#L401") || page.text.contains("&#38;line=401#L401")
    );
    assert!(seen(&next).contains("line 401 <b>"), "{}", seen(&next));
    assert_eq!(file.text, text);
    let tag = file.header("etag").to_owned();
    let again = app.stranger().request(reqwest::Method::GET, "/assets/team/pay/versions/1/definition/guide");
    assert_eq!(app.stranger().send(again.header("if-none-match", tag)).await.status, 304);
    app.stranger().get("/assets/team/pay/definition?document=other").await.expect(404);
}

#[tokio::test]
async fn deployments_are_told_by_environment_and_version() {
    let app = TestApp::start().await;
    register(
        &app,
        "team",
        json!({"name": "pay", "kind": "rest", "version": {"name": "1.0.0"},
               "deployments": [{"environment": "production", "url": "https://pay.example/v1"}]}),
    )
    .await;
    super::publish(
        &app,
        ("team", "pay"),
        json!({"version": {"name": "2.0.0"}, "deployments": [{"environment": "staging", "url": "https://pay.example/v2", "active": false}]}),
    )
    .await;

    let latest = seen(&app.stranger().get("/assets/team/pay/deployments").await.expect(200));
    let old = seen(&app.stranger().get("/assets/team/pay/versions/1.0.0/deployments").await.expect(200));

    let (here, elsewhere) = latest.split_once("Where other versions run").expect("both lists are there");
    assert!(here.contains("staging https://pay.example/v2 2.0.0 switched off"), "{here}");
    assert!(elsewhere.contains("production https://pay.example/v1 1.0.0 active"), "{elsewhere}");
    assert!(old.contains("https://pay.example/v1") && !old.contains("https://pay.example/v2"), "{old}");
}

#[tokio::test]
async fn addresses_that_name_nothing_are_a_clear_404() {
    let app = TestApp::start().await;
    register(&app, "team", json!({"name": "pay", "kind": "rest", "version": {"name": "1"}})).await;

    for path in [
        "/assets/team/none",
        "/assets/none/pay",
        "/assets/team/pay/versions/9",
        "/assets/team/pay/connect/x/y",
        "/assets/team/%01",
        "/assets/team/pay/versions/%7f",
        "/assets/team/pay/definition/none",
        "/assets/team/pay/versions/1/diff/",
        "/assets/team//",
        "/assets/%0a/pay",
    ] {
        let answer = app.stranger().get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
    for path in [
        "/assets/team/pay/versions?from=99999999999999999999",
        "/assets/team/pay/definition?line=-1",
        "/assets/team/pay?from=x&from=y",
    ] {
        app.stranger().get(path).await.expect(200);
    }
}
