//! Keys: made and shown once, used, ended; and the workspaces they belong to.

use crate::support::TestApp;
use reqwest::Method;
use serde_json::json;
use wharfinger::auth::Role;

#[tokio::test]
async fn a_key_is_shown_once_works_and_ends() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.post("/api/v1/workspaces", &json!({"name": "team", "title": "The team"})).await.expect(201);

    let made =
        admin.post("/api/v1/keys", &json!({"name": "ci", "role": "publisher", "workspace": "team"})).await.expect(201);
    let text = made.json()["text"].as_str().unwrap().to_owned();
    let stranger = app.stranger();
    let use_it = || {
        let request = stranger.request(Method::POST, "/api/v1/workspaces/team/assets").bearer_auth(&text);
        let name = format!("a-{}", uuid::Uuid::now_v7().simple());
        stranger.send(request.json(&json!({"name": name, "kind": "rest"})))
    };
    use_it().await.expect(201);

    let list = admin.get("/api/v1/keys?workspace=team").await.expect(200);
    assert!(!list.text.contains(&text), "the text is in no later answer");
    assert_eq!(
        (&list.json()["items"][0]["name"], &list.json()["items"][0]["workspace"]),
        (&json!("ci"), &json!("team"))
    );
    let location = made.header("location").strip_prefix(&app.url).unwrap().to_owned();
    admin.delete(&location).await.expect(204);
    use_it().await.expect(401);
    admin.delete(&location).await.expect(404);
}

#[tokio::test]
async fn only_administrators_deal_with_keys_and_workspaces() {
    let app = TestApp::start().await;
    let publisher = app.member(Role::Publisher, "default").await;

    for (person, status) in [(app.stranger(), 401), (publisher, 403)] {
        person.get("/api/v1/keys").await.expect(status);
        person.post("/api/v1/keys", &json!({"name": "x", "role": "administrator"})).await.expect(status);
        person.post("/api/v1/workspaces", &json!({"name": "mine"})).await.expect(status);
    }
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused_with_the_place() {
    let app = TestApp::start().await;

    for (body, place) in [
        (json!({"name": " ", "role": "administrator"}), "body.name"),
        (json!({"name": "x", "role": "reader"}), "body.workspace"),
        (json!({"name": "x", "workspace": "default"}), "body.workspace"),
        (json!({"name": "x", "role": "administrator", "scopes": ["everything"]}), "body.scopes"),
        (json!({"name": "x", "role": "administrator", "expiresAt": "2020-01-01T00:00:00Z"}), "body.expiresAt"),
        (json!({"name": "x", "role": "king"}), "body.role"),
    ] {
        let refused = app.admin().post("/api/v1/keys", &body).await.expect(422);
        assert_eq!(super::places(&refused), [place], "{body}");
    }
}

#[tokio::test]
async fn workspaces_environments_and_metadata_fields_are_made_changed_and_taken_away() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let made = admin.post("/api/v1/workspaces", &json!({"name": "team"})).await.expect(201);
    assert_eq!(made.header("etag"), "\"1\"");
    let team = "/api/v1/workspaces/team";

    let patched = admin.patch(team, &json!({"title": "The team", "defaultVisibility": "private"})).await.expect(200);
    assert_eq!(patched.header("etag"), "\"2\"");
    let stale = admin.request(Method::PATCH, team).header("if-match", "\"1\"").json(&json!({"title": "Late"}));
    admin.send(stale).await.expect(412);

    admin
        .post(&format!("{team}/environments"), &json!({"name": "live", "url": "https://k8s.example.com"}))
        .await
        .expect(201);
    let live = format!("{team}/environments/live");
    admin.patch(&live, &json!({"title": "Live", "kind": "production"})).await.expect(200);
    assert_eq!(admin.get(&live).await.expect(200).json()["title"], "Live");
    admin.delete(&live).await.expect(204);
    admin.get(&live).await.expect(404);

    let field = format!("{team}/metadata-schemas/tier");
    let schema = json!({"schema": {"enum": ["gold", "silver"]}, "assignedTo": ["asset"], "requiredFor": ["asset"]});
    admin.put(&field, &schema).await.expect(201);
    admin.put(&field, &schema).await.expect(200);
    let missing = admin.post(&format!("{team}/assets"), &json!({"name": "a", "kind": "rest"})).await.expect(422);
    assert_eq!(super::places(&missing), ["body.metadata.tier"]);
    let gold = json!({"name": "a", "kind": "rest", "metadata": {"tier": "gold"}});
    assert_eq!(admin.post(&format!("{team}/assets"), &gold).await.expect(201).json()["visibility"], "private");
    admin.delete(&field).await.expect(204);
    admin.get(&field).await.expect(404);
}
