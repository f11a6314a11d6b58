//! The status of versions, and which one is the latest after it changed.

use super::*;

const NAME: &str = "com.example/a1";

async fn versions(app: &TestApp) -> Value {
    app.stranger().get("/v0.1/servers/com.example%2Fa1/versions?include_deleted=true").await.expect(200).json()
}

#[tokio::test]
async fn any_of_the_three_follows_any_other() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0")]).await;

    for status in ["deprecated", "deleted", "active", "deleted", "deprecated", "active"] {
        let entry = app.admin().set_status(NAME, "1.0.0", json!({"status": status})).await.expect(200).json();
        assert_eq!(entry["_meta"][OFFICIAL]["status"], status);
    }
}

#[tokio::test]
async fn the_time_of_the_status_moves_only_with_the_status() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0")]).await;
    let set = async |body: Value| {
        app.clock.advance(Duration::from_secs(10));
        app.admin().set_status(NAME, "1.0.0", body).await.expect(200).json()["_meta"][OFFICIAL].clone()
    };

    let first = set(json!({"status": "deprecated", "statusMessage": "Old"})).await;
    let second = set(json!({"status": "deprecated", "statusMessage": "Use 2.0.0"})).await;
    let third = set(json!({"status": "active"})).await;

    assert_eq!(first["statusMessage"], "Old");
    assert_eq!(second["statusMessage"], "Use 2.0.0");
    assert_eq!(first["statusChangedAt"], second["statusChangedAt"]);
    assert!(first["updatedAt"].as_str() < second["updatedAt"].as_str());
    assert!(third["statusChangedAt"].as_str() > second["statusChangedAt"].as_str());
    assert!(third.get("statusMessage").is_none(), "active clears it");
}

#[tokio::test]
async fn what_changes_nothing_or_is_no_status_is_refused() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0"), (NAME, "1.1.0")]).await;
    let all = "/v0.1/servers/com.example%2Fa1/status";

    let same = app.admin().set_status(NAME, "1.0.0", json!({"status": "active"})).await;
    assert_problem(&same, 400, "Failed to update server status");
    assert!(same.json()["error"].as_str().unwrap().contains("No changes to apply: status and message are already set"));
    let same = app.admin().patch(all, &json!({"status": "active"})).await;
    assert!(
        same.json()["error"].as_str().unwrap().contains("all versions already have the requested status and message")
    );
    assert_eq!(same.status, 400);
    let message = app.admin().set_status(NAME, "1.0.0", json!({"status": "active", "statusMessage": "x"})).await;
    assert_problem(&message, 400, "Failed to update server status");
    assert!(message.json()["error"].as_str().unwrap().contains("status_message cannot be provided"));
    for body in [json!({}), json!({"status": "gone"}), json!({"status": "deleted", "statusMessage": "x".repeat(501)})] {
        assert_problem(&app.admin().set_status(NAME, "1.0.0", body).await, 422, "validation failed");
    }
    let deleted = || json!({"status": "deleted"});
    assert_problem(&app.admin().set_status(NAME, "9.9.9", deleted()).await, 404, "Server version not found");
    assert_problem(
        &app.admin().patch("/v0.1/servers/com.example%2Fnone/status", &deleted()).await,
        404,
        "Server not found",
    );
}

#[tokio::test]
async fn all_versions_change_together() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0"), (NAME, "1.1.0"), (NAME, "2.0.0")]).await;
    app.admin().set_status(NAME, "1.0.0", json!({"status": "deprecated", "statusMessage": "Old"})).await.expect(200);

    let body = json!({"status": "deprecated", "statusMessage": "Old"});
    let answer = app.admin().patch("/v0.1/servers/com.example%2Fa1/status", &body).await.expect(200).json();

    assert_eq!(answer["updatedCount"], 3);
    let all = answer["servers"].as_array().unwrap();
    assert!(all.iter().all(|entry| entry["_meta"][OFFICIAL]["statusMessage"] == "Old"));
    assert_eq!(latest(&answer), ["2.0.0"], "deprecated ones still count");
}

#[tokio::test]
async fn the_flag_goes_to_the_highest_that_is_not_deleted() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "0.0.59"), (NAME, "1.0.0")]).await;

    app.admin().set_status(NAME, "1.0.0", json!({"status": "deleted"})).await.expect(200);
    assert_eq!(latest(&versions(&app).await), ["0.0.59"]);
    app.admin().publish_all(&app, &[(NAME, "0.0.60")]).await;
    assert_eq!(latest(&versions(&app).await), ["0.0.60"], "a deleted version is no rival");
    app.admin().set_status(NAME, "1.0.0", json!({"status": "active"})).await.expect(200);
    assert_eq!(latest(&versions(&app).await), ["1.0.0"]);
}

#[tokio::test]
async fn when_all_are_deleted_the_highest_keeps_the_flag_out_of_sight() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "2.0.0"), (NAME, "1.0.0")]).await;

    app.admin().patch("/v0.1/servers/com.example%2Fa1/status", &json!({"status": "deleted"})).await.expect(200);

    assert_eq!(latest(&versions(&app).await), ["2.0.0"]);
    assert_problem(&app.stranger().get(&at(NAME, "latest")).await, 404, "Server not found");
    let hidden = app.stranger().get(&format!("{}?include_deleted=true", at(NAME, "latest"))).await.expect(200).json();
    assert_eq!(hidden["server"]["version"], "2.0.0");

    // The official registry would compare with the deleted 2.0.0 and leave no visible latest.
    app.admin().publish_all(&app, &[(NAME, "1.9.0")]).await;
    assert_eq!(app.stranger().get(&at(NAME, "latest")).await.expect(200).json()["server"]["version"], "1.9.0");
}

#[tokio::test]
async fn a_latest_that_loses_or_gains_the_flag_is_updated() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0"), (NAME, "2.0.0")]).await;
    let since = async |at: &str| {
        let list = app.stranger().list(&format!("?updated_since={at}")).await.expect(200).json();
        entries(&list)
    };

    assert_eq!(since("2026-03-01T12:00:00.500000Z").await, ["com.example/a1 1.0.0", "com.example/a1 2.0.0"]);
    app.clock.advance(Duration::from_secs(60));
    app.admin().delete(&at(NAME, "2.0.0")).await.expect(200);
    assert_eq!(since("2026-03-01T12:01:00Z").await, ["com.example/a1 1.0.0", "com.example/a1 2.0.0"]);
}

#[tokio::test]
async fn delete_takes_a_version_out_of_sight_once() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0")]).await;

    let deleted = app.admin().delete(&at(NAME, "1.0.0")).await.expect(200).json();

    assert_eq!(deleted["_meta"][OFFICIAL]["status"], "deleted");
    assert_problem(&app.stranger().get(&at(NAME, "1.0.0")).await, 404, "Server not found");
    app.stranger().get(&format!("{}?include_deleted=true", at(NAME, "1.0.0"))).await.expect(200);
    assert_problem(&app.admin().delete(&at(NAME, "1.0.0")).await, 404, "Server version not found");
}

#[tokio::test]
async fn an_asset_that_is_deleted_is_deleted_here_and_comes_back_when_restored() {
    let app = TestApp::start().await;
    app.admin().publish_all(&app, &[(NAME, "1.0.0")]).await;
    let admin = app.actor(&app.admin()).await;

    app.handles.catalog.delete(&admin, "default", NAME, None).await.unwrap();
    assert_problem(&app.stranger().get(&at(NAME, "latest")).await, 404, "Server not found");
    let gone = app.stranger().list("?updated_since=2026-03-01T12:00:00Z").await.json();
    assert_eq!(gone["servers"][0]["_meta"][OFFICIAL]["status"], "deleted");
    assert_eq!(app.admin().publish(&server(NAME, "2.0.0")).await.status, 409);

    app.clock.advance(Duration::from_secs(60));
    app.handles.catalog.restore(&admin, "default", NAME).await.unwrap();
    let back = app.stranger().list("?updated_since=2026-03-01T12:00:30Z").await.json();
    assert_eq!(back["servers"][0]["_meta"][OFFICIAL]["status"], "active");
}

/// The words that the asset, the search and the registry have for it.
async fn words(app: &TestApp) -> (String, String) {
    app.handles.search.catch_up().await.unwrap();
    let asset = app.stranger().get("/api/v1/workspaces/default/assets/com.example%2Fa1").await.expect(200).json();
    let found = app.stranger().get("/api/v1/search?q=com.example%2Fa1").await.expect(200).json();
    let latest = app.stranger().get("/v0.1/servers/com.example%2Fa1/versions/latest").await.expect(200).json();
    assert_eq!(found["items"][0]["title"], asset["title"], "{found}");
    assert_eq!(
        asset["summary"], latest["server"]["description"],
        "the server that is served and its asset say the same"
    );
    (asset["title"].as_str().unwrap().to_owned(), asset["summary"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_asset_has_the_words_of_whichever_version_is_the_latest() {
    let app = TestApp::start().await;
    for (version, word) in [("1.0.0", "Amber"), ("2.0.0", "Indigo")] {
        let mut document = server(NAME, version);
        document["title"] = word.into();
        document["description"] = format!("What {word} does").into();
        app.admin().publish(&document).await.expect(200);
    }
    let asset = "/api/v1/workspaces/default/assets/com.example%2Fa1";
    let said = |word: &str| (word.to_owned(), format!("What {word} does"));
    let admin = app.admin();
    assert_eq!(words(&app).await, said("Indigo"));

    // Whichever door the deletion comes by, and however it is undone.
    admin.set_status(NAME, "2.0.0", json!({"status": "deleted"})).await.expect(200);
    assert_eq!(words(&app).await, said("Amber"));
    admin.set_status(NAME, "2.0.0", json!({"status": "deprecated"})).await.expect(200);
    assert_eq!(words(&app).await, said("Indigo"));
    admin.delete(&format!("{asset}/versions/2.0.0")).await.expect(204);
    assert_eq!(words(&app).await, said("Amber"));
    admin.set_status(NAME, "2.0.0", json!({"status": "active"})).await.expect(200);
    assert_eq!(words(&app).await, said("Indigo"));
    let entry = json!({"server": {"$schema": server(NAME, "2.0.0")["$schema"], "name": NAME, "version": "2.0.0",
        "title": "Crimson", "description": "What Crimson does"}, "_meta": {OFFICIAL: {"status": "deleted"}}});
    let import = admin.request(reqwest::Method::POST, "/api/v1/import").header("content-type", "application/x-ndjson");
    let report = admin.send(import.body(entry.to_string())).await.expect(200).json();
    assert_eq!(report["updated"], 1, "{report}");
    assert_eq!(words(&app).await, said("Amber"));

    // All gone, and one after the other back.
    let all = "/v0.1/servers/com.example%2Fa1/status";
    admin.patch(all, &json!({"status": "deleted"})).await.expect(200);
    admin.set_status(NAME, "1.0.0", json!({"status": "active"})).await.expect(200);
    assert_eq!(words(&app).await, said("Amber"));
    admin.patch(all, &json!({"status": "active"})).await.expect(200);
    assert_eq!(words(&app).await, said("Crimson"));

    // What people say of it themselves is theirs.
    admin.patch(asset, &json!({"title": "Our name for it"})).await.expect(200);
    admin.set_status(NAME, "2.0.0", json!({"status": "deleted"})).await.expect(200);
    assert_eq!(words(&app).await, ("Our name for it".to_owned(), "What Amber does".to_owned()));
}
