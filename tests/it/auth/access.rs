//! Roles of people and groups, keys that belong to somebody, and what is shared.

use crate::support::TestApp;
use serde_json::json;
use time::Duration;
use wharfinger::auth::{Actor, HolderName, KeyHolder, NewKey, Permission, Role, Scope};
use wharfinger::base::Slug;

fn own(name: &str, scopes: &[&str]) -> NewKey {
    NewKey {
        name: name.to_owned(),
        holder: KeyHolder::Own,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires_at: None,
    }
}

#[tokio::test]
async fn a_role_given_to_somebody_counts_at_once_and_ends_when_it_is_said_to() {
    let app = TestApp::start().await;
    let system = Actor::system("test");
    let team = app.handles.catalog.ensure_workspace(&system, &Slug::parse("team").unwrap(), "Team").await.unwrap();
    app.admin()
        .post("/api/v1/workspaces/team/assets", &json!({"name": "a", "kind": "rest", "visibility": "private"}))
        .await
        .expect(201);
    let anna = app.person("anna").await;
    anna.get("/api/v1/workspaces/team/assets/a").await.expect(404);

    let end = app.clock.now() + Duration::minutes(5);
    let holder = HolderName::User("anna".into());
    let scope = Scope::Workspace(team.workspace_id);
    app.handles.auth.assign_role(&system, Role::Reader, &holder, scope, Some(end)).await.unwrap();
    anna.get("/api/v1/workspaces/team/assets/a").await.expect(200);
    anna.delete("/api/v1/workspaces/team/assets/a").await.expect(403);

    app.clock.advance(std::time::Duration::from_secs(301));
    anna.get("/api/v1/workspaces/team/assets/a").await.expect(404);
}

#[tokio::test]
async fn a_role_for_one_asset_shows_and_changes_that_one_only() {
    let app = TestApp::start().await;
    let system = Actor::system("test");
    for name in ["own", "other"] {
        let body = json!({"name": name, "kind": "rest", "visibility": "private"});
        app.admin().post("/api/v1/workspaces/default/assets", &body).await.expect(201);
    }
    let anna = app.person("anna").await;
    let asset = app.handles.catalog.find(&system, "default", "own").await.unwrap().asset;
    let holder = HolderName::User("anna".into());
    app.handles.auth.assign_role(&system, Role::Publisher, &holder, asset.scope(), None).await.unwrap();

    anna.patch("/api/v1/workspaces/default/assets/own", &json!({"title": "Mine"})).await.expect(200);
    anna.get("/api/v1/workspaces/default/assets/other").await.expect(404);
    anna.post("/api/v1/workspaces/default/assets", &json!({"name": "new", "kind": "rest"})).await.expect(403);
    let seen = anna.get("/api/v1/assets").await.expect(200).json();
    assert_eq!(seen["total"], 1);
}

#[tokio::test]
async fn a_private_asset_is_seen_by_the_groups_it_is_shared_with() {
    let app = TestApp::start().await;
    let body = json!({"name": "a", "kind": "rest", "visibility": "private", "sharedWith": ["ops"]});
    let unknown = app.admin().post("/api/v1/workspaces/default/assets", &body).await.expect(422);
    assert!(unknown.text.contains("no group named ops"), "{}", unknown.text);

    app.group("ops", &["anna"]).await;
    app.admin().post("/api/v1/workspaces/default/assets", &body).await.expect(201);

    app.person("anna").await.get("/api/v1/workspaces/default/assets/a").await.expect(200);
    app.person("bert").await.get("/api/v1/workspaces/default/assets/a").await.expect(404);
    assert_eq!(app.person("anna").await.get("/api/v1/assets").await.expect(200).json()["total"], 1);
    assert_eq!(app.person("bert").await.get("/api/v1/assets").await.expect(200).json()["total"], 0);
}

#[tokio::test]
async fn a_key_does_what_its_holder_may_and_its_scopes_say() {
    let app = TestApp::start().await;
    let system = Actor::system("test");
    let anna = app.person("anna").await;
    let holder = HolderName::User("anna".into());
    app.handles.auth.assign_role(&system, Role::Publisher, &holder, Scope::Instance, None).await.unwrap();
    let reading =
        anna.post("/api/v1/keys", &json!({"name": "ci", "scopes": ["catalog:read"]})).await.expect(201).json();
    assert_eq!(reading["holder"], "anna");
    let reading = app.with_key(reading["text"].as_str().unwrap());

    let body = json!({"name": "a", "kind": "rest", "visibility": "private"});
    let refused = reading.post("/api/v1/workspaces/default/assets", &body).await.expect(403);
    assert_eq!(refused.json()["type"], "/problems/key-scope");
    anna.post("/api/v1/workspaces/default/assets", &body).await.expect(201);
    reading.get("/api/v1/workspaces/default/assets/a").await.expect(200);
    reading.post("/api/v1/keys", &json!({"name": "another"})).await.expect(403);

    let why = reading.get("/api/v1/me/permissions?asset=default/a").await.expect(200).json();
    let of = |name: &str| {
        why["permissions"].as_array().unwrap().iter().find(|one| one["permission"] == name).unwrap().clone()
    };
    assert_eq!(of("read-catalog")["because"]["role"], "publisher");
    assert_eq!((&of("write-catalog")["allowed"], &of("write-catalog")["narrowedByKey"]), (&json!(false), &json!(true)));
    assert_eq!(of("review-assets")["needs"], json!(["reviewer", "administrator"]));
}

#[tokio::test]
async fn a_rotated_key_has_two_texts_until_the_older_one_ends() {
    let app = TestApp::start().await;
    let anna = app.person("anna").await;
    let made = anna.post("/api/v1/keys", &json!({"name": "ci"})).await.expect(201).json();
    let older = app.with_key(made["text"].as_str().unwrap());
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());

    let rotated = anna.post(&format!("{path}/rotate"), &json!({"overlapSeconds": 60})).await.expect(200).json();
    let newer = app.with_key(rotated["text"].as_str().unwrap());
    older.get("/api/v1/me").await.expect(200);
    newer.get("/api/v1/me").await.expect(200);
    // As people send it who have nothing to say: without a body, and without a word about its type.
    let bare = anna.request(reqwest::Method::POST, &format!("{path}/rotate"));
    let newest = anna.send(bare).await.expect(200).json();
    app.with_key(newest["text"].as_str().unwrap()).get("/api/v1/me").await.expect(200);

    app.clock.advance(std::time::Duration::from_secs(61));
    older.get("/api/v1/me").await.expect(401);
    newer.get("/api/v1/me").await.expect(200);
    anna.delete(&path).await.expect(204);
    newer.get("/api/v1/me").await.expect(401);
}

#[tokio::test]
async fn a_known_key_is_identified_without_the_database_until_something_changes() {
    let app = TestApp::start().await;
    let system = Actor::system("test");
    let anna = app.person("anna").await;
    let actor = app.actor(&anna).await;
    let (key, text) = app.handles.auth.create_key(&actor, own("ci", &[])).await.unwrap();
    let known = app.handles.auth.identify(text.reveal()).await.unwrap();
    assert!(!known.may(Permission::ReadAudit, Scope::Instance));

    // Somebody changes the tables behind our back: the notification is what tells.
    let mut conn = app.handles.db.write.acquire().await.unwrap();
    sqlx::query("update api_key set revoked_at = now() where key_id = $1")
        .bind(key.key_id)
        .execute(&mut *conn)
        .await
        .unwrap();
    drop(conn);
    let mut refused = false;
    for _ in 0..100 {
        if app.handles.auth.identify(text.reveal()).await.is_err() {
            refused = true;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    assert!(refused, "a key that was revoked on another replica works a second later");
    app.handles
        .auth
        .assign_role(&system, Role::Compliance, &HolderName::User("anna".into()), Scope::Instance, None)
        .await
        .unwrap();
    assert!(app.actor(&anna).await.may(Permission::ReadAudit, Scope::Instance));
}
