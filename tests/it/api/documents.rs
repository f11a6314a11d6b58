//! Documents: attached, read back byte for byte, taken away.

use super::{names, petstore};
use crate::support::TestApp;
use reqwest::Method;
use serde_json::json;

const VERSION: &str = "/api/v1/workspaces/default/assets/pet-store/versions/1.0.0";

#[tokio::test]
async fn a_document_comes_back_byte_for_byte_as_a_file() {
    let app = TestApp::start().await;
    let odd = format!("  {}\r\n\r\n", serde_json::to_string_pretty(&petstore("1.0.0")).unwrap());
    app.admin().send_text("/api/v1/workspaces/default/assets", "application/json", odd.clone()).await.expect(201);
    let content = format!("{VERSION}/definitions/openapi/content");

    let read = app.stranger().get(&content).await.expect(200);

    assert_eq!(read.text, odd);
    assert_eq!(read.header("x-content-type-options"), "nosniff");
    assert_eq!(read.header("content-disposition"), "attachment; filename=\"pet-store-1.0.0-openapi.json\"");
    let tag = read.header("etag").to_owned();
    let request = app.stranger().request(Method::GET, &content).header("if-none-match", &tag);
    app.stranger().send(request).await.expect(304);
}

#[tokio::test]
async fn a_document_is_attached_beside_others_and_taken_away() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&petstore("1.0.0")).await.expect(201);
    let definitions = format!("{VERSION}/definitions");

    let guide = admin.send_text(&format!("{definitions}?name=guide"), "text/markdown", "# How to").await.expect(201);
    admin.post(&definitions, &json!({"name": "notes", "format": "other", "value": "Anything"})).await.expect(201);
    let all = admin.get(&definitions).await.expect(200).json();

    assert_eq!((&guide.json()["name"], &guide.json()["format"]), (&json!("guide"), &json!("markdown")));
    assert_eq!(names(&all), ["openapi", "guide", "notes"]);
    assert_eq!(admin.get(&format!("{definitions}/guide")).await.expect(200).json()["size"], 8);
    admin.delete(&format!("{definitions}/guide")).await.expect(204);
    admin.get(&format!("{definitions}/guide/content")).await.expect(404);
    assert_eq!(
        admin.get(VERSION).await.json()["operationCount"],
        2,
        "the other document has not touched what was read"
    );
}

#[tokio::test]
async fn a_new_document_of_the_same_name_replaces_what_was_read_from_the_old() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&petstore("1.0.0")).await.expect(201);
    let mut smaller = petstore("1.0.0");
    smaller["paths"].as_object_mut().unwrap().remove("/pets/{id}");

    admin.post(&format!("{VERSION}/definitions"), &smaller).await.expect(201);

    assert_eq!(admin.get(VERSION).await.json()["operationCount"], 1);
    assert_eq!(admin.get(&format!("{VERSION}/definitions")).await.json()["total"], 1);
}

#[tokio::test]
async fn a_broken_document_is_refused_with_its_line() {
    let app = TestApp::start().await;
    let broken = "openapi: 3.1.0\ninfo:\n  title: X\n   version: 1\n";

    let path = "/api/v1/workspaces/default/assets?name=x&kind=rest";
    let refused = app.admin().send_text(path, "application/vnd.oai.openapi", broken).await.expect(422);

    assert!(super::places(&refused)[0].starts_with("line "), "{}", refused.text);
}
