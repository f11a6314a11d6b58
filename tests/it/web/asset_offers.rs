//! What an asset offers and how to connect: tools and operations with permalinks, install forms, first calls.

use super::{assert_harmless, register, seen};
use crate::support::{TestApp, shared};
use serde_json::{Value, json};

/// No page of an asset is larger, in bytes of HTML.
const LARGEST: usize = 30_000;

fn openapi() -> Value {
    json!({
        "openapi": "3.1.0", "info": {"title": "Berths", "version": "2.1.0"},
        "servers": [{"url": "https://berths.example/v2"}],
        "security": [{"token": ["berths:read"]}],
        "paths": {
            "/berths": {"get": {
                "operationId": "listBerths", "summary": "Lists the berths", "tags": ["Berths"],
                "parameters": [
                    {"name": "limit", "in": "query", "description": "How many", "schema": {"type": "integer", "default": 20, "maximum": 100}},
                    {"name": "X-Trace", "in": "header", "required": true, "schema": {"type": "string"}},
                ],
                "responses": {"200": {"description": "All of them", "content": {"application/json": {"schema": {
                    "type": "array", "items": {"$ref": "#/components/schemas/Berth"}}}}}},
            }},
            "/berths/{id}": {"put": {
                "operationId": "putBerth", "summary": "Changes a berth", "tags": ["Berths"], "deprecated": true,
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Berth"}}}},
                "responses": {"204": {"description": "Changed"}},
            }},
        },
        "components": {"schemas": {"Berth": {
            "type": "object", "required": ["length"],
            "properties": {"length": {"type": "number", "description": "In metres"},
                           "quay": {"type": "object", "properties": {"name": {"type": "string", "enum": ["north", "south"]}}}},
        }}},
    })
}

#[tokio::test]
async fn each_operation_has_a_page_that_says_how_to_call_it() {
    let app = TestApp::start().await;
    register(&app, "team", json!({"name": "berths", "kind": "rest", "definition": {"value": openapi()}})).await;

    let list = app.stranger().get("/assets/team/berths/operations").await.expect(200);
    let get = app.stranger().get("/assets/team/berths/versions/2.1.0/operations/listBerths").await.expect(200);
    let put = app.stranger().get("/assets/team/berths/operations/putBerth").await.expect(200);

    assert!(list.text.contains(r#"href="/assets/team/berths/operations/listBerths""#), "{}", list.text);
    assert!(seen(&list).contains("GET /berths Lists the berths"), "{}", seen(&list));
    let page = seen(&get);
    for text in [
        "GET /berths",
        "In the query",
        "limit integer optional How many at most 100. 20",
        "In the headers",
        "X-Trace string required",
        "token (berths:read)",
        "200 All of them array of",
        "length number required In metres",
        "1 field of quay",
        "One of north , south .",
        "curl https://berths.example/v2/berths",
        "listBerths",
    ] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    let page = seen(&put);
    for text in ["PUT /berths/{id} deprecated", "In the path", "Body, application/json, required", "204 Changed none"] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    assert!(put.text.contains(r#"href="/assets/team/berths/versions/2.1.0/operations/putBerth""#), "the permalink");
    app.stranger().get("/assets/team/berths/operations/none").await.expect(404);
    assert!(seen(&app.stranger().get("/assets/team/berths/tools").await.expect(200)).contains("Lists the berths"));
}

#[tokio::test]
async fn each_tool_has_a_page_with_its_parameters_hints_and_cost() {
    let app = TestApp::start().await;
    register(
        &app,
        "team",
        json!({"name": "com.example/harbour", "kind": "mcp", "version": {"name": "1.0.0"}, "tools": [
            {"name": "list_ships", "description": "Lists ships.", "annotations": {"readOnlyHint": true},
             "inputSchema": {"type": "object", "required": ["port"], "properties": {
                 "port": {"type": "string", "description": "UN/LOCODE"}, "limit": {"type": "integer", "default": 10}}},
             "outputSchema": {"type": "object", "properties": {"ships": {"type": "array", "items": {"type": "string"}}}}},
            {"name": "sink ship/now", "description": "Sinks one.", "annotations": {"destructiveHint": true},
             "inputSchema": {"type": "object", "properties": {}}},
            {"name": "wave"},
        ]}),
    )
    .await;

    let list = app.stranger().get("/assets/team/com.example/harbour/tools").await.expect(200);
    let one = app.stranger().get("/assets/team/com.example%2Fharbour/tools/list_ships").await.expect(200);
    let odd = "/assets/team/com.example%2Fharbour/versions/1.0.0/tools/sink%20ship%2Fnow";
    let sink = app.stranger().get(odd).await.expect(200);

    assert!(list.text.contains(&format!("href=\"{odd}\"")), "{}", list.text);
    for text in [
        "3 tools in 1.0.0",
        "list_ships read-only about",
        "port string required UN/LOCODE",
        "sink ship/now destructive",
        "Takes no parameters.",
        "Its parameters are not known.",
        "tokens in every prompt",
    ] {
        assert!(seen(&list).contains(text), "{text:?} is not in {}", seen(&list));
    }
    for text in [
        "Output",
        "ships array of string optional",
        "limit integer optional 10",
        "Input schema",
        "\"readOnlyHint\": true",
    ] {
        assert!(seen(&one).contains(text), "{text:?} is not in {}", seen(&one));
    }
    assert!(seen(&sink).contains("sink ship/now destructive"), "{}", seen(&sink));
}

#[tokio::test]
async fn hostile_schemas_and_hints_are_shown_as_text() {
    let app = TestApp::start().await;
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>";
    let field = json!({"type": evil, "description": format!("{evil} [x](javascript:alert(4)) `{evil}`"), "default": evil,
                       "enum": [evil], "pattern": evil, "title": evil});
    let nested =
        json!({"type": "object", "properties": {evil: field, "in": {"type": "object", "properties": {evil: field}}}});
    register(
        &app,
        "team",
        json!({"name": "evil", "kind": "mcp", "version": {"name": "1"},
               "tools": [{"name": "t", "description": evil, "inputSchema": nested, "outputSchema": nested, "annotations": {"title": evil}}],
               "deployments": [{"url": "https://x.example/a'\"<script>", "transport": "streamable-http", "title": evil}]}),
    )
    .await;
    let detail = json!({
        "parameters": [{"name": evil, "in": "query", "description": evil, "schema": field}],
        "requestBody": {"description": evil, "content": {evil: {"schema": nested}}},
        "responses": {evil: {"description": evil, "content": {evil: {"schema": nested}}}, "200": {"description": evil, "content": {evil: {"schema": nested}}}},
        "security": [{evil: [evil]}], "servers": [{"url": format!("https://x.example/{evil}")}],
    });
    register(
        &app,
        "team",
        json!({"name": "worse", "kind": "rest", "version": {"name": "1"},
               "operations": [{"name": "o", "method": "GET", "path": format!("/{evil}"), "summary": evil, "description": evil,
                               "tags": [evil], "detail": detail}],
               "deployments": [{"url": "https://x.example/a"}]}),
    )
    .await;

    for path in [
        "evil/tools",
        "evil/tools/t",
        "evil/connect",
        "evil/connect?client=cursor",
        "worse/operations",
        "worse/operations/o",
        "worse/connect",
        "worse",
    ] {
        let answer = app.stranger().get(&format!("/assets/team/{path}")).await.expect(200);
        assert_harmless(&answer.text, path);
    }
}

#[tokio::test]
async fn a_server_is_connected_to_from_each_client_and_the_last_one_comes_first() {
    let app = TestApp::start().await;
    register(
        &app,
        "team",
        json!({"name": "com.example/harbour", "kind": "mcp", "version": {"name": "1.0.0"},
               "deployments": [{"url": "https://mcp.example/harbour", "transport": "streamable-http"}]}),
    )
    .await;
    let path = "/assets/team/com.example%2Fharbour/connect";

    let first = app.stranger().get(path).await.expect(200);
    let chosen = app.stranger().get(&format!("{path}?client=codex")).await.expect(200);
    let cookie = chosen.header("set-cookie").split(';').next().unwrap().to_owned();
    let request = app.stranger().request(reqwest::Method::GET, path).header("cookie", cookie);
    let again = app.stranger().send(request).await.expect(200);

    for text in [
        "VS Code",
        "Cursor",
        "Claude Code",
        "Claude Desktop",
        "Codex",
        "Copilot CLI",
        "Gemini CLI",
        "JSON",
        "claude mcp add --transport http harbour https://mcp.example/harbour",
    ] {
        assert!(seen(&first).contains(text), "{text:?} is not in {}", seen(&first));
    }
    assert!(first.text.contains("href=\"vscode:mcp/install?"), "{}", first.text);
    assert_eq!(first.header("set-cookie"), "");
    let place = |page: &str, id: &str| page.find(&format!("id=\"{id}\"")).unwrap_or(usize::MAX);
    assert!(place(&first.text, "vscode") < place(&first.text, "codex"));
    assert!(place(&again.text, "codex") < place(&again.text, "vscode"));
}

#[tokio::test]
async fn an_api_is_called_first_by_what_only_reads() {
    let app = TestApp::start().await;
    register(&app, "team", json!({"name": "berths", "kind": "rest", "definition": {"value": openapi()}})).await;

    let page = app.stranger().get("/assets/team/berths/connect").await.expect(200);
    let file = app.stranger().get("/assets/team/berths/connect/requests.http").await.expect(200);

    assert!(seen(&page).contains("https://berths.example/v2"), "{}", seen(&page));
    assert!(
        seen(&page).find("curl https://berths.example/v2/berths").unwrap_or(usize::MAX)
            < seen(&page).find("curl -X PUT").unwrap()
    );
    assert!(file.text.contains("GET {{baseUrl}}/berths"), "{}", file.text);
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"berths.http\"");
}

#[tokio::test]
async fn a_long_list_is_read_in_pages() {
    let app = TestApp::start().await;
    let operations: Vec<_> =
        (0..95).map(|n| json!({"name": format!("op{n}"), "method": "GET", "path": format!("/p/{n}")})).collect();
    register(&app, "team", json!({"name": "big", "kind": "rest", "version": {"name": "1"}, "operations": operations}))
        .await;

    let mut met = Vec::new();
    let mut path = "/assets/team/big/operations".to_owned();
    loop {
        let page = app.stranger().get(&path).await.expect(200);
        assert!(page.text.len() <= LARGEST, "{path}: {}", page.text.len());
        met.extend(page.text.split("/operations/op").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        let Some(at) = page.text.find("rel=\"next\"") else { break };
        let href = page.text[..at].rsplit("href=\"").next().unwrap();
        path = href.split('"').next().unwrap().to_owned();
    }

    assert_eq!(met, (0..95).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_pages_of_the_largest_real_documents_stay_small() {
    let Some(shared) = shared() else { return };
    let app = TestApp::start().await;
    let mut files: Vec<_> =
        std::fs::read_dir(shared.join("corpus/openapi")).unwrap().map(|file| file.unwrap()).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.metadata().unwrap().len()));
    let mut largest = (0, String::new());
    for (at, file) in files.iter().take(3).enumerate() {
        let name = format!("api{at}");
        let text = std::fs::read_to_string(file.path()).unwrap();
        register(&app, "team", json!({"name": name, "kind": "rest", "definition": {"value": text}})).await;
        let list = app.stranger().get(&format!("/assets/team/{name}/operations")).await.expect(200);
        let parts = ["", "/operations", "/definition", "/definition?line=5000", "/connect", "/deployments"];
        let mut paths: Vec<_> = parts.map(str::to_owned).into();
        let links = list.text.split("/operations/").skip(1).map(|rest| rest.split('"').next().unwrap());
        paths.extend(links.map(|link| format!("/operations/{link}")));
        for path in paths {
            let page = app.stranger().get(&format!("/assets/team/{name}{path}")).await.expect(200);
            largest = largest.max((page.text.len(), format!("{}{path}", file.path().display())));
        }
    }

    assert!(largest.0 > 10_000, "some document was read");
    assert!(largest.0 <= LARGEST, "{largest:?}");
    eprintln!("largest page: {largest:?}");
}
