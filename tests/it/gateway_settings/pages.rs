//! The pages about the gateway.

use super::{GATEWAY, one_route};
use crate::support::{Answer, Person, TestApp};
use reqwest::Method;
use serde_json::json;
use wharfinger::auth::Role;

async fn submit(person: &Person<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = person.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    person.send(request.body(body)).await
}

#[tokio::test]
async fn pools_backends_routes_and_limits_are_shown_to_those_who_look_after_them() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let limit =
        json!({"reach": "all", "rule": {"tokenLimit": {"counterKey": "{workspace}", "tokensPerMinute": 20000}}});
    admin.put(&format!("{GATEWAY}/policies/per-team"), &limit).await.expect(201);

    for (page, words) in [
        ("pools", &["chat", "Serves gpt-4o.", "api.example.com, no credential", "Drain"][..]),
        ("backends", &["openai", "https://api.example.com/v1", "after 3 failures in 1m left alone for 30s"][..]),
        ("routes", &["<code>gpt-4o</code>", "per-team", "consumers of any workspace"][..]),
        ("limits", &["20,000 tokens a minute", "{workspace}", "all routes"][..]),
    ] {
        let shown = admin.get(&format!("/gateway/{page}")).await.expect(200).text;
        for word in words {
            assert!(shown.contains(word), "{page} does not say {word:?}");
        }
    }
    let member = app.member(Role::Reader, "team").await;
    let shown = member.get("/gateway/pools").await.expect(200).text;
    assert!(!shown.contains("chat"), "what is the instance's is not everybody's to see");
    app.stranger().get("/gateway/pools").await.expect(401);
}

#[tokio::test]
async fn answers_are_taken_out_of_the_cache_by_a_form_where_any_are_kept() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let limits = "/gateway/limits";
    assert!(!admin.get(limits).await.expect(200).text.contains("Take out"), "nothing is kept");
    let again = json!({"reach": "all", "rule": {"semanticCache": {}}});
    admin.put(&format!("{GATEWAY}/policies/again"), &again).await.expect(201);
    let shown = admin.get(limits).await.expect(200).text;
    assert!(shown.contains("0 answers, 0 bytes, on the replica that answered"), "{shown}");

    let done = submit(&admin, "/gateway/purge", &[("route", "chat"), ("asset", " "), ("key", "")]).await.expect(200);
    assert!(done.text.contains("0 answers were taken out of the cache"), "{}", done.text);
    let audit = admin.get("/api/v1/audit?verb=cache.purge").await.expect(200).json();
    assert_eq!(audit["items"][0]["after"], json!({"route": "chat", "asset": null, "key": null}));

    let long = "x".repeat(201);
    for wrong in [&long, "a\0b"] {
        submit(&admin, "/gateway/purge", &[("key", wrong)]).await.expect(422);
    }
    admin.post("/api/v1/gateway/cache/purge", &json!({"key": long})).await.expect(422);
    let member = app.member(Role::Publisher, "team").await;
    assert!(!member.get(limits).await.expect(200).text.contains("Take out"));
    submit(&member, "/gateway/purge", &[]).await.expect(403);
    let from_elsewhere = admin.request(Method::POST, "/gateway/purge").header("sec-fetch-site", "cross-site");
    let from_elsewhere = from_elsewhere.header("content-type", "application/x-www-form-urlencoded");
    admin.send(from_elsewhere.body("route=chat")).await.expect(403);
}

#[tokio::test]
async fn a_backend_is_drained_by_a_form_and_put_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let form = |drained: &'static str| [("backend", "eu"), ("workspace", ""), ("drained", drained)];

    assert!(submit(&admin, "/gateway/drain", &form("true")).await.text.contains("drained"));
    assert!(app.handles.gateway.snapshot().backends().next().unwrap().settings.drained);
    submit(&admin, "/gateway/drain", &form("false")).await.expect(200);
    assert!(!app.handles.gateway.snapshot().backends().next().unwrap().settings.drained);

    let member = app.member(Role::Publisher, "team").await;
    submit(&member, "/gateway/drain", &form("true")).await.expect(403);
    let from_elsewhere = admin.request(Method::POST, "/gateway/drain").header("sec-fetch-site", "cross-site");
    let from_elsewhere = from_elsewhere.header("content-type", "application/x-www-form-urlencoded");
    admin.send(from_elsewhere.body("backend=eu&workspace=&drained=true")).await.expect(403);
}

#[tokio::test]
async fn an_import_by_the_form_leads_to_its_asset_and_a_mistake_is_told_beside_its_field() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let form = |name: &'static str, limit: &'static str| {
        [
            ("source", "azure-openai"),
            ("name", name),
            ("url", "https://contoso.openai.azure.com"),
            ("key", "CANARY-key"),
            ("models", "gpt-4o-eu, embed"),
            ("limit", limit),
            ("workspace", ""),
        ]
    };

    let wrong = submit(&admin, "/gateway/import", &form("Azure EU", "20,000")).await.expect(422);
    assert!(wrong.text.contains("name-wrong") && wrong.text.contains("contoso"), "the form keeps what was written");
    assert!(!wrong.text.contains("CANARY"), "but for the key");
    let done = submit(&admin, "/gateway/import", &form("azure-eu", "20,000")).await.expect(200);
    assert!(done.text.contains("azure-eu") && done.text.contains("gpt-4o-eu"), "the asset's page");
    let listed = admin.get("/gateway/backends").await.text;
    assert!(listed.contains("embed, gpt-4o-eu") && !listed.contains("CANARY"));
}
