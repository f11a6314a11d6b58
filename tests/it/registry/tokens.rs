//! Publishing as the official command line does it: log in, publish, set the status; and who may publish which names.

use crate::support::{Answer, Person, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use wharfinger::auth::Role;
use wharfinger::embed::Embedder;

fn document(name: &str, version: &str) -> Value {
    json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": name, "description": "Reads files", "version": version})
}

/// What the publisher's command line does: a token for a proof, then a write with it.
struct Publisher<'a> {
    app: &'a TestApp,
    token: String,
}

impl<'a> Publisher<'a> {
    async fn login(app: &'a TestApp, method: &str, proof: Value) -> Result<Self, Answer> {
        let answer = app.stranger().post(&format!("/v0/auth/{method}"), &proof).await;
        if answer.status != 200 {
            return Err(answer);
        }
        let given = answer.json();
        assert_eq!(given["expires_at"], app.clock.now().unix_timestamp() + 300);
        Ok(Self { app, token: given["registry_token"].as_str().unwrap().to_owned() })
    }

    fn person(&self) -> Person<'a> {
        self.app.with_key(&self.token)
    }

    async fn publish(&self, name: &str, version: &str) -> Answer {
        self.person().post("/v0/publish", &document(name, version)).await
    }

    async fn status(&self, name: &str, version: &str, status: &str) -> Answer {
        let path = format!("/v0/servers/{}/versions/{version}/status", name.replace('/', "%2F"));
        self.person().patch(&path, &json!({"status": status})).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_publishes_names_of_its_namespace_for_five_minutes() {
    let app = TestApp::start().await;
    app.member(Role::Reader, "guests").await;
    let anonymous = "io.modelcontextprotocol.anonymous";
    assert_eq!(
        Publisher::login(&app, "none", json!({})).await.err().unwrap().status,
        401,
        "nobody gave it a workspace"
    );
    app.admin().put(&format!("/api/v1/namespaces/{anonymous}"), &json!({"workspace": "guests"})).await.expect(201);

    let publisher = Publisher::login(&app, "none", json!({})).await.unwrap();
    let name = format!("{anonymous}/files");
    let published = publisher.publish(&name, "1.0.0").await.expect(200).json();
    assert_eq!(published["_meta"]["dev.wharfinger/catalog"]["workspace"], "guests");
    publisher.publish(&name, "1.1.0").await.expect(200);
    publisher.publish(&name, "1.1.0").await.expect(400);
    publisher.status(&name, "1.0.0", "deprecated").await.expect(200);
    publisher.status(&name, "1.0.0", "deleted").await.expect(200);
    assert_eq!(app.stranger().get("/v0.1/servers").await.json()["metadata"]["count"], 1);

    // Nothing else: other names, other doors, keys.
    let refused = publisher.publish("com.example/files", "1.0.0").await.expect(403).json();
    assert!(
        refused["detail"].as_str().unwrap().contains(&format!("You have permission to publish: {anonymous}/*")),
        "{refused}"
    );
    let person = publisher.person();
    let body = json!({"name": "com.example/mail", "kind": "mcp", "title": "Mail"});
    person.post("/api/v1/workspaces/guests/assets", &body).await.expect(403);
    let import = person.request(reqwest::Method::POST, "/api/v1/import?workspace=guests");
    let line = document("com.example/mail", "1.0.0").to_string();
    let report = person.send(import.header("content-type", "application/x-ndjson").body(line)).await.expect(200).json();
    assert_eq!((&report["registered"], &report["rejectedTotal"]), (&json!(0), &json!(1)), "{report}");
    person.post("/api/v1/keys", &json!({"name": "more"})).await.expect(403);
    app.admin().post("/api/v1/workspaces/guests/assets", &body).await.expect(201);
    person.delete("/api/v1/workspaces/guests/assets/com.example%2Fmail").await.expect(403);

    app.clock.advance(Duration::from_secs(301));
    publisher.publish(&name, "1.2.0").await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proof_that_does_not_hold_is_exchanged() {
    let app = TestApp::start().await;
    app.admin().put("/api/v1/namespaces/com.example", &json!({"workspace": "default"})).await.expect(201);
    let now = "2026-03-01T12:00:00Z";

    for (method, proof, status) in [
        ("oidc", json!({"oidc_token": "a.b.c"}), 401),
        ("oidc", json!({"oidc_token": app.admin_key}), 401),
        ("oidc", json!({}), 422),
        ("github-oidc", json!({"oidc_token": "eyJhbGciOiJub25lIn0.e30."}), 401),
        ("http", json!({"domain": "example.org", "timestamp": now, "signed_timestamp": "00"}), 401),
        ("http", json!({"domain": "127.0.0.1", "timestamp": now, "signed_timestamp": "00"}), 422),
        ("http", json!({"domain": "localhost:8080", "timestamp": now, "signed_timestamp": "00"}), 422),
        ("http", json!({"domain": "example.com", "timestamp": "2026-03-01T11:00:00Z", "signed_timestamp": "00"}), 401),
        ("http", json!({"domain": "example.com", "timestamp": now, "signed_timestamp": "zz"}), 401),
        ("github-at", json!({"github_token": "x"}), 404),
    ] {
        let answer = Publisher::login(&app, method, proof.clone()).await.err().expect("refused");
        assert_eq!(answer.status, status, "{method} {proof}: {}", answer.text);
        assert!(answer.header("content-type").contains("problem+json"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_namespace_is_its_workspaces_alone() {
    let app = TestApp::start().await;
    let (owner, other) = (app.member(Role::Publisher, "owner").await, app.member(Role::Publisher, "other").await);
    owner.put("/api/v1/namespaces/com.example", &json!({"workspace": "owner"})).await.expect(403);
    app.stranger().get("/api/v1/namespaces").await.expect(401);
    app.admin().put("/api/v1/namespaces/com.example", &json!({"workspace": "owner"})).await.expect(201);
    app.admin().put("/api/v1/namespaces/com.example.lab", &json!({"workspace": "other"})).await.expect(201);

    owner.post("/v0.1/publish", &document("com.example/files", "1.0.0")).await.expect(200);
    other.post("/v0.1/publish", &document("com.example.lab/files", "1.0.0")).await.expect(200);
    for (person, name) in
        [(&other, "com.example/mail"), (&other, "com.example.tools/mail"), (&owner, "com.example.lab/mail")]
    {
        let refused = person.post("/v0.1/publish", &document(name, "1.0.0")).await.expect(403).json();
        assert!(refused["type"].as_str().unwrap().ends_with("namespace-refused"), "{refused}");
    }
    let body = json!({"name": "com.example/mail", "kind": "rest", "title": "Mail"});
    other.post("/api/v1/workspaces/other/assets", &body).await.expect(403);
    other.post("/v0.1/publish", &document("org.free/files", "1.0.0")).await.expect(200);
    // Without a workspace in the address it goes where the namespace is.
    let by_admin = app.admin().post("/v0.1/publish", &document("com.example/ledger", "1.0.0")).await.expect(200).json();
    assert_eq!(by_admin["_meta"]["dev.wharfinger/catalog"]["workspace"], "owner");
    // Each sees its own.
    let names = |answer: Answer| -> Vec<Value> {
        answer.json()["items"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect()
    };
    assert_eq!(names(owner.get("/api/v1/namespaces").await), ["com.example"]);
    assert_eq!(names(app.admin().get("/api/v1/namespaces").await), ["com.example", "com.example.lab"]);
    app.admin().delete("/api/v1/namespaces/com.example").await.expect(204);
    other.post("/v0.1/publish", &document("com.example.tools/mail", "1.0.0")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_operator_says_so_names_of_no_namespace_are_refused() {
    let app = TestApp::start_with(&[("WHARFINGER_REGISTERED_NAMESPACES_ONLY", "true")], Embedder::hashed()).await;

    app.admin().post("/v0.1/publish", &document("com.example/files", "1.0.0")).await.expect(403);
    app.admin()
        .post("/api/v1/workspaces/default/assets", &json!({"name": "plain", "kind": "mcp", "title": "P"}))
        .await
        .expect(201);
    app.admin().put("/api/v1/namespaces/com.example", &json!({"workspace": "default"})).await.expect(201);
    app.admin().post("/v0.1/publish", &document("com.example/files", "1.0.0")).await.expect(200);
}
