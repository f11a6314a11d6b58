//! Registering: one call, or a bare document.

use super::{names, petstore};
use crate::support::TestApp;
use serde_json::json;

#[tokio::test]
async fn one_call_registers_an_asset_with_its_document_and_where_it_runs() {
    let app = TestApp::start().await;
    let admin = app.admin();

    let made = admin
        .register(&json!({
            "name": "com.example/payments", "title": "Payments", "kind": "rest", "summary": "Moves money.",
            "tags": ["money"], "owners": ["team-pay"], "visibility": "public",
            "version": {"name": "2.0.0", "stage": "preview"},
            "definition": {"format": "openapi", "value": petstore("2.0.0")},
            "deployments": [{"environment": "production", "url": "https://pay.example.com"}],
            "metadata": {"cost-centre": "1234"},
        }))
        .await
        .expect(201);

    let body = made.json();
    assert_eq!(made.header("location"), format!("{}/api/v1/workspaces/default/assets/com.example%2Fpayments", app.url));
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!((&body["title"], &body["version"]["stage"]), (&json!("Payments"), &json!("preview")));
    assert_eq!(body["findings"], json!([]));
    assert_eq!(body["operationCount"], 2);
    assert_eq!(body["deployments"][0]["environment"], "production");
    let location = made.header("location").strip_prefix(&app.url).unwrap();
    let found = app.stranger().get(location).await.expect(200);
    assert_eq!(found.json()["definitions"][0]["format"], "openapi");
}

#[tokio::test]
async fn a_bare_openapi_document_registers_itself_in_json_and_in_yaml() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let yaml = "openapi: 3.0.3\ninfo:\n  title: Weather Service\n  version: 1.2.0\npaths:\n  /today:\n    get:\n      responses:\n        '200': {description: ok}\n";

    let json = admin.register(&petstore("1.0.0")).await.expect(201).json();
    let path = "/api/v1/workspaces/default/assets?visibility=internal&stage=testing&name=weather";
    let yaml = admin.send_text(path, "application/yaml", yaml).await.expect(201).json();

    assert_eq!(
        (&json["name"], &json["kind"], &json["version"]["name"]),
        (&json!("pet-store"), &json!("rest"), &json!("1.0.0"))
    );
    assert_eq!(
        (&yaml["name"], &yaml["visibility"], &yaml["version"]["stage"]),
        (&json!("weather"), &json!("internal"), &json!("testing"))
    );
    assert_eq!(yaml["version"]["name"], "1.2.0");
    let operations =
        app.stranger().get("/api/v1/workspaces/default/assets/pet-store/operations").await.expect(200).json();
    assert_eq!(names(&operations), ["listPets", "getPet"]);
    assert_eq!(operations["total"], 2);
}

#[tokio::test]
async fn a_server_json_and_an_agent_card_register_themselves() {
    let app = TestApp::start().await;
    let server = json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "com.example/files", "description": "Reads files", "version": "1.0.0",
        "remotes": [{"type": "streamable-http", "url": "https://files.example.com/mcp"}],
    });
    let card = json!({
        "protocolVersion": "0.3.0", "name": "Trip Planner", "description": "Plans trips.", "version": "1.0.0",
        "url": "https://trips.example.com/a2a", "capabilities": {}, "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "plan", "name": "Plan a trip", "description": "Finds a way", "tags": ["travel"]}],
    });

    let server = app.admin().register(&server).await.expect(201).json();
    let agent = app.admin().register(&card).await.expect(201).json();

    assert_eq!((&server["kind"], &server["name"]), (&json!("mcp"), &json!("com.example/files")));
    assert_eq!((&agent["kind"], &agent["name"]), (&json!("agent"), &json!("trip-planner")));
}

#[tokio::test]
async fn a_server_json_that_breaks_a_rule_is_refused_with_the_place() {
    let app = TestApp::start().await;
    let server = json!({
        "name": "com.example/files", "description": "Reads files", "version": "1.0.0",
        "packages": [{"registryType": "npm", "identifier": "x", "version": "latest", "transport": {"type": "stdio"}}],
    });

    let refused = app.admin().register(&server).await.expect(422);

    assert_eq!(super::places(&refused), ["/packages/0/version"]);
}

#[tokio::test]
async fn tools_told_by_hand_are_listed_with_their_schemas() {
    let app = TestApp::start().await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let body = json!({"name": "weather", "kind": "mcp", "tools": [
        {"name": "forecast", "description": "Tells the weather", "inputSchema": schema}, {"name": "list/cities"}]});
    app.admin().register(&body).await.expect(201);
    let tools = "/api/v1/workspaces/default/assets/weather/tools";

    let list = app.stranger().get(tools).await.expect(200).json();
    let detailed = app.stranger().get(&format!("{tools}?detail=true&limit=1")).await.expect(200).json();
    let one = app.stranger().get(&format!("{tools}/list%2Fcities")).await.expect(200).json();

    assert_eq!((names(&list), &list["total"]), (vec!["forecast", "list/cities"], &json!(2)));
    assert_eq!(list["items"][0].get("inputSchema"), None);
    assert_eq!(detailed["items"][0]["inputSchema"], schema);
    let next = detailed["next"].as_str().unwrap();
    let rest = app.stranger().get(&format!("{tools}?limit=1&cursor={next}")).await.expect(200).json();
    assert_eq!((names(&rest), rest.get("next")), (vec!["list/cities"], None));
    assert_eq!(one["name"], "list/cities");
}

#[tokio::test]
async fn a_name_is_taken_once_and_a_write_sent_twice_is_done_once() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let send = |key: &'static str, title: &'static str| {
        let request = admin.request(reqwest::Method::POST, "/api/v1/workspaces/default/assets");
        admin
            .send(request.header("idempotency-key", key).json(&json!({"name": "once", "kind": "rest", "title": title})))
    };

    let first = send("deed-1", "Once").await.expect(201);
    let again = send("deed-1", "Once").await.expect(201);
    let other = send("deed-1", "Twice").await;
    let taken = send("deed-2", "Once").await.expect(409);

    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(taken.json()["type"], "/problems/name-taken");
}
