//! The forms that make, change and delete pools, routes, policies, backends and prices.

use super::{GATEWAY, one_route};
use crate::support::{Answer, Person, TestApp};
use reqwest::Method;
use serde_json::json;
use wharfinger::auth::Role;

pub async fn form_sent(person: &Person<'_>, section: &str, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = format!("/gateway/{section}/edit");
    let request = person.request(Method::POST, &path).header("content-type", "application/x-www-form-urlencoded");
    person.send(request.body(body)).await
}

/// The value of the input, or the chosen option, of this name.
pub fn value(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    let rest = &page[at..];
    let tag = &rest[..rest.find('>').unwrap()];
    match tag.split_once("value=\"") {
        Some((_, value)) => value.split('"').next().unwrap().to_owned(),
        None => {
            let select = &rest[..rest.find("</select>").unwrap()];
            let chosen = select.split("<option ").find(|option| option.contains(" selected")).unwrap_or_default();
            chosen.split('"').nth(1).unwrap_or_default().to_owned()
        }
    }
}

#[tokio::test]
async fn a_pool_is_made_looked_at_changed_and_deleted_by_its_form() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let form = admin.get("/gateway/pools/new").await.expect(200).text;
    assert!(form.contains("<option value=\"eu\""), "backends are offered by name: {form}");
    let new = [
        ("name", "spare"),
        ("workspace", ""),
        ("members[0].backend", "eu"),
        ("members[0].weight", "3"),
        ("members[1].backend", ""),
        ("strategy", "least-busy"),
        ("affinity", "header:x-session, previousResponse"),
    ];

    let looked = form_sent(&admin, "pools", &[&new[..], &[("do", "plan")]].concat()).await.expect(200).text;
    assert!(looked.contains("What changes") && looked.contains("members[0].weight"), "{looked}");
    admin.get(&format!("{GATEWAY}/pools/spare")).await.expect(404);
    form_sent(&admin, "pools", &[&new[..], &[("do", "save")]].concat()).await.expect(200);
    let stored = admin.get(&format!("{GATEWAY}/pools/spare")).await.expect(200).json();
    let expected = json!({"members": [{"backend": "eu", "weight": 3}], "strategy": "least-busy",
        "affinity": [{"header": "x-session"}, "previousResponse"]});
    assert_eq!(stored["settings"], expected);

    let form = admin.get("/gateway/pools/edit?name=spare").await.expect(200).text;
    assert_eq!(value(&form, "members[0].weight"), "3");
    assert_eq!(value(&form, "affinity"), "header:x-session, previousResponse");
    let revision = value(&form, "revision");
    let change = [("name", "spare"), ("workspace", ""), ("revision", &revision), ("members[0].backend", "eu")];
    let looked = form_sent(&admin, "pools", &[&change[..], &[("do", "plan")]].concat()).await.expect(200).text;
    assert!(looked.contains("<del>3</del>") && looked.contains("<del>least-busy</del>"), "{looked}");
    form_sent(&admin, "pools", &[&change[..], &[("do", "save")]].concat()).await.expect(200);
    let late = form_sent(&admin, "pools", &[&change[..], &[("do", "save")]].concat()).await.expect(412).text;
    assert!(late.contains("Changed meanwhile") && late.contains("Open it as it is now"), "{late}");

    let chat = admin.get("/gateway/pools/edit?name=chat").await.expect(200).text;
    let used = [("name", "chat"), ("workspace", ""), ("revision", &value(&chat, "revision")), ("do", "delete")];
    let refused = form_sent(&admin, "pools", &used).await.expect(409).text;
    assert!(refused.contains("is still used by route chat"), "{refused}");
    let spare = admin.get("/gateway/pools/edit?name=spare").await.expect(200).text;
    let gone = [("name", "spare"), ("workspace", ""), ("revision", &value(&spare, "revision")), ("do", "delete")];
    form_sent(&admin, "pools", &gone).await.expect(200);
    admin.get(&format!("{GATEWAY}/pools/spare")).await.expect(404);
}

#[tokio::test]
async fn mistakes_are_told_beside_their_fields_and_what_was_written_is_kept() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;

    let unread = [
        ("name", "per-key"),
        ("workspace", ""),
        ("kind", "tokenLimit"),
        ("do", "save"),
        ("rule.tokenLimit.tokensPerMinute", "many"),
        ("rule.tokenLimit.counterKey", "{key}"),
    ];
    let page = form_sent(&admin, "policies", &unread).await.expect(422).text;
    assert!(page.contains("rule-tokenLimit-tokensPerMinute-wrong") && page.contains("value=\"many\""), "{page}");
    let template = [
        ("name", "per-key"),
        ("workspace", ""),
        ("kind", "tokenLimit"),
        ("do", "save"),
        ("rule.tokenLimit.tokensPerMinute", "20,000"),
        ("rule.tokenLimit.counterKey", "{moon}"),
    ];
    let page = form_sent(&admin, "policies", &template).await.expect(422).text;
    assert!(page.contains("rule-tokenLimit-counterKey-wrong") && page.contains("20,000"), "{page}");
    let nothing = [
        ("name", "per-key"),
        ("workspace", ""),
        ("kind", "tokenLimit"),
        ("do", "plan"),
        ("rule.tokenLimit.counterKey", "{key}"),
    ];
    let page = form_sent(&admin, "policies", &nothing).await.expect(422).text;
    assert!(page.contains("sets no limit"), "{page}");
    let unserved = [("name", "spare"), ("workspace", ""), ("serves.models", "gpt-9"), ("pool", "chat"), ("do", "save")];
    let page = form_sent(&admin, "routes", &unserved).await.expect(422).text;
    assert!(page.contains("serves-models-wrong") && page.contains("value=\"gpt-9\""), "{page}");
    let taken = [("name", "chat"), ("workspace", ""), ("members[0].backend", "eu"), ("do", "save")];
    assert!(form_sent(&admin, "pools", &taken).await.expect(422).text.contains("name-wrong"));
    let named = [("name", "Chat Pool"), ("workspace", ""), ("members[0].backend", "eu"), ("do", "save")];
    assert!(form_sent(&admin, "pools", &named).await.expect(422).text.contains("name-wrong"));
}

#[tokio::test]
async fn every_kind_of_policy_is_made_by_its_form() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let price = [("name", "gpt-4o"), ("workspace", ""), ("input", "2.5"), ("output", "10"), ("do", "save")];
    form_sent(&admin, "prices", &price).await.expect(200);
    assert!(admin.get("/gateway/policies/new").await.expect(200).text.contains("kind=semanticCache"));

    for (kind, fields, expected) in [
        (
            "tokenLimit",
            &[
                ("rule.tokenLimit.tokensPerMinute", "20,000"),
                ("rule.tokenLimit.quotas[0].period", "day"),
                ("rule.tokenLimit.quotas[0].tokens", "5000000"),
            ][..],
            json!({"counterKey": "{key}", "tokensPerMinute": 20_000, "quotas": [{"period": "day", "tokens": 5_000_000}]}),
        ),
        (
            "requestRate",
            &[("rule.requestRate.requests", "10")],
            json!({"counterKey": "{key}", "requests": 10, "per": "1m"}),
        ),
        (
            "budget",
            &[("rule.budget.soft", "800"), ("rule.budget.hard", "1000.5")],
            json!({"counterKey": "{workspace}", "period": "month", "soft": 800, "hard": 1000.5}),
        ),
        ("modelAllowList", &[("rule.modelAllowList.models", "gpt-4o")], json!({"models": ["gpt-4o"]})),
        (
            "ipFilter",
            &[("rule.ipFilter.allow", "10.0.0.0/8, 192.0.2.1")],
            json!({"allow": ["10.0.0.0/8", "192.0.2.1"]}),
        ),
        (
            "sizeLimit",
            &[("rule.sizeLimit.inputTokens", "8000"), ("rule.sizeLimit.responseBytes", "65536")],
            json!({"inputTokens": 8_000, "responseBytes": 65_536}),
        ),
        (
            "headers",
            &[("rule.headers.request.set", "x-team: {workspace}")],
            json!({"request": {"set": {"x-team": "{workspace}"}}}),
        ),
        (
            "content",
            &[("rule.content.masks", "email\nAC-[0-9]{6}"), ("rule.content.restore", "yes")],
            json!({"masks": [{"known": "email"}, {"pattern": "AC-[0-9]{6}"}], "restore": true}),
        ),
        (
            "guardHook",
            &[("rule.guardHook.url", "https://guard.example.com/ask"), ("rule.guardHook.looksAt", "both")],
            json!({"url": "https://guard.example.com/ask", "looksAt": "both"}),
        ),
        (
            "semanticCache",
            &[("rule.semanticCache.share", "workspace")],
            json!({"threshold": 0.95, "ttl": "1h", "maxMessages": 10, "share": "workspace"}),
        ),
        (
            "tokenMetrics",
            &[("rule.tokenMetrics.dimensions", "team: {workspace}")],
            json!({"dimensions": {"team": "{workspace}"}}),
        ),
        (
            "promptLog",
            &[("rule.promptLog.retention", "7d")],
            json!({"requests": true, "responses": true, "maxBytes": 32_768, "retention": "7d", "percentage": 100}),
        ),
    ] {
        let name = kind.to_lowercase();
        let form = admin.get(&format!("/gateway/policies/new?kind={kind}")).await.expect(200).text;
        // What stands in the form already is sent along, as a browser does.
        let mut all: Vec<(String, String)> = vec![
            ("name".into(), name.clone()),
            ("workspace".into(), String::new()),
            ("kind".into(), kind.into()),
            ("reach".into(), "all".into()),
            ("do".into(), "save".into()),
        ];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        for part in form.split("name=\"rule.").skip(1) {
            let field = format!("rule.{}", part.split('"').next().unwrap());
            let tag = &part[..part.find('>').unwrap()];
            let stands = tag.contains("checked")
                || !tag.contains("type=\"checkbox\"") && tag.contains("value=\"") && !tag.contains("value=\"\"");
            if stands && all.iter().all(|(name, _)| *name != field) {
                all.push((field.clone(), tag.split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned()));
            } else if all.iter().all(|(name, _)| *name != field)
                && form.contains(&format!("<select id=\"{}\"", field.replace('.', "-")))
            {
                all.push((field.clone(), value(&form, &field)));
            }
        }
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

        form_sent(&admin, "policies", &all).await.expect(200);

        let stored = admin.get(&format!("{GATEWAY}/policies/{name}")).await.expect(200).json();
        let mut rule = stored["settings"]["rule"][kind].clone();
        if let Some(threshold) = rule["threshold"].as_f64() {
            rule["threshold"] = json!((threshold * 1_000.0).round() / 1_000.0);
        }
        assert_eq!(rule, expected, "{kind}");
        let shown = admin.get(&format!("/gateway/policies/edit?name={name}")).await.expect(200).text;
        assert!(shown.contains("Show what changes"), "{shown}");
    }
    let limits = admin.get("/gateway/limits").await.expect(200).text;
    assert!(limits.contains("20,000 tokens a minute") && limits.contains("2.5"), "{limits}");
}

#[tokio::test]
async fn what_a_form_does_not_show_is_kept_and_yaml_shows_all() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let backend = json!({"provider": "openai", "url": "https://api.example.com/v1", "models": {"gpt-4o": "gpt-4o"},
        "prices": {"gpt-4o": {"input": 1, "output": 2}}, "headers": {"openai-organization": "org"}});
    admin.put(&format!("{GATEWAY}/backends/eu"), &backend).await.expect(200);
    let form = admin.get("/gateway/backends/edit?name=eu").await.expect(200).text;
    let fields = [
        ("name", "eu"),
        ("workspace", ""),
        ("revision", &value(&form, "revision")),
        ("provider", "openai"),
        ("url", "https://api.example.com/v1"),
        ("models", "gpt-4o: gpt-4o"),
        ("timeouts.idle", "30s"),
        ("do", "save"),
    ];

    form_sent(&admin, "backends", &fields).await.expect(200);

    let stored = admin.get(&format!("{GATEWAY}/backends/eu")).await.expect(200).json();
    assert_eq!(stored["settings"]["prices"], backend["prices"]);
    assert_eq!(stored["settings"]["headers"], backend["headers"]);
    assert_eq!(stored["settings"]["timeouts"]["idle"], "30s");
    let text = admin.get("/gateway/backends/edit?name=eu&as=yaml").await.expect(200).text;
    assert!(text.contains("openai-organization: org"), "{text}");
    let revision = value(&text, "revision");
    let broken =
        [("name", "eu"), ("workspace", ""), ("revision", &*revision), ("yaml", "provider: [openai"), ("do", "save")];
    assert!(form_sent(&admin, "backends", &broken).await.expect(422).text.contains("line 1"));
    let wrong = [
        ("name", "eu"),
        ("workspace", ""),
        ("revision", &*revision),
        ("do", "save"),
        ("yaml", "provider: openai\nurl: https://api.example.com/v1\ntimeouts:\n  idle: soon\n"),
    ];
    assert!(form_sent(&admin, "backends", &wrong).await.expect(422).text.contains("timeouts.idle"));
    let right = [
        ("name", "eu"),
        ("workspace", ""),
        ("revision", &*revision),
        ("do", "save"),
        ("yaml", "provider: openai\nurl: https://api.example.com/v1\nmodels:\n  gpt-4o: gpt-4o\n"),
    ];
    form_sent(&admin, "backends", &right).await.expect(200);
    let stored = admin.get(&format!("{GATEWAY}/backends/eu")).await.expect(200).json();
    assert_eq!(stored["settings"].get("headers"), None);
}

#[tokio::test]
async fn forms_are_for_those_who_look_after_what_they_change() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let local = app.member(Role::Administrator, "team").await;
    let publisher = app.member(Role::Publisher, "team").await;
    let fields = [
        ("name", "mine"),
        ("workspace", "team"),
        ("provider", "openai"),
        ("url", "https://api.example.com/v1"),
        ("do", "save"),
    ];

    publisher.get("/gateway/pools/new").await.expect(403);
    form_sent(&publisher, "backends", &fields).await.expect(403);
    app.stranger().get("/gateway/pools/new").await.expect(401);
    let form = local.get("/gateway/backends/new").await.expect(200).text;
    assert!(form.contains("workspace team") && !form.contains("the instance, for everybody"), "{form}");
    form_sent(&local, "backends", &fields).await.expect(200);
    let of_instance = [
        ("name", "eu"),
        ("workspace", ""),
        ("provider", "openai"),
        ("url", "https://x.example.com/v1"),
        ("do", "save"),
    ];
    form_sent(&local, "backends", &of_instance).await.expect(403);
    local.get("/gateway/pools/edit?name=chat").await.expect(403);
    let elsewhere = [
        ("name", "eu"),
        ("workspace", "nowhere"),
        ("provider", "openai"),
        ("url", "https://x.example.com/v1"),
        ("do", "save"),
    ];
    form_sent(&local, "backends", &elsewhere).await.expect(404);
    let forged = admin.request(Method::POST, "/gateway/pools/edit").header("sec-fetch-site", "cross-site");
    let forged =
        forged.header("content-type", "application/x-www-form-urlencoded").body("name=chat&workspace=&do=delete");
    admin.send(forged).await.expect(403);
    admin.get("/gateway/secrets/new").await.expect(404);
    assert!(!local.get("/gateway/pools").await.expect(200).text.contains("/gateway/pools/edit?name=chat"));
}
