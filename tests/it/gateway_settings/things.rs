//! Backends, pools, routes and policies: made, changed, taken away, in force at once and everywhere.

use super::{GATEWAY, backend, one_route, places};
use crate::support::TestApp;
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wharfinger::auth::{Actor, Role};
use wharfinger::gateway::Gateway;

#[tokio::test]
async fn what_is_put_is_stored_in_force_and_taken_away_again() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let system = Actor::system("test");

    one_route(&admin, "gpt-4o").await;
    let snapshot = app.handles.gateway.snapshot();
    let found = snapshot.route_for_model(&system, "gpt-4o").expect("the route is in force when the write is answered");
    assert_eq!(found.pool.members[0].backend.name, "eu");

    let read = admin.get(&format!("{GATEWAY}/backends/eu")).await.expect(200);
    assert_eq!((read.header("etag"), &read.json()["settings"]), ("\"1\"", &backend("gpt-4o")));
    let slower = json!({"provider": "openai", "url": "https://api.example.com/v1", "timeouts": {"total": "5m"}});
    let changed = admin.put(&format!("{GATEWAY}/backends/eu"), &slower).await.expect(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    admin.put(&format!("{GATEWAY}/backends/eu"), &slower).await.expect(200);
    let same = admin.get(&format!("{GATEWAY}/backends/eu")).await.expect(200);
    assert_eq!(same.header("etag"), "\"2\"", "the same again changes nothing");

    let used = admin.delete(&format!("{GATEWAY}/backends/eu")).await.expect(409);
    assert!(used.text.contains("pool chat"), "{}", used.text);
    for path in ["routes/chat", "pools/chat", "backends/eu"] {
        admin.delete(&format!("{GATEWAY}/{path}")).await.expect(204);
        admin.get(&format!("{GATEWAY}/{path}")).await.expect(404);
    }
    assert!(app.handles.gateway.snapshot().route_for_model(&system, "gpt-4o").is_none());
    assert!(snapshot.route_for_model(&system, "gpt-4o").is_some(), "whoever began with the old settings keeps them");
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "a").await;
    let path = format!("{GATEWAY}/pools/chat");
    let send = |tag: &'static str, weight: u32| {
        let body = json!({"members": [{"backend": "eu", "weight": weight}]});
        admin.send(admin.request(Method::PUT, &path).header("if-match", tag).json(&body))
    };

    send("\"1\"", 2).await.expect(200);
    send("\"1\"", 3).await.expect(412);

    let stored = admin.get(&path).await.json();
    assert_eq!(stored["settings"]["members"][0]["weight"], 2);
}

#[tokio::test]
async fn what_could_never_take_effect_is_refused_by_its_place_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "a").await;

    for (path, body, place) in [
        ("backends/x", json!({"provider": "openai", "url": "http://127.0.0.1:11434/v1"}), "body.url"),
        ("backends/x", json!({"provider": "openai", "url": "https://169.254.169.254/"}), "body.url"),
        (
            "backends/x",
            json!({"provider": "openai", "url": "https://a.example.com", "timeouts": {"idle": 5}}),
            "body.timeouts.idle",
        ),
        ("backends/x", json!({"provider": "openai", "url": "https://a.example.com", "ulr": ""}), "body.ulr"),
        ("backends/Not-a-slug", backend("a"), "path.name"),
        ("pools/x", json!({"members": []}), "body.members"),
        ("pools/x", json!({"members": [{"backend": "gone"}]}), "body.members[0].backend"),
        ("routes/x", json!({"serves": {"models": ["b"]}, "pool": "chat"}), "body.serves.models[0]"),
        ("routes/x", json!({"serves": {"models": ["a"]}, "pool": "chat"}), "body.serves.models[0]"),
        (
            "routes/x",
            json!({"serves": {"models": ["a"]}, "pool": "chat", "asset": "default/none"}),
            "body.serves.models[0]",
        ),
        ("policies/x", json!({"rule": {"tokenLimit": {}}}), "body.rule.tokenLimit"),
        (
            "policies/x",
            json!({"rule": {"tokenLimit": {"counterKey": "{subscription}"}}}),
            "body.rule.tokenLimit.counterKey",
        ),
        (
            "policies/x",
            json!({"rule": {"tokenLimit": {"tokensPerMinute": 1}}, "when": {"models": ["b"]}}),
            "body.when.models[0]",
        ),
        ("prices/a", json!({"input": -1}), "body.input"),
        (
            "backends/eu",
            json!({"provider": "openai", "url": "https://api.example.com/v1", "models": {"b": "b"}}),
            "body",
        ),
    ] {
        let refused = admin.put(&format!("{GATEWAY}/{path}"), &body).await;
        assert_eq!(refused.status, 422, "{path} {body}: {}", refused.text);
        assert!(places(&refused).contains(&place.to_owned()), "{path} {body}: {}", refused.text);
    }
    let stored: Vec<String> = {
        let file = admin.get(&format!("{GATEWAY}/export?format=json")).await.json();
        file.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(stored, ["backends", "pools", "routes"]);
}

#[tokio::test]
async fn hosts_that_the_operator_allowed_may_be_backends() {
    let settings = [("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1")];
    let app = TestApp::start_with(&settings, wharfinger::embed::Embedder::hashed()).await;

    let local = json!({"provider": "compatible", "url": "http://127.0.0.1:11434/v1"});
    app.admin().put(&format!("{GATEWAY}/backends/ollama"), &local).await.expect(201);
    let other = json!({"provider": "compatible", "url": "http://127.0.0.2:11434/v1"});
    app.admin().put(&format!("{GATEWAY}/backends/other"), &other).await.expect(422);
}

#[tokio::test]
async fn only_those_who_look_after_the_gateway_change_it_and_strangers_learn_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "a").await;
    let member = app.member(Role::Publisher, "team").await;
    admin.put(&format!("{GATEWAY}/backends/own?workspace=team"), &backend("b")).await.expect(201);
    admin.post("/api/v1/workspaces", &json!({"name": "other", "title": "Other"})).await.expect(201);

    for path in ["backends", "backends/eu", "export", "pools/none"] {
        app.stranger().get(&format!("{GATEWAY}/{path}")).await.expect(401);
    }
    member.get(&format!("{GATEWAY}/backends")).await.expect(403);
    member.put(&format!("{GATEWAY}/backends/eu"), &backend("c")).await.expect(403);
    member.put(&format!("{GATEWAY}/backends/own?workspace=team"), &backend("c")).await.expect(403);
    member.post(&format!("{GATEWAY}/rewrap"), &json!({})).await.expect(403);
    for verb in ["drain", "resume"] {
        member.post(&format!("{GATEWAY}/backends/own/{verb}?workspace=team"), &json!({})).await.expect(403);
        member.post(&format!("{GATEWAY}/backends/eu/{verb}"), &json!({})).await.expect(403);
        app.stranger().post(&format!("{GATEWAY}/backends/eu/{verb}"), &json!({})).await.expect(401);
    }
    member.get(&format!("{GATEWAY}/backends/own/state?workspace=team")).await.expect(200);
    for of_instance in ["backends/eu/state", "pools/chat/state"] {
        member.get(&format!("{GATEWAY}/{of_instance}")).await.expect(403);
        app.stranger().get(&format!("{GATEWAY}/{of_instance}")).await.expect(401);
    }
    member.get(&format!("{GATEWAY}/pools/none/state?workspace=other")).await.expect(404);
    let own = member.get(&format!("{GATEWAY}/backends?workspace=team")).await.expect(200);
    assert_eq!(own.json()["total"], 1);
    let theirs = member.get(&format!("{GATEWAY}/backends?workspace=other")).await.expect(404);
    let none = member.get(&format!("{GATEWAY}/backends?workspace=none")).await.expect(404);
    assert_eq!(theirs.json()["detail"].as_str().unwrap().replace("other", "none"), none.json()["detail"]);
    let file = member.get(&format!("{GATEWAY}/export")).await.expect(200).text;
    assert!(file.contains("own") && !file.contains("eu"), "{file}");
}

#[tokio::test]
async fn a_backend_is_drained_and_put_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "a").await;
    let is_drained = || app.handles.gateway.snapshot().backends().next().unwrap().settings.drained;

    let drained = admin.post(&format!("{GATEWAY}/backends/eu/drain"), &json!({})).await.expect(200);
    assert!(is_drained() && drained.json()["settings"]["drained"] == true);
    admin.post(&format!("{GATEWAY}/backends/eu/drain"), &json!({})).await.expect(200);
    admin.post(&format!("{GATEWAY}/backends/eu/resume"), &json!({})).await.expect(200);
    assert!(!is_drained());
    admin.post(&format!("{GATEWAY}/backends/none/drain"), &json!({})).await.expect(404);

    let recorded = "select verb from audit where verb ~ '^backend' order by sequence";
    let verbs: Vec<String> = sqlx::query_scalar(recorded).fetch_all(&app.handles.db.read).await.unwrap();
    assert_eq!(verbs, ["backend.create", "backend.drain", "backend.resume"], "and nothing for what was so already");
}

#[tokio::test]
async fn every_change_leaves_its_audit_record() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "a").await;
    admin
        .put(&format!("{GATEWAY}/pools/chat"), &json!({"members": [{"backend": "eu", "weight": 2}]}))
        .await
        .expect(200);
    admin.delete(&format!("{GATEWAY}/routes/chat")).await.expect(204);

    let verbs: Vec<String> =
        sqlx::query_scalar("select verb from audit where verb ~ '^(backend|pool|route)' order by sequence")
            .fetch_all(&app.handles.db.read)
            .await
            .unwrap();
    assert_eq!(verbs, ["backend.create", "pool.create", "route.create", "pool.update", "route.delete"]);
}

#[tokio::test]
async fn another_replica_goes_by_a_change_within_a_second() {
    let app = TestApp::start().await;
    let replica = Gateway::new(app.handles.db.clone(), app.clock.clone(), &app.handles.config);
    let stop = CancellationToken::new();
    tokio::spawn(replica.clone().follow(stop.clone()));
    let system = Actor::system("test");

    one_route(&app.admin(), "gpt-4o").await;

    let begun = Instant::now();
    while replica.snapshot().route_for_model(&system, "gpt-4o").is_none() {
        // The bound is a second; a busy machine is given more, so that the story fails for its reason only.
        assert!(begun.elapsed() < Duration::from_secs(10), "the replica does not hear of the change");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
}

#[tokio::test]
async fn a_condition_on_somebody_who_is_not_here_is_warned_of() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.person("anna").await;
    app.group("quay", &["anna"]).await;
    let policy = json!({
        "rule": {"tokenLimit": {"tokensPerMinute": 1_000}}, "reach": "all",
        "when": {"users": ["anna", "ana"], "groups": ["quay", "quai"], "keys": ["admin", "admni"]},
    });
    let slips = json!([
        "there is no key admni here",
        "there is no person or service account ana here",
        "there is no group quai here",
    ]);
    let path = format!("{GATEWAY}/policies/crew");
    assert_eq!(admin.put(&path, &policy).await.expect(201).json()["warnings"], slips);
    assert_eq!(admin.get(&path).await.expect(200).json()["warnings"], slips);
    let file = admin.get(&format!("{GATEWAY}/export")).await.expect(200).text;
    let plan = admin.post(&format!("{GATEWAY}/apply"), &json!({"file": file, "dryRun": true})).await.expect(200).json();
    assert_eq!(plan["warnings"][0], "policy crew, when.keys: there is no key admni here");

    // Who looks after a workspace learns nothing of others from it.
    let of_workspace = admin.put(&format!("{path}?workspace=default"), &policy).await.expect(201).json();
    assert_eq!(of_workspace.get("warnings"), None);
}
