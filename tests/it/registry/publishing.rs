//! Publishing and editing.

use super::*;
use wharfinger::auth::Role;

#[tokio::test]
async fn what_was_published_is_served_as_it_was() {
    let app = TestApp::start().await;
    let mut document = with_remote("com.example/a1", "1.0.0", "https://example.com/mcp");
    document["_meta"] =
        json!({"com.example": {"verified": true}, PUBLISHER: {"tool": "cli", "buildInfo": {"commit": "abc"}}});

    let answer = app.admin().publish(&document).await.expect(200).json();

    assert_eq!(answer["server"], document);
    assert_eq!(answer["_meta"][OFFICIAL]["isLatest"], true);
    let served = app.stranger().get(&at("com.example/a1", "latest")).await.expect(200).json();
    assert_eq!(served, answer);
}

#[tokio::test]
async fn v0_and_a_workspace_of_its_own_publish_too() {
    let app = TestApp::start().await;
    let publisher = app.member(Role::Publisher, "team-a").await;

    publisher.post("/v0/publish", &server("com.example/a1", "1.0.0")).await.expect(200);
    publisher.post("/workspaces/team-a/v0.1/publish", &server("com.example/b1", "1.0.0")).await.expect(200);
    app.admin().publish(&server("com.example/c1", "1.0.0")).await.expect(200);

    let team = app.stranger().get("/workspaces/team-a/v0.1/servers").await.expect(200).json();
    assert_eq!(entries(&team), ["com.example/a1 1.0.0", "com.example/b1 1.0.0"]);
    let all = app.stranger().get("/v0/servers").await.expect(200).json();
    assert_eq!(entries(&all).len(), 3);
    let default = app.stranger().get("/workspaces/default/v0/servers").await.expect(200).json();
    assert_eq!(entries(&default), ["com.example/c1 1.0.0"]);
}

#[tokio::test]
async fn a_writer_needs_a_key_that_holds_and_a_role_that_does() {
    let app = TestApp::start().await;
    let document = server("com.example/a1", "1.0.0");
    app.admin().publish(&document).await.expect(200);
    let (reader, other) = (app.member(Role::Reader, "team-a").await, app.member(Role::Publisher, "team-b").await);
    let stranger = app.stranger();

    let missing = stranger.publish(&document).await;
    assert_problem(&missing, 401, "Authorization header is missing");
    assert!(missing.header("www-authenticate").starts_with("Bearer"));
    for (header, detail) in
        [("Basic eDp5", "Invalid Authorization header format"), ("Bearer whf_unknown", "This key is not known")]
    {
        let request =
            stranger.request(reqwest::Method::POST, "/v0.1/publish").header("authorization", header).json(&document);
        assert_problem(&stranger.send(request).await, 401, detail);
    }
    assert_eq!(reader.publish(&server("com.example/b1", "1.0.0")).await.status, 403);
    assert_eq!(other.post("/workspaces/default/v0.1/publish", &server("com.example/c1", "1.0.0")).await.status, 403);
    assert_eq!(other.set_status("com.example/a1", "1.0.0", json!({"status": "deleted"})).await.status, 403);
    assert_eq!(other.put(&at("com.example/a1", "1.0.0"), &document).await.status, 403);
    assert_eq!(other.delete(&at("com.example/a1", "1.0.0")).await.status, 403);
    for path in [at("com.example/a1", "1.0.0"), format!("{}/status", at("com.example/a1", "1.0.0"))] {
        assert_eq!(stranger.put(&path, &document).await.status, if path.ends_with("status") { 405 } else { 401 });
    }
}

#[tokio::test]
async fn a_version_is_published_once() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/a1", "1.0.0")).await.expect(200);

    let again = app.admin().publish(&server("com.example/a1", "1.0.0")).await;

    assert_problem(&again, 400, "Failed to publish server");
    assert_eq!(again.json()["errors"][0]["message"], "invalid version: cannot publish duplicate version");
    assert!(again.json()["error"].as_str().unwrap().contains("duplicate version"));
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_its_place() {
    let app = TestApp::start().await;
    let changed = |member: &str, value: Value| {
        let mut document = server("com.example/a1", "1.0.0");
        document[member] = value;
        document
    };

    for name in ["com.example/a/b", "com.example//server", "com.example/server/path/to/resource", "no-slash", "a/b"] {
        let answer = app.admin().publish(&changed("name", json!(name))).await;
        assert_problem(&answer, 422, "Failed to publish server, invalid schema: call /validate for details");
        assert_eq!(answer.json()["errors"][0]["location"], "body.name");
    }
    let slashes = app.admin().publish(&changed("name", json!("com.example/a/b"))).await;
    assert!(slashes.json()["errors"][0]["message"].as_str().unwrap().starts_with("expected string to match pattern"));
    for (member, value) in [
        ("version", json!("^1.0.0")),
        ("version", json!("latest")),
        ("description", json!("x".repeat(101))),
        ("$schema", json!("")),
        ("remotes", json!([{"type": "sse", "url": "http://localhost/sse"}])),
        ("packages", json!("none")),
    ] {
        let answer = app.admin().publish(&changed(member, value)).await;
        assert_problem(&answer, 422, "Failed to publish server, invalid schema");
        assert!(answer.json()["errors"][0]["location"].as_str().unwrap().starts_with(&format!("body.{member}")));
    }
    let large = changed("_meta", json!({PUBLISHER: {"x": "y".repeat(4_096)}}));
    assert_problem(&app.admin().publish(&large).await, 400, "Failed to publish server");
    assert!(app.stranger().list("").await.json()["servers"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_clearly() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let send = async |sort: &str, body: Vec<u8>| {
        admin.send(admin.request(reqwest::Method::POST, "/v0.1/publish").header("content-type", sort).body(body)).await
    };

    for (sort, body, status) in [
        ("application/json", b"{".to_vec(), 400),
        ("application/json", br#"{"name":1,"name":2}"#.to_vec(), 400),
        ("application/json", b"[]".to_vec(), 422),
        ("application/json", b"\xff".to_vec(), 400),
        ("text/plain", b"{}".to_vec(), 415),
        ("application/json", vec![b' '; (1 << 20) + 1], 413),
    ] {
        let answer = send(sort, body).await;
        assert_problem(&answer, status, "");
    }
}

#[tokio::test]
async fn the_address_of_a_remote_belongs_to_one_server() {
    let app = TestApp::start().await;
    let (one, two, url) = ("com.example/one", "com.example/two", "https://example.com/mcp");
    app.admin().publish(&with_remote(one, "1.0.0", url)).await.expect(200);
    app.admin().publish(&with_remote(one, "1.1.0", url)).await.expect(200);

    let taken = app.admin().publish(&with_remote(two, "1.0.0", url)).await;
    assert_problem(&taken, 400, "Failed to publish server");
    assert_eq!(taken.json()["errors"][0]["message"], format!("remote URL {url} is already used by server {one}"));

    app.admin().patch("/v0.1/servers/com.example%2Fone/status", &json!({"status": "deleted"})).await.expect(200);
    app.admin().publish(&with_remote(two, "1.0.0", url)).await.expect(200);
    let restored = app.admin().set_status(one, "1.1.0", json!({"status": "active"})).await;
    assert_problem(&restored, 400, "Failed to update server status");
}

#[tokio::test]
async fn the_highest_version_is_the_latest_whenever_it_was_published() {
    let app = TestApp::start().await;
    for (name, published, expected) in [
        ("com.example/t1", vec!["1.0.0", "2.0.0", "1.5.0"], "2.0.0"),
        ("com.example/t2", vec!["1.2.0", "1.10.0"], "1.10.0"),
        ("com.example/t3", vec!["1.0.0", "1.0.0-rc.1"], "1.0.0"),
        ("com.example/t4", vec!["1.0.0+b1", "1.0.0+b2"], "1.0.0+b1"),
        ("com.example/t5", vec!["nightly", "snapshot"], "snapshot"),
        ("com.example/t6", vec!["1.0.0", "snapshot"], "1.0.0"),
        ("com.example/t7", vec!["snapshot", "0.0.1"], "0.0.1"),
        ("com.example/t8", vec!["2021.03.05", "2020.01.01"], "2020.01.01"),
    ] {
        let all: Vec<_> = published.iter().map(|version| (name, *version)).collect();
        app.admin().publish_all(&app, &all).await;

        let list = app.stranger().get(&format!("/v0.1/servers/{}/versions", name.replace('/', "%2F"))).await.json();
        assert_eq!(latest(&list), [expected], "{name}");
    }
}

#[tokio::test]
async fn an_edit_keeps_what_the_registry_recorded() {
    let app = TestApp::start().await;
    let name = "com.example/a1";
    app.admin().publish_all(&app, &[(name, "1.0.0")]).await;
    app.admin().set_status(name, "1.0.0", json!({"status": "deprecated", "statusMessage": "Old"})).await.expect(200);
    app.clock.advance(Duration::from_secs(60));
    let mut document = server(name, "1.0.0");
    document["description"] = json!("Other words");

    let edited = app.admin().put(&at(name, "1.0.0"), &document).await.expect(200).json();

    assert_eq!(edited["server"], document);
    let official = &edited["_meta"][OFFICIAL];
    assert_eq!((&official["status"], &official["statusMessage"]), (&json!("deprecated"), &json!("Old")));
    assert_eq!(official["publishedAt"], "2026-03-01T12:00:00.000000Z");
    assert_eq!(official["updatedAt"], "2026-03-01T12:01:01.000000Z");
    assert_eq!(app.stranger().get(&at(name, "latest")).await.json()["server"]["description"], "Other words");
}

#[tokio::test]
async fn an_edit_neither_renames_nor_moves_nor_revives() {
    let app = TestApp::start().await;
    let name = "com.example/a1";
    app.admin().publish_all(&app, &[(name, "1.0.0"), (name, "1.1.0")]).await;
    app.admin().delete(&at(name, "1.1.0")).await.expect(200);
    let put = async |version: &str, document: Value| app.admin().put(&at(name, version), &document).await;

    let renamed = put("1.0.0", server("com.example/other", "1.0.0")).await;
    assert_problem(&renamed, 400, "Failed to edit server");
    assert!(renamed.json()["error"].as_str().unwrap().contains("cannot rename server"));
    let moved = put("1.0.0", server(name, "2.0.0")).await;
    assert_problem(&moved, 400, "Version in request body must match URL path parameter");
    assert_problem(&put("1.1.0", server(name, "1.1.0")).await, 404, "Server version not found");
    assert_problem(&put("3.0.0", server(name, "3.0.0")).await, 404, "Server version not found");
}
