//! Many at once, in and out.

use super::names;
use crate::support::{Answer, Person, TestApp, shared};
use serde_json::{Value, json};

async fn import(person: &Person<'_>, query: &str, lines: impl Into<reqwest::Body>) -> Answer {
    person.send_text(&format!("/api/v1/import{query}"), "application/x-ndjson", lines).await
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[tokio::test]
async fn a_rejected_line_loses_no_other_and_says_why() {
    let app = TestApp::start().await;
    let text = format!(
        "{}\nnot json\n\n{}\n{}\n{}",
        json!({"name": "first", "kind": "rest"}),
        json!({"name": "bad name", "kind": "rest"}),
        json!({"name": "com.example/thing", "version": "1.0.0", "description": "X", "packages": [{"registryType": "npm",
            "identifier": "x", "version": "latest", "transport": {"type": "stdio"}}]}),
        json!({"id": "7", "kind": "mcp", "name": "short", "title": "Short", "description": "A short form.",
            "tools": [{"name": "one"}], "tags": ["a"]}),
    );

    let report = import(&app.admin(), "", text).await.expect(200).json();

    assert_eq!((&report["lines"], &report["registered"], &report["rejectedTotal"]), (&json!(5), &json!(2), &json!(3)));
    let rejected: Vec<_> =
        report["rejected"].as_array().unwrap().iter().map(|one| (one["line"].clone(), one["name"].clone())).collect();
    assert_eq!(
        rejected,
        [(json!(2), Value::Null), (json!(4), json!("bad name")), (json!(5), json!("com.example/thing"))]
    );
    assert!(report["rejected"][1]["reason"].as_str().unwrap().contains("plain slug"), "{report}");
    assert_eq!(report["rejected"][2]["errors"][0]["location"], "/packages/0/version");
    let mut found = app.stranger().get("/api/v1/assets").await.json();
    found["items"].as_array_mut().unwrap().sort_by_key(|item| item["name"].to_string());
    assert_eq!(names(&found), ["first", "short"]);
}

#[tokio::test]
async fn a_line_may_name_its_document_by_an_address() {
    let document = json!({"openapi": "3.1.0", "info": {"title": "Tides", "version": "2"},
        "paths": {"/tides": {"get": {"summary": "High and low water"}}}});
    let text = document.to_string();
    let router = axum::Router::new().route("/tides", axum::routing::get(|| async { text }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = [("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8")];
    let app = TestApp::start_with(&settings, wharfinger::embed::Embedder::hashed()).await;
    let named = |name: &str, path: &str| json!({"name": name, "kind": "rest", "definition": {"format": "openapi", "url": format!("{address}{path}")}});

    let text = lines(&[named("tides", "/tides"), named("lost", "/nowhere")]);
    let report = import(&app.admin(), "", text).await.expect(200).json();

    assert_eq!((&report["registered"], &report["rejectedTotal"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(report["rejected"][0]["errors"][0]["location"], "body.definition.url");
    let operations = app.admin().get("/api/v1/workspaces/default/assets/tides/operations").await.expect(200).json();
    assert_eq!(operations["total"], 1);
}

#[tokio::test]
async fn the_same_lines_again_change_nothing_and_a_dry_run_stores_nothing() {
    let app = TestApp::start().await;
    let text = lines(&[json!({"name": "a", "kind": "rest"}), json!({"name": "b", "kind": "mcp", "workspace": "team"})]);

    let tried = import(&app.admin(), "?dryRun=true", text.clone()).await.expect(200).json();
    assert_eq!(
        (&tried["registered"], &app.admin().get("/api/v1/assets").await.json()["total"]),
        (&json!(2), &json!(0))
    );
    import(&app.admin(), "", text.clone()).await.expect(200);
    let again = import(&app.admin(), "", text).await.expect(200).json();

    assert_eq!((&again["unchanged"], &again["registered"], &again["updated"]), (&json!(2), &json!(0), &json!(0)));
    app.admin().get("/api/v1/workspaces/team/assets/b").await.expect(200);
}

#[tokio::test]
async fn strangers_and_readers_import_nothing() {
    let app = TestApp::start().await;
    let reader = app.member(wharfinger::auth::Role::Reader, "default").await;

    import(&app.stranger(), "", "x").await.expect(401);
    import(&reader, "", "x").await.expect(403);
}

#[tokio::test]
async fn an_export_gives_everything_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin
        .put(
            "/api/v1/workspaces/default/metadata-schemas/tier",
            &json!({"schema": {"type": "integer"}, "assignedTo": ["asset"]}),
        )
        .await
        .expect(201);
    admin
        .register(&json!({
            "name": "com.example/payments", "kind": "rest", "title": "Payments", "visibility": "private", "tags": ["money"],
            "owners": ["pay"], "metadata": {"tier": 1}, "definition": {"value": super::petstore("1.0.0").to_string()},
            "definitions": [{"name": "guide", "format": "markdown", "value": "# Guide"}],
            "deployments": [{"environment": "production", "url": "https://pay.example.com", "title": "Main"}],
        }))
        .await
        .expect(201);
    admin
        .post("/api/v1/workspaces/default/assets/com.example%2Fpayments/versions", &super::petstore("2.0.0"))
        .await
        .expect(201);
    admin
        .patch("/api/v1/workspaces/default/assets/com.example%2Fpayments/versions/1.0.0", &json!({"stage": "retired"}))
        .await
        .expect(200);
    let tool =
        json!({"name": "weather", "kind": "mcp", "tools": [{"name": "forecast", "inputSchema": {"type": "object"}}]});
    admin.register(&tool).await.expect(201);

    let export = admin.get("/api/v1/export").await.expect(200);
    let empty = TestApp::start().await;
    let report = import(&empty.admin(), "", export.text.clone()).await.expect(200).json();

    assert_eq!(export.header("content-type"), "application/x-ndjson");
    assert_eq!(
        (&report["lines"], &report["registered"], &report["updated"]),
        (&json!(3), &json!(2), &json!(1)),
        "{report}"
    );
    assert_eq!(empty.admin().get("/api/v1/export").await.expect(200).text, export.text);
    for path in [
        "/api/v1/workspaces/default/assets/com.example%2Fpayments",
        "/api/v1/workspaces/default/assets/com.example%2Fpayments/versions/1.0.0",
        "/api/v1/workspaces/default/assets/weather",
    ] {
        let (here, there) =
            (admin.get(path).await.expect(200).json(), empty.admin().get(path).await.expect(200).json());
        assert_eq!(plain(here), plain(there), "{path}");
    }
    let content = "/api/v1/workspaces/default/assets/com.example%2Fpayments/versions/1.0.0/definitions/openapi/content";
    assert_eq!(empty.admin().get(content).await.expect(200).text, super::petstore("1.0.0").to_string());
    let again = import(&empty.admin(), "", export.text).await.expect(200).json();
    assert_eq!(again["unchanged"], 3, "{again}");
}

/// Without ids, times and revisions, which each instance makes for itself.
fn plain(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for own in ["id", "revision", "createdAt", "updatedAt", "statusChangedAt"] {
                    map.remove(own);
                }
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[tokio::test]
async fn an_export_holds_what_the_asker_may_see() {
    let app = TestApp::start().await;
    app.admin().register(&json!({"name": "open", "kind": "rest"})).await.expect(201);
    app.admin().register(&json!({"name": "hidden", "kind": "rest", "visibility": "private"})).await.expect(201);

    let text = app.stranger().get("/api/v1/export").await.expect(200).text;

    assert!(text.contains("\"open\"") && !text.contains("hidden"), "{text}");
    app.stranger().get("/api/v1/export?workspace=nowhere").await.expect(404);
}

#[tokio::test]
async fn the_official_snapshot_comes_in_with_its_versions_and_flags_and_its_faults_named() {
    let Some(shared) = shared() else { return };
    let app = TestApp::start().await;
    let text = std::fs::read_to_string(shared.join("corpus/mcp-servers/official-snapshot-2025-12-12.jsonl")).unwrap();

    let report = import(&app.admin(), "", text.clone()).await.expect(200).json();

    // Eight servers whose latest version breaks a rule, and three older versions that do.
    let rejected: Vec<_> =
        report["rejected"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let of = |name: &str| rejected.iter().filter(|one| one.ends_with(name)).count();
    assert_eq!((rejected.len(), of("/memphora"), of("/mcp-server-fear-greed")), (11, 2, 1), "{rejected:?}");
    assert_eq!(report["registered"].as_u64().unwrap() + report["updated"].as_u64().unwrap(), 2_617);
    let mut checked = 0;
    for line in text.lines().step_by(7) {
        let entry: Value = serde_json::from_str(line).unwrap();
        let (name, version) = (entry["server"]["name"].as_str().unwrap(), entry["server"]["version"].as_str().unwrap());
        if rejected.contains(&name) {
            continue;
        }
        let path = format!("/api/v1/workspaces/default/assets/{}/versions/{version}", name.replace('/', "%2F"));
        let stored = app.stranger().get(&path).await.expect(200).json();
        let told = &entry["_meta"]["io.modelcontextprotocol.registry/official"]["isLatest"];
        assert_eq!(&stored["isLatest"], told, "{name} {version}");
        checked += 1;
    }
    assert!(checked > 300);
}

#[tokio::test]
async fn all_real_servers_come_in_and_a_second_time_nothing_changes() {
    let Some(shared) = shared() else { return };
    let app = TestApp::start().await;
    let text = std::fs::read_to_string(shared.join("corpus/mcp-servers/servers.jsonl")).unwrap();

    let begun = std::time::Instant::now();
    let first = import(&app.admin(), "", text.clone()).await.expect(200).json();
    eprintln!("{} lines imported in {:.1} s", first["lines"], begun.elapsed().as_secs_f32());
    let again = import(&app.admin(), "", text).await.expect(200).json();

    assert_eq!((&first["registered"], &first["rejectedTotal"]), (&json!(5_789), &json!(0)), "{:#}", first["rejected"]);
    assert_eq!(again["unchanged"], 5_789);
}
