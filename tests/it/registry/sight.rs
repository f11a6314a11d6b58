//! What an actor may not see does not exist for it.

use super::*;
use wharfinger::auth::Role;

async fn hide(app: &TestApp, workspace: &str, name: &str, visibility: &str) {
    let admin = app.actor(&app.admin()).await;
    let patch = serde_json::from_value(json!({"visibility": visibility})).unwrap();
    app.handles.catalog.update(&admin, workspace, name, patch, None).await.unwrap();
}

#[tokio::test]
async fn a_private_server_exists_for_its_workspace_only() {
    let app = TestApp::start().await;
    let (owner, other) = (app.member(Role::Publisher, "team-a").await, app.member(Role::Publisher, "team-b").await);
    owner.publish(&with_remote("com.example/secret", "1.0.0", "https://secret.example/mcp")).await.expect(200);
    let detail = at("com.example/secret", "latest");
    app.stranger().get(&detail).await.expect(200);

    hide(&app, "team-a", "com.example/secret", "private").await;

    for person in [app.stranger(), other.clone()] {
        assert_problem(&person.get(&detail).await, 404, "Server not found");
        for query in
            ["", "?search=secret", "?include_deleted=true", "?updated_since=1990-01-01T00:00:00Z", "?version=latest"]
        {
            assert_eq!(person.list(query).await.expect(200).json()["servers"], json!([]), "{query}");
        }
        assert_eq!(person.get("/v0.1/servers/com.example%2Fsecret/versions").await.status, 404);
        assert_eq!(person.get("/v0.1/x/changes").await.expect(200).json()["changes"], json!([]));
        assert_eq!(person.get("/workspaces/team-a/v0.1/servers").await.status, 404, "nothing of it can be seen");
    }
    assert_problem(
        &other.set_status("com.example/secret", "1.0.0", json!({"status": "deleted"})).await,
        404,
        "Server not found",
    );
    // Neither the name nor the address is taken in another team's part.
    other.publish(&with_remote("com.example/secret", "1.0.0", "https://secret.example/mcp")).await.expect(200);
    owner.get(&detail).await.expect(200);
    app.admin().get(&detail).await.expect(200);
}

#[tokio::test]
async fn an_internal_server_is_for_those_with_a_key() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/a1", "1.0.0")).await.expect(200);
    hide(&app, "default", "com.example/a1", "internal").await;

    assert_eq!(app.stranger().get(&at("com.example/a1", "latest")).await.status, 404);
    app.member(Role::Reader, "team-b").await.get(&at("com.example/a1", "latest")).await.expect(200);
}

#[tokio::test]
async fn a_name_in_several_workspaces_is_shown_once_that_of_default_first() {
    let app = TestApp::start().await;
    for (workspace, words) in [("team-z", "of z"), ("team-a", "of a"), ("default", "of default")] {
        app.member(Role::Publisher, workspace).await;
        let mut document = server("com.example/same", "1.0.0");
        document["description"] = json!(words);
        app.admin().post(&format!("/workspaces/{workspace}/v0.1/publish"), &document).await.expect(200);
    }
    let shown = async |person: Person<'_>| {
        let list = person.list("").await.expect(200).json();
        assert_eq!(list["metadata"]["count"], 1);
        list["servers"][0]["server"]["description"].clone()
    };

    assert_eq!(shown(app.stranger()).await, "of default");
    let of_z = app.stranger().get("/workspaces/team-z/v0.1/servers").await.json();
    assert_eq!(of_z["servers"][0]["server"]["description"], "of z");
    hide(&app, "default", "com.example/same", "private").await;
    assert_eq!(shown(app.stranger()).await, "of a");
    assert_eq!(shown(app.admin()).await, "of default");
}

#[tokio::test]
async fn a_plain_slug_is_known_under_its_workspace() {
    let app = TestApp::start().await;
    let new = serde_json::from_value(json!({"name": "payments", "kind": "mcp"})).unwrap();
    let admin = app.actor(&app.admin()).await;
    app.handles.catalog.register(&admin, "default", new).await.unwrap();

    let entry = app.stranger().get(&at("default/payments", "latest")).await.expect(200).json();

    assert_eq!(entry["server"]["name"], "default/payments");
    app.admin().publish(&server("default/payments", "2.0.0")).await.expect(200);
    assert_eq!(app.stranger().get(&at("default/payments", "latest")).await.json()["server"]["version"], "2.0.0");
}
