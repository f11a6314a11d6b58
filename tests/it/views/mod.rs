//! Named registries show exactly what they are set to, in the way clients read them.

use crate::support::{Answer, TestApp};
use serde_json::{Value, json};
use wharfinger::auth::Role;

/// Servers of two workspaces: public ones, an internal one and a private one.
async fn catalog(app: &TestApp) {
    for (workspace, name, visibility, stage, tag) in [
        ("default", "com.acme/files", "public", "production", "approved"),
        ("default", "com.acme/mail", "public", "preview", "approved"),
        ("default", "com.acme/ledger", "internal", "production", "approved"),
        ("default", "com.acme/secret", "private", "production", "approved"),
        ("other", "org.other/files", "public", "production", "new"),
    ] {
        app.member(Role::Reader, workspace).await;
        let body = json!({"name": name, "kind": "mcp", "title": name, "visibility": visibility, "tags": [tag],
            "version": {"name": "1.0.0", "stage": stage},
            "deployments": [{"url": format!("https://mcp.example.com/{name}"), "transport": "streamable-http"}]});
        app.admin().post(&format!("/api/v1/workspaces/{workspace}/assets"), &body).await.expect(201);
    }
}

fn names(answer: &Answer) -> Vec<String> {
    let page = answer.json();
    let servers = page["servers"].as_array().unwrap().iter();
    servers.map(|entry| entry["server"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn made(app: &TestApp, body: Value) {
    app.admin().post("/api/v1/registries", &body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_read_anonymously_behaves_as_editors_and_copilot_need() {
    let app = TestApp::start().await;
    catalog(&app).await;
    made(
        &app,
        json!({"name": "approved", "access": "anonymous", "filter": {"tags": ["approved"], "stages": ["production"]}}),
    )
    .await;
    let stranger = app.stranger();

    // Any base address that people set, with what clients append.
    for base in ["", "/v0.1", "/v0.1/servers", "/v0"] {
        let list =
            stranger.get(&format!("/registries/approved{base}/v0.1/servers?limit=50&version=latest")).await.expect(200);
        assert_eq!(names(&list), ["com.acme/files"], "{base}");
        assert_eq!(list.header("access-control-allow-origin"), "*");
        assert_eq!(list.header("content-type"), "application/json");
    }
    let known = stranger.get("/registries/approved/v0.1/servers/com.acme%2Ffiles/versions/latest").await.expect(200);
    let official = &known.json()["_meta"]["io.modelcontextprotocol.registry/official"];
    assert_eq!((&official["status"], &official["isLatest"]), (&json!("active"), &json!(true)));
    stranger.get("/registries/approved/v0.1/servers/com.acme%2Ffiles/versions/1.0.0").await.expect(200);
    stranger.get("/registries/approved/v0.1/servers/com.acme/files/versions").await.expect(200);
    // Not in the view, hidden, and not there at all: the same words.
    let absent = stranger.get("/registries/approved/v0.1/servers/com.acme%2Fnone/versions/latest").await.expect(404);
    for name in ["com.acme%2Fmail", "com.acme%2Fledger", "com.acme%2Fsecret", "org.other%2Ffiles"] {
        let answer =
            stranger.get(&format!("/registries/approved/v0.1/servers/{name}/versions/latest")).await.expect(404);
        assert_eq!(answer.json()["detail"], absent.json()["detail"]);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    let preflight = app.stranger().request(reqwest::Method::OPTIONS, "/registries/approved/v0.1/servers");
    let preflight = app.stranger().send(preflight).await.expect(204);
    assert!(preflight.header("access-control-allow-methods").contains("GET"));
    assert!(preflight.header("access-control-allow-headers").contains("Authorization"));
    // With a credential it is the same registry.
    let admin = app.admin().get("/registries/approved/v0.1/servers").await.expect(200);
    assert_eq!(names(&admin), ["com.acme/files"]);

    // Settings that allow exactly the view.
    let settings = stranger.get("/registries/approved/v0.1/x/managed-settings").await.expect(200).json();
    assert_eq!(
        settings,
        json!({"allowedMcpServers": [
        {"serverName": "com.acme/files"}, {"serverUrl": "https://mcp.example.com/com.acme/files"}]})
    );
    let vscode = stranger.get("/registries/approved/v0.1/x/managed-settings?client=vscode").await.expect(200).json();
    assert_eq!(vscode["chat.mcp.gallery.serviceUrl"], format!("{}/registries/approved", app.url));

    // What is kept of answers follows the view, and the catalog.
    let patch = json!({"filter": {"tags": ["approved"]}});
    app.admin().patch("/api/v1/registries/approved", &patch).await.expect(200);
    let list = stranger.get("/registries/approved/v0.1/servers?limit=50&version=latest").await;
    assert_eq!(names(&list), ["com.acme/files", "com.acme/mail"]);
    stranger.get("/registries/approved/v0.1/servers/com.acme%2Fmail/versions/latest").await.expect(200);
    app.admin().delete("/api/v1/workspaces/default/assets/com.acme%2Fmail").await.expect(204);
    stranger.get("/registries/approved/v0.1/servers/com.acme%2Fmail/versions/latest").await.expect(404);
    app.admin().delete("/api/v1/registries/approved").await.expect(204);
    // Whether there is none or one that wants a credential is not told to who has none.
    stranger.get("/registries/approved/v0.1/servers?limit=50&version=latest").await.expect(401);
    app.admin().get("/registries/approved/v0.1/servers?limit=50&version=latest").await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_widens_nothing_unless_an_administrator_says_so_in_it() {
    let app = TestApp::start().await;
    catalog(&app).await;
    made(&app, json!({"name": "members", "filter": {"namespaces": ["com.acme"]}})).await;
    made(&app, json!({"name": "inside", "access": "anonymous", "publishesInternal": true})).await;
    let path = "/registries/members/v0.1/servers";

    app.stranger().get(path).await.expect(401);
    let outsider = app.member(Role::Reader, "other").await;
    assert_eq!(names(&outsider.get(path).await.expect(200)), ["com.acme/files", "com.acme/ledger", "com.acme/mail"]);
    assert_eq!(
        names(&app.admin().get(path).await),
        ["com.acme/files", "com.acme/ledger", "com.acme/mail", "com.acme/secret"]
    );
    let inside = app.stranger().get("/registries/inside/v0.1/servers").await.expect(200);
    assert_eq!(names(&inside), ["com.acme/files", "com.acme/ledger", "com.acme/mail", "org.other/files"]);

    // Who governs a workspace makes views of it, and of nothing else.
    let governor = app.member(Role::Administrator, "other").await;
    let own = json!({"name": "own", "workspace": "other", "access": "anonymous"});
    governor.post("/api/v1/registries", &own).await.expect(201);
    assert_eq!(names(&app.stranger().get("/registries/own/v0.1/servers").await), ["org.other/files"]);
    governor.post("/api/v1/registries", &json!({"name": "all"})).await.expect(403);
    let internal = json!({"name": "wide", "workspace": "other", "access": "anonymous", "publishesInternal": true});
    governor.post("/api/v1/registries", &internal).await.expect(403);
    outsider.post("/api/v1/registries", &json!({"name": "mine", "workspace": "other"})).await.expect(403);
    governor.delete("/api/v1/registries/inside").await.expect(403);
    // Nothing is published through a view.
    app.admin().post("/registries/inside/v0.1/publish", &json!({})).await.expect(405);
    // Whoever comes without a credential learns only of what is read without one.
    let listed = app.stranger().get("/api/v1/registries").await.expect(200).json();
    let listed: Vec<_> = listed["items"].as_array().unwrap().iter().map(|view| view["name"].clone()).collect();
    assert_eq!(listed, [json!("inside"), json!("own")]);
    app.stranger().get("/api/v1/registries/members").await.expect(404);
}
