//! `/validate`: what is wrong, without storing anything.

use super::*;

#[tokio::test]
async fn a_document_is_judged_without_a_key() {
    let app = TestApp::start().await;

    let right = app.stranger().post("/v0.1/validate", &server("com.example/a1", "1.0.0")).await.expect(200).json();
    assert_eq!(right, json!({"valid": true, "issues": []}));
    let wrong = app.stranger().post("/v0/validate", &server("com.example/a1", "1.x")).await.expect(200).json();
    assert_eq!(wrong["valid"], false);
    let issue = &wrong["issues"][0];
    assert_eq!(
        (&issue["type"], &issue["path"], &issue["severity"]),
        (&json!("semantic"), &json!("version"), &json!("error"))
    );
    assert!(issue["message"].is_string() && issue["reference"].is_string());
    assert_eq!(app.stranger().list("").await.json()["servers"], json!([]));
}

#[tokio::test]
async fn an_older_schema_is_valid_with_a_warning() {
    let app = TestApp::start().await;
    let mut document = server("com.example/a1", "1.0.0");
    document["$schema"] = json!("https://static.modelcontextprotocol.io/schemas/2025-09-29/server.schema.json");

    let verdict = app.stranger().post("/v0.1/validate", &document).await.expect(200).json();

    assert_eq!(verdict["valid"], true);
    assert_eq!(verdict["issues"][0]["severity"], "warning");
    assert_eq!(verdict["issues"][0]["reference"], "schema-version-deprecated");
}

#[tokio::test]
async fn what_is_no_json_is_an_issue_too() {
    let app = TestApp::start().await;
    let stranger = app.stranger();

    let verdict =
        stranger.send(stranger.request(reqwest::Method::POST, "/v0.1/validate").body("{")).await.expect(200).json();

    assert_eq!((&verdict["valid"], &verdict["issues"][0]["type"]), (&json!(false), &json!("json")));
}
